"""Handing requests to delegates: one that fails or takes too long is passed over, and it is said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.act.fusion import Fusion, lengthened
from reasonrec_core.errors import PluginError, ReasonRecError
from reasonrec_core.types import Deliberation, Float32, QueryBatch, Ranking

Rows = npt.NDArray[np.intp]
LOG = logging.getLogger("reasonrec.router")


@dataclass(frozen=True)
class Handed:
    """What delegates answered.

    Attributes:
        who: per query the delegate that answered, None where none did.
        answers: rows and their rankings.
        failed: row -> why the delegate that was chosen for it did not answer.
    """

    who: npt.NDArray[np.object_]
    answers: tuple[tuple[Rows, Ranking], ...]
    failed: Mapping[int, str]


def in_time(ask: Callable[[], Ranking], limit: float | None) -> Ranking:
    """What ``ask`` gives.

    Args:
        ask: a delegate with its request.
        limit: seconds, None for as long as it takes. What takes longer is left to itself, in a thread of its own.

    Raises:
        PluginError: it took longer; or what ``ask`` raises.
    """
    if limit is None:
        return ask()
    found: list[Ranking] = []
    raised: list[Exception] = []

    def work() -> None:
        try:
            found.append(ask())
        except Exception as error:  # noqa: BLE001 (handed to the thread that waits)
            raised.append(error)

    thread = threading.Thread(target=work, name="delegate", daemon=True)
    thread.start()
    thread.join(limit)
    if raised:
        raise raised[0]
    if not found:
        raise PluginError(f"took longer than {1000 * limit:g} ms")
    return found[0]


def ask_first(labels: tuple[str, ...], ask: Callable[[str], Ranking]) -> tuple[dict[str, Ranking], str | None]:
    """Answers by delegate, and what went wrong if one of them did not answer: then there is nothing to decide by."""
    found: dict[str, Ranking] = {}
    for label in labels:
        try:
            found[label] = ask(label)
        except ReasonRecError as error:
            return {}, _said(label, error)
    return found, None


def hand_over(who: npt.NDArray[np.object_], ask: Callable[[str, Rows], Ranking]) -> Handed:
    """Ask each delegate for its queries.

    Args:
        who: str[B] the delegate of each query, None where the policy answers.
        ask: a delegate's ranking of some rows.
    """
    who, answers, failed = who.copy(), list[tuple[Rows, Ranking]](), dict[int, str]()
    for label in sorted({each for each in who if each is not None}):
        rows = np.flatnonzero(who == label)
        try:
            answers.append((rows, ask(label, rows)))
        except ReasonRecError as error:
            who[rows] = None
            failed |= dict.fromkeys(rows.tolist(), _said(label, error))
    return Handed(who, tuple(answers), failed)


def consult(
    fusion: Fusion, rows: Rows, mine: Ranking, horizon: Float32, width: int, ask: Callable[[str, Rows], Ranking]
) -> tuple[Ranking | None, str | None]:
    """The fused ranking of some rows; or, where a delegate did not answer, what went wrong.

    Args:
        fusion: how.
        rows: the queries.
        mine: the policy's ranking of them.
        horizon: float32 of each of them.
        width: how much of each ranking is fused, as it was when weights were learned.
        ask: a delegate's ranking of some rows.
    """
    found = {fusion.systems[0]: mine.head(width)}
    for label in fusion.systems[1:]:
        try:
            found[label] = ask(label, rows).head(width)
        except ReasonRecError as error:
            return None, _said(label, error)
    return lengthened(fusion(found, horizon), mine), None


def joined(batch: QueryBatch, handed: Handed, thinking: Rows, deliberation: Deliberation | None) -> Ranking:
    """Everybody's answers in one ranking."""
    width = batch.k if batch.candidates is None else min(batch.k, batch.candidates.shape[1])
    items = np.full((len(batch), width), -1, np.int32)
    scores = np.full((len(batch), width), -np.inf, np.float32)
    if deliberation is not None and deliberation.ranking is not None:
        _place(items, scores, thinking, deliberation.ranking)
    for rows, ranking in handed.answers:
        _place(items, scores, rows, ranking)
    return Ranking(items, scores)


def _place(items: npt.NDArray[np.int32], scores: Float32, rows: Rows, ranking: Ranking) -> None:
    width = min(items.shape[1], ranking.items.shape[1])
    items[rows, :width] = ranking.items[:, :width]
    scores[rows, :width] = ranking.scores[:, :width]


def _said(label: str, error: ReasonRecError) -> str:
    told = f"{label} did not answer ({' '.join(error.what.split())})"
    LOG.warning("%s: the policy answers instead", told)
    return told

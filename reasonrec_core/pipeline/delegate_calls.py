"""Handing requests to delegates: one that fails or takes too long is passed over, and it is said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import PluginError, ReasonRecError
from reasonrec_core.types import Deliberation, QueryBatch, Ranking

Rows = npt.NDArray[np.intp]
Names = npt.NDArray[np.object_]
LOG = logging.getLogger("reasonrec.router")


@dataclass(frozen=True)
class DelegateAnswers:
    """What delegates answered.

    Attributes:
        who: str[B] the delegate that answered, "" where none did.
        answers: rows and their rankings.
        attempts: row -> what went wrong with the delegates that were asked for it and did not answer, in turn.
    """

    who: Names
    answers: tuple[tuple[Rows, Ranking], ...]
    attempts: Mapping[int, tuple[str, ...]]


class DelegateCalls:
    """Asks delegates about one batch: none twice about a query, and none again that has failed.

    Args:
        ask: a delegate's ranking of some rows; all of them where None.
        size: how many rows there are.
        limit: seconds after which a delegate is passed over, None for as long as it takes.
    """

    def __init__(self, ask: Callable[[str, Rows | None], Ranking], size: int, limit: float | None) -> None:
        self._ask, self._size, self._limit = ask, size, limit
        self._complete: dict[str, Ranking] = {}
        self.failed: dict[str, str] = {}

    def __call__(self, label: str, rows: Rows | None = None) -> Ranking | None:
        """The delegate's ranking of ``rows`` (ascending; None for all); None where it did not answer."""
        every = rows is None or len(rows) == self._size
        if label in self._complete:
            return self._complete[label] if rows is None or every else self._complete[label].take(rows)
        if label in self.failed:
            return None
        try:
            found = call_in_time(lambda: self._ask(label, None if every else rows), self._limit)
        except ReasonRecError as error:
            self.failed[label] = f"{label} did not answer ({' '.join(error.what.split())})"
            LOG.warning("%s", self.failed[label])
            return None
        if every:
            self._complete[label] = found
        return found


def call_in_time(ask: Callable[[], Ranking], limit: float | None) -> Ranking:
    """What ``ask`` gives within ``limit`` seconds (None: however long it takes), or raises.

    What takes longer is left to itself, in a thread of its own, and is a `PluginError`.
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


def hand_over(who: Names, fallbacks: Callable[[int], tuple[str, ...]], ask: DelegateCalls) -> DelegateAnswers:
    """Ask the delegate of each query (str[B] ``who``, "" where the policy answers), and where that one does not answer

    those that ``fallbacks`` gives for its row, in turn; where nobody answers, the policy does.
    """
    who, answers, attempts = who.copy(), list[tuple[Rows, Ranking]](), dict[int, tuple[str, ...]]()
    waiting = {label: np.flatnonzero(who == label) for label in sorted(set(who) - {""})}
    left: dict[int, list[str]] = {}
    while waiting:
        label, rows = waiting.popitem()
        if (found := ask(label, rows)) is not None:
            answers.append((rows, found))
            who[rows] = label
            continue
        for row in rows.tolist():
            attempts[row] = (*attempts.get(row, ()), ask.failed[label])
            left.setdefault(row, list(fallbacks(row)))
            who[row] = left[row].pop(0) if left[row] else ""
        for then in sorted({who[row] for row in rows.tolist()} - {""}):
            now = rows[who[rows] == then]
            waiting[then] = np.sort(np.concatenate([waiting.get(then, now[:0]), now]))
    return DelegateAnswers(who, tuple(answers), attempts)


def join_answers(
    batch: QueryBatch, handed: DelegateAnswers, thinking: Rows, deliberation: Deliberation | None
) -> Ranking:
    """Everybody's answers in one ranking."""
    width = batch.k if batch.candidates is None else min(batch.k, batch.candidates.shape[1])
    parts = list(handed.answers)
    if deliberation is not None and deliberation.ranking is not None:
        parts.insert(0, (thinking, deliberation.ranking))
    if len(parts) == 1 and parts[0][1].items.shape == (len(batch), width):
        return parts[0][1]
    shape = len(batch), width
    joined = Ranking(np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32))
    for rows, ranking in parts:
        joined = joined.put(rows, ranking)
    return joined.head(width)

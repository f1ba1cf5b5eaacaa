"""Collaborative knowledge in words, with its provenance: what people did after an item, what experts expect.

DOKE (Yao et al., 2023): item-to-item and user-to-item signals, told only where they concern the history and the
candidates of the request. The item-to-item signal is the co-occurrence ``c_ij / sqrt(c_i c_j)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from reasonrec_core.builtin.transition_matrix import TransitionCounts
from reasonrec_core.components import Settings
from reasonrec_core.types import Float32, History, Int32, Interactions
from reasonrec_cot.words.choice import labels
from reasonrec_cot.words.item_words import ItemWords


class KnowledgeSettings(Settings):
    """How much collaborative knowledge is told."""

    window: int = Field(default=3, ge=1, le=20)
    """One item follows another if at most this many steps lie between them."""
    pairs: int = Field(default=4, ge=0, le=50)
    """Most item-to-item facts per request."""
    fewest: int = Field(default=2, ge=1)
    """A pair counts if at least so many people had it."""
    newest: int = Field(default=10, ge=1, le=200)
    """Newest history items whose followers are looked for."""
    experts: int = Field(default=3, ge=1, le=20)
    """Candidates told per expert."""


@dataclass(frozen=True, slots=True)
class Known:
    """One thing that is told.

    Attributes:
        text: a sentence of harmless text.
        source: who knows it: ``transitions``, or the expert's name.
        evidence: what it rests on: ``(item before, item after, count)``, or ``(item, rank)`` of an expert's best.
    """

    text: str
    source: str
    evidence: tuple[tuple[int, ...], ...]


class ItemToItem:
    """How often an item followed another in the training part.

    Args:
        items: words of the items.
        train: interactions, sorted by user, oldest first.
        settings: how much is told.
    """

    def __init__(self, items: ItemWords, train: Interactions, settings: KnowledgeSettings | None = None) -> None:
        self.items, self.settings = items, settings or KnowledgeSettings()
        counts = TransitionCounts(train, len(items), self.settings.window)
        self._counts = counts.forward(self.settings.window, 1.0).tocsr()
        self._seen = np.maximum(counts.counts, 1.0)

    def tell(
        self, history: History, candidates: Sequence[Sequence[int]] | None = None, targets: Int32 | None = None
    ) -> list[list[Known]]:
        """What people chose after the newest items of each history, the strongest first.

        Args:
            history: B rows.
            candidates: only followers among these are told, by their labels; None for the whole catalogue, by title.
            targets: int32[B], to be given when, and only when, the queries come from the training part itself: then
                the counts hold the query's own transition to its target, which is taken out.
        """
        rows = range(len(history))
        own = [-1] * len(history) if targets is None else targets.tolist()
        return [self._one(history.row(r), None if candidates is None else candidates[r], own[r]) for r in rows]

    def _one(self, history: Int32, candidates: Sequence[int] | None, own: int) -> list[Known]:
        before = history[-self.settings.newest :][::-1]
        before = before[np.sort(np.unique(before, return_index=True)[1])]
        block = self._counts[before].tocoo()
        after, place, count = block.col, block.row, block.data.astype(np.float32)
        if own >= 0:
            near = history[-self.settings.window :]
            times = (near[None, :] == before[place][:, None]).sum(axis=1)
            count = count - np.where(after == own, times, 0)
        allowed = ~np.isin(after, history) if candidates is None else np.isin(after, np.asarray(candidates))
        kept = np.flatnonzero(allowed & (count >= self.settings.fewest))
        first, then, count = before[place[kept]], after[kept], count[kept]
        strength = count / np.sqrt(self._seen[first] * self._seen[then])
        best = np.lexsort((then, first, -strength))[: self.settings.pairs]
        names = _names(self.items, candidates)
        return [
            Known(
                f"After {self.items.quoted(int(first[n]))}, {int(count[n])} people chose {names(int(then[n]))}.",
                "transitions",
                ((int(first[n]), int(then[n]), int(count[n])),),
            )
            for n in best
        ]


def expected(
    items: ItemWords, candidates: Sequence[Sequence[int]], scores: Float32, expert: str, settings: KnowledgeSettings
) -> list[Known]:
    """User-to-item: what an expert expects of each request's candidates, its best first.

    Args:
        items: words of the items, for the expert's name.
        candidates: of each of B requests.
        scores: float32[B, C], aligned with the candidates; further columns are ignored, -inf is never told.
        expert: its name.
        settings: how many are told.
    """
    name = items.fence.harmless(expert, 40)
    told = []
    for listed, row in zip(candidates, scores, strict=True):
        order = np.argsort(-row[: len(listed)], kind="stable")[: settings.experts]
        best = [int(n) for n in order if np.isfinite(row[n])]
        known = labels(len(listed))
        text = f"By people with such a history, {name} expects {', '.join(known[n] for n in best) or 'none of them'}."
        told.append(Known(text, expert, tuple((int(listed[n]), rank) for rank, n in enumerate(best, 1))))
    return told


def _names(items: ItemWords, candidates: Sequence[int] | None) -> Callable[[int], str]:
    """Labels of listed candidates, else fenced titles."""
    if candidates is None:
        return items.quoted
    return dict(zip(candidates, labels(len(candidates)), strict=True)).__getitem__

"""What a person changes in a policy's steps before the answer is worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from reasonrec_core.types.arrays import Float32, Int32
from reasonrec_core.types.log import History


@dataclass(frozen=True, slots=True)
class Edits:
    """Edited steps of a batch of B queries with L history entries in all; true if anything is edited.

    All else stays as it is: an entry's position and age, the evidence horizon, and what may be recommended.

    Attributes:
        relevance: float32[L] in [0, 1], how much each history entry counts as evidence: 1 in full, 0 not at all.
            An ignored item stays in the history, so it is still not recommended. None = all count in full.
        assume: item field -> int32[B], the label (its number in `EditablePolicy.labels`) that the next item is
            taken to have, -1 = as inferred. A field that is not named stays as inferred.
    """

    relevance: Float32 | None = None
    assume: Mapping[str, Int32] = field(default_factory=dict)

    def __bool__(self) -> bool:
        ignored = self.relevance is not None and bool((self.relevance != 1).any())
        return ignored or any(bool((labels >= 0).any()) for labels in self.assume.values())

    def slice(self, history: History, start: int, stop: int) -> Edits:
        """The edits of queries ``start:stop``; ``history`` is that of the whole batch."""
        low, high = history.indptr[[start, stop]] - history.indptr[0]
        relevance = None if self.relevance is None else self.relevance[low:high]
        return Edits(relevance, {name: labels[start:stop] for name, labels in self.assume.items()})

    def take(self, history: History, index: npt.NDArray[np.intp]) -> Edits:
        """The edits of the queries at ``index``, in that order; ``history`` is that of the whole batch."""
        relevance = None
        if self.relevance is not None:
            entries = replace(history, items=np.arange(len(history.items), dtype=np.int32))
            relevance = self.relevance[entries.take(index).items]
        return Edits(relevance, {name: labels[index] for name, labels in self.assume.items()})


NO_EDITS = Edits()
"""Every step as the policy takes it."""

"""The answer to no requests at all."""

from __future__ import annotations

import numpy as np

from reasonrec_core.types import Deliberation, QueryBatch, Ranking, Task


def answer_nothing(batch: QueryBatch) -> Deliberation:
    """An answer of no rows, of the kind that ``batch`` (of no queries) asks for."""
    none, sure = np.zeros((0, batch.k), np.float32), np.zeros(0, np.float32)
    if batch.task is Task.EXPLAIN:
        return Deliberation((), sure, text=())
    if batch.task is Task.CTR:
        assert batch.candidates is not None
        return Deliberation((), sure, probability=np.zeros(batch.candidates.shape, np.float32))
    return Deliberation((), sure, Ranking(none.astype(np.int32), none), none)

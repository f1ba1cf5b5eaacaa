"""Explanations as a policy's answers: a sentence per query, what it rests on, what it cost."""

from __future__ import annotations

import time

import numpy as np

from reasonrec_core.types import Cost, Deliberation, Int32, LazySteps, QueryBatch, Step
from reasonrec_cot import steps
from reasonrec_cot.asking import Asking
from reasonrec_cot.explain.consensus import Said
from reasonrec_cot.explain.evidence import Evidence
from reasonrec_cot.explain.speaker import Speaker


def explained(
    asking: Asking, batch: QueryBatch, chosen: Int32, speaker: Speaker | None, started: float
) -> Deliberation:
    """A sentence on each query's first item of ``chosen`` (int32[B, C], -1 pads); "" where there is none.

    Args:
        asking: asks the language model, where there is no ``speaker``.
        batch: B queries.
        chosen: what is to be explained.
        speaker: explains out of reviews.
        started: when the answer was begun (`time.perf_counter`).
    """
    items = [next((int(item) for item in row if item >= 0), -1) for row in chosen]
    rows = np.array([row for row, item in enumerate(items) if item >= 0], np.intp)
    part, wanted = batch.take(rows), [items[row] for row in rows]
    texts, thoughts = [""] * len(batch), [dict[str, str]() for _ in items]
    known: list[tuple[Said, Evidence] | None] = [None] * len(batch)
    tokens = 0
    if speaker is not None:
        chose, gathered = speaker.explain(part.users.tolist(), part.history, wanted)
        for row, said, evidence in zip(rows, chose, gathered, strict=True):
            texts[row], known[row] = said.text, (said, evidence)
    else:
        told, thought, usage = asking.explanations(part, wanted)
        tokens = usage.tokens
        for row, text, wrote in zip(rows, told, thought, strict=True):
            texts[row], thoughts[row] = text, wrote

    def tell(row: int) -> tuple[Step, ...]:
        item, found = items[row], known[row]
        last = steps.explains(asking.items, item)
        if found is not None:
            said, evidence = found
            return (*steps.reviewed(asking.items, evidence), *steps.agreed(asking.items, said, item), last)
        seen = steps.observed(asking.items, batch.history.row(row), asking.config.prompt.history, thoughts[row])
        return (seen, *steps.deliberated(thoughts[row]), last)

    cost = Cost(time.perf_counter() - started, tokens)
    return Deliberation(LazySteps(len(batch), tell), np.zeros(len(batch), np.float32), text=tuple(texts), cost=cost)

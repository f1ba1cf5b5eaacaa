"""Explanations as a policy's answers: a sentence per query, what it rests on, what it cost."""

from __future__ import annotations

import time

import numpy as np
from reasonrec_explain.explainer import Explainer
from reasonrec_explain.mbr import ChosenSentence

from reasonrec_core.types import Cost, Deliberation, Int32, LazySteps, QueryBatch, Step
from reasonrec_cot import steps
from reasonrec_cot.engine import Engine


def answer_explanations(
    engine: Engine, batch: QueryBatch, chosen: Int32, explainer: Explainer | None, started: float
) -> Deliberation:
    """A sentence on each query's first item of ``chosen`` (int32[B, C], -1 pads); "" where there is none.

    Args:
        engine: asks the language model, where there is no ``explainer``.
        batch: B queries.
        chosen: what is to be explained.
        explainer: knows what reviews say, where there are any; explains out of them where that is wanted.
        started: when the answer was begun (`time.perf_counter`).
    """
    items = [next((int(item) for item in row if item >= 0), -1) for row in chosen]
    rows = np.array([row for row, item in enumerate(items) if item >= 0], np.intp)
    part, wanted = batch.take(rows), [items[row] for row in rows]
    texts, thoughts = [""] * len(batch), [dict[str, str]() for _ in items]
    chosen_as: list[ChosenSentence | None] = [None] * len(batch)
    users, tokens = part.users.tolist(), 0
    known = () if explainer is None else explainer.gather_evidence(users, part.history, wanted)
    if explainer is not None and engine.config.explanations == "consensus":
        for row, said in zip(rows, explainer.explain(users, known), strict=True):
            texts[row], chosen_as[row] = said.text, said
    else:
        written, thought, usage = engine.write_explanations(part, wanted, known)
        tokens = usage.tokens
        for row, text, wrote in zip(rows, written, thought, strict=True):
            texts[row], thoughts[row] = text, wrote
    rests_on = dict(zip(rows.tolist(), known, strict=True)) if known else {}

    def make_steps(row: int) -> tuple[Step, ...]:
        item, said, last = items[row], chosen_as[row], steps.name_explained(engine.items, items[row])
        reviewed = steps.cite_reviews(engine.items, rests_on[row]) if row in rests_on else []
        if said is not None:
            return (*reviewed, *steps.cite_sentence(engine.items, said, item), last)
        seen = steps.observe_history(engine.items, batch.history.row(row), engine.config.prompt.history, thoughts[row])
        return (seen, *reviewed, *steps.add_deliberation(thoughts[row]), last)

    cost = Cost(time.perf_counter() - started, tokens)
    return Deliberation(
        LazySteps(len(batch), make_steps), np.zeros(len(batch), np.float32), text=tuple(texts), cost=cost
    )

"""The figure that early stopping looks at."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import torch

from reasonrec_chain.trainable import Trainable, last_states
from reasonrec_core.components import pick_candidates
from reasonrec_core.evaluate import evaluate_ranking, metric_name
from reasonrec_core.ranking import rank
from reasonrec_core.types import Cases, QueryBatch, Ranking

CHUNK = 128
"""Histories whose scores exist at the same time."""


def ranking_figure(cases: Cases, max_history: int, k: int = 10) -> Callable[[Trainable], float]:
    """A function that gives a network's mean NDCG@k over ``cases``: all items ranked, history masked,
    or the cases' candidates ranked where they have them.
    """

    @torch.no_grad()
    def figure(module: Trainable) -> float:
        table, bias = module.table()
        states = torch.from_numpy(last_states(module, table, cases.queries.history, max_history))
        at = count(step=CHUNK)

        def answer(batch: QueryBatch) -> Ranking:
            start = next(at)
            logits = torch.addmm(bias, states[start : start + len(batch)].to(table), table.T)
            return rank(pick_candidates(logits.float().cpu().numpy(), batch), batch)

        scores = evaluate_ranking(answer, cases, (k,), n_items=len(table), chunk=CHUNK, threads=1)
        return scores.values[metric_name("NDCG", k, scores.sampled)]

    return figure

"""Fitting the decision: the tuned head and the candidate generator on validation pairs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.types import Cases, Float32, Int32, QueryBatch
from reasonrec_cot.answers.decision import GENERATOR, HEAD, Fitted, fit_decision
from reasonrec_cot.tuning.module import Tunable
from reasonrec_cot.tuning.validation import Answering, head_scores


@dataclass(frozen=True)
class Decided:
    """Validation pairs answered by both voices.

    Attributes:
        queries: P queries.
        targets: int32[P], the first target of each.
        candidates: int32[P, C].
        fitted: the decision.
        seconds: that answering and fitting took.
    """

    queries: QueryBatch
    targets: Int32
    candidates: Int32
    fitted: Fitted
    seconds: float


def decide(
    module: Tunable,
    answering: Answering,
    pairs: Cases,
    generator: Callable[[QueryBatch], tuple[Int32, Float32]],
    data: FitData,
) -> Decided:
    """Answer ``pairs`` and fit how the answers are weighed."""
    started = time.perf_counter()
    module.eval()
    targets = pairs.targets[pairs.target_indptr[:-1]]
    candidates, given = generator(pairs.queries)
    every = head_scores(module, answering.states(pairs.queries, module.soft))
    scores = np.take_along_axis(every, np.maximum(candidates, 0), 1)
    scores = np.where(candidates >= 0, scores, np.float32(-np.inf))
    horizon = data.horizon(pairs.queries) if data.horizon is not None else np.full(len(pairs), 0.5, np.float32)
    fitted = fit_decision({HEAD: scores, GENERATOR: given}, candidates, targets, horizon, data.seed)
    return Decided(pairs.queries, targets, candidates, fitted, time.perf_counter() - started)

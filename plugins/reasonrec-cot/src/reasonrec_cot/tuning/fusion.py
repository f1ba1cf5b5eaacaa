"""Fitting the decision: the tuned head and delegates on validation pairs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.special import expit

from reasonrec_core.components import FitData
from reasonrec_core.ranking import percentile_rank
from reasonrec_core.types import Cases, Float32, Int32, QueryBatch
from reasonrec_cot.answers.fit_ctr_fusion import FittedCtrFusion, fit_ctr_fusion
from reasonrec_cot.answers.fit_fusion import FittedFusion, fit_score_fusion
from reasonrec_cot.answers.score_fusion import FusionSet
from reasonrec_cot.answers.score_sources import HEAD, YES
from reasonrec_cot.tuning.module import TunableModel
from reasonrec_cot.tuning.validation import ROWS, ValidationReader, head_scores

WIDE = 100
"""Candidates that weights are learned from, at least."""
LISTED = 100
"""Items of a list that comes with a query: the target and so many others, less one, that its user does not have."""
UNCLICKED = 10
"""Drawn items per target that the judgement of clicks is learned from."""


class CandidateSource(Protocol):
    """What delegates say; the one that proposes candidates stands first."""

    def __call__(self, batch: QueryBatch, fewest: int) -> tuple[Int32, Mapping[str, Float32]]:
        """At least so many candidates int32[B, C] (-1 pads), a query's own where it has some, and their scores per
        delegate, float32[B, C] (-inf where there is none)."""
        ...

    def rank_percentiles(self, batch: QueryBatch) -> Mapping[str, Float32]:
        """Per delegate float32[B, C]: where the batch's candidates stand among its scores of the whole catalogue."""
        ...


@dataclass(frozen=True)
class FittedFusions:
    """What was fitted on validation pairs that all sources answered.

    Attributes:
        queries: P queries.
        targets: int32[P], the first target of each.
        candidates: int32[P, C].
        proposed: the decision among what the generator proposes.
        listed: the one among listed candidates: each target with 99 items drawn from those that its user does not have.
        clicks: how clicks are judged: each target against 10 such items.
        seconds: that answering and fitting took.
    """

    queries: QueryBatch
    targets: Int32
    candidates: Int32
    proposed: FittedFusion
    listed: FittedFusion
    clicks: FittedCtrFusion
    seconds: float

    @property
    def decisions(self) -> FusionSet:
        """What decides."""
        return FusionSet(self.proposed.decision, self.listed.decision, self.clicks.decision)

    @property
    def report(self) -> dict[str, Any]:
        """How good each source and each decision is, JSON values."""
        return {**self.proposed.report, "listed": self.listed.report, "clicks": self.clicks.report}


def fit_fusions(
    module: TunableModel, answering: ValidationReader, pairs: Cases, generator: CandidateSource, data: FitData
) -> FittedFusions:
    """Answer ``pairs`` and fit how the answers are weighed."""
    started = time.perf_counter()
    module.eval()
    targets = pairs.targets[pairs.target_indptr[:-1]]
    every = head_scores(module, answering.states(pairs.queries, module.soft))
    horizon = data.horizon(pairs.queries) if data.horizon is not None else np.full(len(pairs), 0.5, np.float32)

    def score_candidates(queries: QueryBatch, fewest: int) -> tuple[Mapping[str, Float32], Int32]:
        candidates, said = generator(queries, fewest)
        scores = np.take_along_axis(every, np.maximum(candidates, 0), 1)
        return {HEAD: np.where(candidates >= 0, scores, np.float32(-np.inf)), **said}, candidates

    def fit(queries: QueryBatch) -> tuple[Int32, FittedFusion]:
        said, candidates = score_candidates(queries, 1)
        wide = score_candidates(queries, WIDE) if queries.candidates is None else None
        return candidates, fit_score_fusion(said, candidates, targets, horizon, data.seed, wide)

    candidates, proposed = fit(pairs.queries)
    n_items, seed = len(data.catalog), data.seed
    _, listed = fit(replace(pairs.queries, candidates=draw_candidates(targets, pairs.queries, n_items, seed)))
    asked = replace(pairs.queries, candidates=draw_candidates(targets, pairs.queries, n_items, seed + 1, 1 + UNCLICKED))
    percentiles = {HEAD: _rank_in_parts(every, asked), **generator.rank_percentiles(asked)}
    clicks = fit_ctr_fusion(percentiles, np.asarray(asked.candidates == targets[:, None], np.bool_), horizon, seed)
    return FittedFusions(pairs.queries, targets, candidates, proposed, listed, clicks, time.perf_counter() - started)


def fit_click_fusion(odds: Float32, rows: Cases, beside: Mapping[str, Float32], data: FitData) -> FittedCtrFusion:
    """Fit how yes against no and what is known beside it are weighed, on labelled rows that neither was learned from.

    Args:
        odds: float32[N] log odds of yes against no, for each candidate that there is.
        rows: with their labels.
        beside: per source float32[B, C] in (0, 1).
        data: of the fit.
    """
    assert rows.labels is not None
    assert rows.queries.candidates is not None
    shown = rows.queries.candidates >= 0
    said = {YES: expit(odds).astype(np.float32).clip(1e-6, 1 - 1e-6)}
    said |= {name: values[shown] for name, values in beside.items()}
    horizon = data.horizon(rows.queries) if data.horizon is not None else np.full(len(rows), 0.5, np.float32)
    each = {name: values[:, None] for name, values in said.items()}
    clicked = np.asarray(rows.labels[shown] > 0, np.bool_)[:, None]
    return fit_ctr_fusion(each, clicked, horizon[np.nonzero(shown)[0]], data.seed, drawn=False)


def _rank_in_parts(every: Float32, asked: QueryBatch) -> Float32:
    """`percentile_rank` of so many queries at a time."""
    parts = [percentile_rank(every[at : at + len(piece)], piece) for at, piece in asked.chunks(ROWS)]
    return np.concatenate(parts)


def draw_candidates(targets: Int32, queries: QueryBatch, n_items: int, seed: int, count: int = LISTED) -> Int32:
    """int32[P, C]: each target among ``count`` - 1 items that its user does not have, in the order of their numbers."""
    rng = np.random.default_rng(seed)
    out = np.full((len(targets), min(count, n_items)), -1, np.int32)
    for row, target in enumerate(targets.tolist()):
        own = np.append(queries.history.row(row), target)
        others = np.setdiff1d(np.arange(n_items, dtype=np.int32), own)
        drawn = rng.choice(others, min(len(others), out.shape[1] - 1), replace=False)
        out[row, : len(drawn) + 1] = np.sort(np.append(drawn, target))
    return out

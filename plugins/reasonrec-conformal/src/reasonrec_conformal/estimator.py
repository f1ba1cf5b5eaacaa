"""The estimator: sets fitted on validation, their size, and whether they hold what they promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from reasonrec_conformal.chance import draw_uniform
from reasonrec_conformal.limits import GroupLimits
from reasonrec_conformal.rehearsal import measure_loss
from reasonrec_conformal.scores import ConformalScore, ScoreLadder
from reasonrec_core.components import DistributionPolicy, FitData, ReasoningPolicy, Settings, UncertaintyEstimator
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError, PluginError
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import (
    Bool,
    Cases,
    Deliberation,
    Float32,
    Float64,
    Int32,
    Int64,
    Observation,
    QueryBatch,
    Uncertainty,
)
from reasonrec_core.validation import check_distribution

CELLS = 1 << 20
"""Probabilities held at a time: queries of a chunk times items."""
FILE = "limits.npz"


class ConformalConfig(Settings):
    """What a pipeline file may set."""

    score: Literal["lac", "aps", "raps"] = Field("aps", description="Conformal score: lac, aps or raps.")
    coverage: float = Field(0.9, gt=0, lt=1, description="How often the set must contain the next item.")
    groups: int = Field(
        4, ge=1, description="Groups of the evidence horizon that each get their own limit; 1: one limit for all."
    )
    penalty: float = Field(1e-4, ge=0, description="RAPS: penalty for each item beyond `free`.")
    free: int = Field(10, ge=0, description="RAPS: number of items without a penalty.")
    randomised: bool = Field(False, description="APS, RAPS: count a random share of an item's own probability.")
    queries: int = Field(20_000, ge=1, description="Most validation requests that the limits are fitted on.")
    rehearse: bool = Field(
        True,
        description="Leave-one-out: raise the target by the coverage that is lost from one step to "
        "the next, as seen before validation.",
    )


@dataclass(frozen=True)
class Coverage:
    """What sets held on queries with known targets.

    Attributes:
        covered: bool[B] whether the target was in the set.
        sizes: int64[B] items in the set.
        group: int64[B] the group of the evidence horizon.
    """

    covered: Bool
    sizes: Int64
    group: Int64

    def table(self) -> list[dict[str, float]]:
        """All queries first (``group`` -1), then each group: ``queries``, ``coverage``, ``mean_size``."""
        rows = []
        for group in (-1, *np.unique(self.group).tolist()):
            some = np.ones(len(self.group), np.bool_) if group < 0 else self.group == group
            share, size = float(self.covered[some].mean()), float(self.sizes[some].mean())
            rows.append({"group": group, "queries": int(some.sum()), "coverage": share, "mean_size": size})
        return rows


class Conformal(UncertaintyEstimator[ConformalConfig]):
    """``log(size) / log(n)`` of the conformal set among the n items that may be recommended.

    The limit is the finite-sample quantile of the validation targets' scores, one per quarter of the evidence
    horizon, so that sets of users with little history keep the promise, too. It holds as far as test queries are
    exchangeable with validation queries; a policy that was itself fitted on validation, and taste that changes, take
    from it. What a step takes is estimated where it can be (`rehearsal`) and asked for in addition; `coverage`
    measures what is left. Without validation queries every set is the whole catalogue.

    Attributes:
        level: the quantile that the limits are; the promised coverage, and what is lost from one step to the next.
    """

    Config = ConformalConfig

    def __init__(self, config: ConformalConfig) -> None:
        super().__init__(config)
        self._policy: DistributionPolicy | None = None
        self._limits: GroupLimits | None = None
        self._n_items = self._seed = 0
        self.level = config.coverage

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """The policy must be a `DistributionPolicy`."""
        if not isinstance(policy, DistributionPolicy):
            raise PluginError(
                f"conformal sets need the probability of every item, but {type(policy).__name__} does not give it",
                fix="Use a policy with a `distribution`, such as `profile`, or another estimator.",
            )
        self._policy = policy

    @property
    def limits(self) -> GroupLimits:
        """What was fitted."""
        if self._limits is None:
            raise PluginError("the conformal estimator was used before it was fitted")
        return self._limits

    def fit(self, data: FitData) -> None:
        """The limits, from validation queries."""
        self._n_items, self._seed = len(data.catalog), data.seed
        scores, horizon = np.zeros(0), np.zeros(0, np.float32)
        if data.valid is not None:
            some = np.flatnonzero(np.diff(data.valid.target_indptr) > 0)
            if len(some) > self.config.queries:
                some = np.sort(np.random.default_rng(data.seed).choice(some, self.config.queries, replace=False))
            cases, seen = data.valid.take(some), data.observation.take(some)
            scores, horizon = self._scores(cases, seen), seen.horizon
        config = self.config
        lost = measure_loss(data, self._score, config.coverage, config.queries) if config.rehearse else 0.0
        self.level = min(config.coverage + lost, (1 + config.coverage) / 2)  # never for more than half of the misses
        self._limits = GroupLimits.fit(scores, horizon, self.level, config.groups)

    @property
    def _score(self) -> ConformalScore:
        return ConformalScore(self.config.score, self.config.penalty, self.config.free)

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """From the size of each query's set; an empty set and a set of one are as sure as can be."""
        limits, sizes = self.limits(observation.horizon), [np.zeros(0, np.int64)]
        listed = self._listed(batch)
        for start, ladder, _ in self._ladders(batch, observation):
            part = slice(start, start + len(ladder.values))
            sizes.append(ladder.sizes(limits[part], listed[part]))
        size = np.minimum(np.maximum(np.concatenate(sizes), 1), np.maximum(listed, 1))
        total = np.log(size) / np.log(np.maximum(listed, 2))
        return Uncertainty(total.astype(np.float32), self.stage)

    def coverage(self, cases: Cases, observation: Observation) -> Coverage:
        """How the sets do on ``cases`` (float32[B] horizons in ``observation``); one target is drawn per query."""
        limits, group = self.limits(observation.horizon), self.limits.group(observation.horizon)
        listed, targets = self._listed(cases.queries), self._targets(cases)
        covered, sizes = [np.zeros(0, np.bool_)], [np.zeros(0, np.int64)]
        for start, ladder, probability in self._ladders(cases.queries, observation):
            part = slice(start, start + len(probability))
            own = _of_targets(probability, cases.queries.slice(part.start, part.stop), targets[part])
            covered.append(ladder.scores(own) <= limits[part])
            sizes.append(ladder.sizes(limits[part], listed[part]))
        return Coverage(np.concatenate(covered), np.concatenate(sizes), group)

    def _scores(self, cases: Cases, observation: Observation) -> Float64:
        targets, found = self._targets(cases), [np.zeros(0)]
        for start, ladder, probability in self._ladders(cases.queries, observation):
            piece = cases.queries.slice(start, start + len(probability))
            found.append(ladder.scores(_of_targets(probability, piece, targets[start : start + len(piece)])))
        return np.concatenate(found)

    def _targets(self, cases: Cases) -> Int32:
        """int32[B]: one target of each query, so that queries with many do not count more."""
        lengths = np.diff(cases.target_indptr)
        if not (lengths > 0).all():
            raise DataError("a request has no target", fix="Coverage counts targets: leave out requests without one.")
        chosen = (draw_uniform(cases.queries, self._seed + 1) * lengths).astype(np.int64)
        return np.asarray(cases.targets[cases.target_indptr[:-1] + chosen])

    def _ladders(self, batch: QueryBatch, observation: Observation) -> Iterator[tuple[int, ScoreLadder, Float32]]:
        if self._policy is None:
            raise PluginError("the conformal estimator needs a policy", fix="Name a policy in the pipeline.")
        score = self._score
        width = self._n_items if batch.candidates is None else batch.candidates.shape[1]
        for start, piece in replace(batch, k=1).chunks(max(1, min(256, CELLS // max(width, 1)))):
            seen = observation.take(np.arange(start, start + len(piece)))
            probability = check_distribution(self._policy.distribution(piece, seen), piece, self._n_items)
            inside = draw_uniform(piece, self._seed) if self.config.randomised else None
            yield start, ScoreLadder.of(score, probability, inside), probability

    def _listed(self, batch: QueryBatch) -> Int64:
        """int64[B]: how many items may be recommended."""
        if batch.candidates is not None:
            return np.asarray((batch.candidates >= 0).sum(axis=1), np.int64)
        pairs = np.unique(batch.history.rows.astype(np.int64) * self._n_items + batch.history.items)
        return np.asarray(self._n_items - np.bincount(pairs // max(self._n_items, 1), minlength=len(batch)), np.int64)

    def save(self, folder: Path) -> None:
        """Write the limits."""
        super().save(folder)
        found = self.limits
        arrays: dict[str, Any] = {"edges": found.edges, "limits": found.limits, "counts": found.counts}
        write_arrays(folder / FILE, {"seed": self._seed, "level": self.level, **arrays})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        self = super().load(folder, catalog)
        saved = read_arrays(folder / FILE)
        self._limits = GroupLimits(saved["edges"], saved["limits"], saved["counts"])
        self._seed, self.level = int(saved["seed"]), float(saved["level"])
        self._n_items = len(catalog)
        return self


def _of_targets(probability: Float32, batch: QueryBatch, targets: Int32) -> Float32:
    """float32[B]: the probability of each query's target; 0 where it is not among the candidates."""
    if batch.candidates is None:
        return np.asarray(probability[np.arange(len(targets)), targets])
    return np.asarray(np.where(batch.candidates == targets[:, None], probability, 0).max(axis=1, initial=0), np.float32)

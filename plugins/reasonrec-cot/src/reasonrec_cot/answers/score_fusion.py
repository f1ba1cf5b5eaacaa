"""The decision among candidates: the model's own scores and those of delegates as evidence, weighed per horizon.

A conditional logit over the candidates of a query,

    log score(i) = sum over sources v of (a_v + b_v (C - 1/2)) * x_v(i),

x_v being a source's score of candidate i (a log probability among the candidates if the source is the model; scaled to
deviation 1 if it is a delegate, whose scores have any unit) and how far down its list i stands, -log(1 + rank); C
is the evidence horizon, so that a weight may differ between users of whom much and little is known.
Fitted on validation pairs, which no source was trained on; its figure is cross-fitted. Where that is not above the best
single source's, that source decides alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Bool, Float32, Float64
from reasonrec_cot.answers.answerer import ItemScores, softmax
from reasonrec_cot.answers.ctr_fusion import CtrFusion
from reasonrec_cot.answers.score_sources import HEAD, join_names, name_sources


@dataclass(frozen=True)
class ScoreFusion:
    """Fitted weights.

    Attributes:
        sources: names, in the order of the weights.
        weights: [sources][2 features][2]: constant and per unit of C - 1/2.
    """

    sources: tuple[str, ...]
    weights: tuple[tuple[tuple[float, float], ...], ...]

    def __call__(self, scores: Mapping[str, Float32], horizon: Float32) -> Float32:
        """float32[B, C] joint log scores (up to a constant per row); -inf where every source has -inf.

        Args:
            scores: per source float32[B, C], -inf for what it does not score.
            horizon: float32[B].
        """
        every = np.stack([scores[name] for name in self.sources])
        free = np.asarray(np.isfinite(every).any(axis=0), np.bool_)
        columns = features({name: scores[name] for name in self.sources}, free, horizon)
        joint = np.einsum("fbc,f->bc", columns, np.array(self.weights, np.float64).ravel())
        return np.where(free, joint, -np.inf).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def of_one(cls, source: str) -> ScoreFusion:
        """One source alone."""
        return cls((source,), (((1.0, 0.0), (0.0, 0.0)),))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ScoreFusion:
        """From what `to_dict` gave."""
        weights = tuple(tuple((float(a), float(b)) for a, b in source) for source in stored["weights"])
        return cls(tuple(stored["sources"]), weights)


@dataclass(frozen=True)
class DelegateScores:
    """What delegates say.

    Attributes:
        scores: per delegate float32[B, C] of the queries' candidates, -inf for what it never gives.
        horizon: float32[B].
        listed: whether the candidates came with the queries, rather than from the generator.
    """

    scores: Mapping[str, Float32]
    horizon: Float32
    listed: bool = False

    def take(self, rows: npt.NDArray[np.intp]) -> DelegateScores:
        """On some of the queries."""
        said = {name: values[rows] for name, values in self.scores.items()}
        return DelegateScores(said, self.horizon[rows], self.listed)


@dataclass(frozen=True)
class FusionSet:
    """How it is decided; None: the head decides.

    Attributes:
        proposed: among what the generator proposes.
        listed: among candidates that come with a query.
        clicks: what makes a probability of a click out of where an item stands.
    """

    proposed: ScoreFusion | None = None
    listed: ScoreFusion | None = None
    clicks: CtrFusion | None = None

    def describe(self, generator: str, *, listed: bool) -> str:
        """In words what answers are compared by."""
        chosen = self.listed if listed else self.proposed
        if chosen is None:  # nobody else was asked, or there were too few pairs to learn from
            return "the tuned head's score of each item"
        names = name_sources(chosen.sources, generator)
        if len(names) > 1:
            return f"the scores of {join_names(names)} for each item, weighed together"
        return f"the score of {names[0]} alone: adding others did not help on held-out requests"

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FusionSet:
        """From what `to_dict` gave."""
        made = {name: ScoreFusion.from_dict(stored[name]) if stored[name] else None for name in ("proposed", "listed")}
        clicks = stored.get("clicks")  # what was tuned before it was asked for clicks has none
        return cls(**made, clicks=CtrFusion.from_dict(clicks) if clicks else None)


def fuse_scores(decisions: FusionSet, answer: ItemScores, evidence: DelegateScores) -> ItemScores:
    """The head's answer and the delegates', as one."""
    decision = decisions.listed if evidence.listed else decisions.proposed
    if decision is None:
        return answer
    known = np.isfinite(answer.scores)
    given = {name: np.where(known, values, np.float32(-np.inf)) for name, values in evidence.scores.items()}
    scores = np.where(known, decision({HEAD: answer.scores, **given}, evidence.horizon), np.float32(-np.inf))
    return ItemScores(scores, softmax(scores))


def features(scores: Mapping[str, Float32], free: Bool, horizon: Float32) -> Float64:
    """float64[sources * 2 * 2, B, C]: per source its score and its order, each as it is and by horizon."""
    rows = []
    tilt = (horizon.astype(np.float64) - 0.5)[:, None]
    for name, values in scores.items():
        known = np.isfinite(values) & free
        scaled = (_log_shares if name == HEAD else _deviations)(values.astype(np.float64), known)
        order = np.argsort(np.argsort(-np.where(known, values, -np.inf), axis=1, kind="stable"), axis=1)
        down = np.where(known, -np.log1p(order), -np.log1p(values.shape[1]))
        for each in (scaled, down):
            each = np.where(free, each, 0.0)
            rows += [each, each * tilt]
    return np.stack(rows)


def _deviations(values: Float64, known: Bool) -> Float64:
    """Each row with mean 0 and deviation 1; what is not scored stands below the lowest."""
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count
    apart = np.where(known, values, mean) - mean
    deviation = np.sqrt((apart**2).sum(axis=1, keepdims=True) / count)
    return _below(apart / np.maximum(deviation, 1e-9), known)


def _log_shares(values: Float64, known: Bool) -> Float64:
    """Each row's log softmax; what is not scored stands below the lowest."""
    if not values.shape[1]:
        return values
    masked = np.where(known, values, -np.inf)
    best = masked.max(axis=1, keepdims=True)
    best = np.where(np.isfinite(best), best, 0.0)
    total = np.maximum(np.exp(masked - best).sum(axis=1, keepdims=True), 1e-300)
    return _below(np.where(known, values, 0.0) - best - np.log(total), known)


def _below(values: Float64, known: Bool) -> Float64:
    lowest = np.where(known, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    return np.where(known, values, np.where(np.isfinite(lowest), lowest, 0.0) - 1.0)

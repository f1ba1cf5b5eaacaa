"""Evidence-horizon curricula: who is learned from, and how much of them is shown, as training goes on.

The evidence horizon C(u) in [0, 1] says how little is known about a user (1 = cold, 0 = warm). ReasonRec
(arXiv 2606.28357) starts with warm users, admits harder ones, and ends with cold ones. Read as the amount of evidence
that is *shown*, the horizon also allows warm users to teach cold start: their histories are shortened, and what they
did next is still known.

All functions are pure: progress in [0, 1] in, arrays over users out. None of these curricula has gained on any of our
data sets; they are kept for experiments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from reasonrec_core.components import Settings
from reasonrec_core.io import content_hash
from reasonrec_core.types import Bool, Float32, Int64

CurriculumKind = Literal["none", "three-phase", "competence", "truncation"]
UNLIMITED = int(np.iinfo(np.int64).max)
"""Items that may be read of a user whose history is not shortened."""


class CurriculumConfig(Settings):
    """Whom training shows when."""

    kind: CurriculumKind = Field(
        "none",
        description="none: everyone, always. three-phase: warm users first, then also medium ones, then "
        "also cold ones. competence: the easiest users first, more as the model's competence "
        "grows. truncation: everyone, but some histories of users who are not cold are "
        "shortened, more and more.",
    )
    borders: tuple[float, float] = Field(
        (0.1, 0.95), description="three-phase: shares of the training after which the second and the third phase begin."
    )
    thresholds: tuple[float, float] = Field(
        (0.3, 0.7), description="Evidence horizons below which a user is warm and above which cold."
    )
    mixing: float = Field(
        0.2,
        ge=0,
        le=1,
        description="How often users outside the current pool are shown, relative to those inside; against forgetting.",
    )
    competence: float = Field(
        0.1, gt=0, le=1, description="competence: share of users (the easiest) that training starts with."
    )
    share: float = Field(0.3, ge=0, le=1, description="truncation: share of the users' sequences that are shortened.")
    shown: tuple[int, int] = Field(
        (20, 2),
        description="truncation: number of items in shortened histories, at the start and at the end of training.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("borders", "thresholds"):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= 1:
                raise ValueError(f"{name} must be two ascending numbers in [0, 1], not {[low, high]}")
        if not self.shown[0] >= self.shown[1] >= 1:
            raise ValueError(f"shown must be two descending numbers of items, each at least 1, not {list(self.shown)}")
        return self


def difficulty(horizon: Float32) -> Float32:
    """float32[n] in (0, 1): the share of users who are easier, ties at mid-rank (the CDF of Platanios et al., 2019)."""
    ordered = np.sort(horizon)
    below, upto = (np.searchsorted(ordered, horizon, side=side) for side in ("left", "right"))
    return ((below + upto) / (2.0 * max(1, len(horizon)))).astype(np.float32)


def competence(progress: float, start: float) -> float:
    """c(t) = sqrt(t (1 - c0^2) + c0^2), at most 1 (Platanios et al., 2019, equation 7 with p = 2)."""
    return min(1.0, math.sqrt(progress * (1 - start**2) + start**2))


def pool(config: CurriculumConfig, horizon: Float32, progress: float) -> Bool:
    """bool[n]: who is in the current pool.

    three-phase: C < low; then C up to a limit that grows from low to high over the second phase; then C > high.
    competence: difficulty up to the competence. Otherwise everyone. Where a pool would be empty (nobody is that warm,
    or that cold), everyone is in it: `Curriculum.summary` tells how large the pools are.
    """
    inside = np.ones(len(horizon), np.bool_)
    if config.kind == "three-phase":
        (first, last), (low, high) = config.borders, config.thresholds
        if progress < first:
            inside = horizon < low
        elif progress < last:
            inside = horizon <= low + (high - low) * (progress - first) / (last - first)
        else:
            inside = horizon > high
    elif config.kind == "competence":
        inside = difficulty(horizon) <= competence(progress, config.competence)
    return inside if inside.any() else np.ones(len(horizon), np.bool_)


def sampling_probability(config: CurriculumConfig, horizon: Float32, progress: float) -> Float32:
    """float32[n]: 1 in the pool, ``mixing`` outside of it."""
    return np.where(pool(config, horizon, progress), 1.0, config.mixing).astype(np.float32)


def history_limit(config: CurriculumConfig, horizon: Float32, progress: float, draws: Float32) -> Int64:
    """int64[n]: at most so many items are read before a target; `UNLIMITED` for those who are not shortened.

    Args:
        config: with ``kind`` other than truncation nobody is shortened.
        horizon: float32[n]; cold users are never shortened, they have nothing to spare.
        progress: the number falls geometrically from ``shown[0]`` to ``shown[1]``.
        draws: float[n], uniform in [0, 1); a sequence is shortened where its draw is below ``share``.
    """
    limit = np.full(len(horizon), UNLIMITED, np.int64)
    if config.kind == "truncation":
        most, least = config.shown
        now = round(most * (least / most) ** progress)
        limit[(horizon <= config.thresholds[1]) & (draws < config.share)] = now
    return limit


@dataclass(frozen=True)
class Exposure:
    """How much of whom a part of the training shows.

    Attributes:
        probability: float32[n_users], not negative, how often each user's sequence is read relative to others;
            None: all alike.
        limit: int64[n_users], at most this many items of a user are read before a target; None: no limit beyond
            that of the windows.
    """

    probability: Float32 | None = None
    limit: Int64 | None = None


PARTS = 5
"""Parts of an epoch: how often a curriculum looks at the progress. More of them make shorter parts, which pad more."""


class Curriculum:
    """A curriculum over the users of a training set.

    Args:
        config: which.
        horizon: float32[n_users] evidence horizon of the training histories.
        users: int64[S], the users who have something to learn from; pools are shares of these. None: all.
    """

    def __init__(self, config: CurriculumConfig, horizon: Float32, users: Int64 | None = None) -> None:
        self.config = config
        self._users = np.arange(len(horizon)) if users is None else users
        self._all, self._horizon = len(horizon), horizon[self._users]

    def epoch(self, epoch: int, epochs: int, rng: np.random.Generator) -> list[Exposure]:
        """What the parts of the epoch numbered ``epoch`` (from 0) show."""
        if self.config.kind == "none":
            return [Exposure()]
        return [self.exposure((epoch + part / PARTS) / epochs, rng) for part in range(PARTS)]

    def exposure(self, progress: float, rng: np.random.Generator) -> Exposure:
        """Who is shown, and how much of them, at a point of the training."""
        if self.config.kind == "truncation":
            limit = np.full(self._all, UNLIMITED, np.int64)
            draws = rng.random(len(self._users), dtype=np.float32)
            limit[self._users] = history_limit(self.config, self._horizon, progress, draws)
            return Exposure(limit=limit)
        probability = np.zeros(self._all, np.float32)
        probability[self._users] = sampling_probability(self.config, self._horizon, progress)
        return Exposure(probability)

    @cached_property
    def digest(self) -> str:
        """Of the settings and the users."""
        return content_hash(self.config.model_dump(mode="json"), self._users.tobytes(), self._horizon.tobytes())

    def summary(self) -> dict[str, Any]:
        """JSON values: the kind, and the share of the users who are warm, medium and cold."""
        low, high = self.config.thresholds
        warm, cold = float((self._horizon < low).mean()), float((self._horizon > high).mean())
        return {"kind": self.config.kind, "warm": warm, "medium": 1 - warm - cold, "cold": cold}

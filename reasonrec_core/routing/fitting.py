"""What every kind of router learns alike, and the threshold."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.costs import Costs
from reasonrec_core.routing.cut import NOBODY, Cut, cut_for_risk, cut_for_share
from reasonrec_core.routing.logistic import Calibrated
from reasonrec_core.routing.threshold import Fitted, Names, Signals, matrix
from reasonrec_core.types import Bool, Float64, Int64


@dataclass(frozen=True)
class Lessons:
    """B validation queries to learn from; `Router.calibrate` says what each part is.

    Attributes:
        uncertainty: every signal.
        used, early: the estimators that decisions may follow from, and those that need no answer.
        policy, delegates: float64[B] quality.
        hit, delegate_hit: bool[B]; None and empty where it is not known, or nobody asks how sure answers are.
        keys: int64[B], or None.
        costs: of asking, None where they were not measured.
        expected: float64[B] per delegate, see `Evidence.expected`; None where it is not known.
    """

    uncertainty: Signals
    used: tuple[str, ...]
    early: tuple[str, ...]
    policy: Float64
    delegates: Mapping[str, Float64]
    hit: Bool | None
    delegate_hit: Mapping[str, Bool]
    keys: Int64 | None
    costs: Costs | None = None
    expected: Mapping[str, Float64] | None = None

    def take(self, mask: Bool) -> Lessons:
        """Some of the queries."""
        return Lessons(
            {name: value.take(mask) for name, value in self.uncertainty.items()},
            self.used,
            self.early,
            self.policy[mask],
            {label: quality[mask] for label, quality in self.delegates.items()},
            None if self.hit is None else self.hit[mask],
            {label: hit[mask] for label, hit in self.delegate_hit.items()},
            None if self.keys is None else self.keys[mask],
            self.costs,
            None if self.expected is None else {label: each[mask] for label, each in self.expected.items()},
        )

    def quality_of(self, who: Names) -> Float64:
        """float64[B]: the quality of each query's delegate."""
        made = np.zeros(len(who))
        for label in sorted(set(who)):
            made[who == label] = self.delegates[label][who == label]
        return made

    def others(self, but: tuple[str, ...]) -> tuple[str, ...]:
        """All other delegates, the best on average first."""
        left = sorted(set(self.delegates) - set(but))
        return tuple(sorted(left, key=lambda label: -float(np.mean(self.delegates[label]))))

    def qualities(self) -> dict[str, float]:
        """Mean quality of the policy and of every delegate."""
        return {n: float(np.mean(q)) for n, q in {"policy": self.policy, **self.delegates}.items()}


def learn_threshold(config: RouterConfig, lessons: Lessons) -> Fitted:
    """One delegate, and a cut on P(worse) - P(better), or on P(worse) where a risk is wanted."""
    delegate = choose(config, lessons.delegates)
    used = lessons.used
    if not used:
        raise ConfigError(
            "no estimator works before the policy answers",
            where="router.estimators",
            fix='Add "evidence-horizon", or set router.stage = "after".',
        )
    at, seed = matrix(lessons.uncertainty, used, len(lessons.policy)), config.seed
    theirs = lessons.delegates[delegate]
    difference = np.asarray(theirs - lessons.policy)
    worse, better = (Calibrated.fit(used, at, event, seed) for event in (difference > 0, difference < 0))
    known = lessons.delegate_hit
    made = Fitted(
        delegate,
        worse,
        better,
        config.share is not None,
        NOBODY,
        confidences(config, lessons, lessons.hit),
        confidences(config, lessons, known[delegate]) if known else (),
        {},
        lessons.others((delegate,)),
    )
    place = made.order(lessons.uncertainty)
    made.cut = cut_for(config, place)
    made.report = decided(lessons, made.cut(place, lessons.keys), worse(at), theirs)
    return made


def decided(lessons: Lessons, replaced: Bool, risk: Float64, theirs: Float64) -> dict[str, Any]:
    """What the decisions on validation come to."""
    return {
        "share": float(replaced.mean()),
        "kept_risk": float(risk[~replaced].mean()) if not replaced.all() else None,
        "quality": lessons.qualities(),
        "routed_quality": float(np.mean(np.where(replaced, theirs, lessons.policy))),
    }


def confidences(config: RouterConfig, lessons: Lessons, hit: Bool | None) -> tuple[Calibrated, ...]:
    """P(hit) from all estimators, and from those that need no answer; none where hits are not known."""
    if hit is None:
        return ()
    event = np.asarray(hit, dtype=np.bool_)
    sets = [names for names in dict.fromkeys((config.estimators, lessons.early)) if names]
    known = lessons.uncertainty
    return tuple(Calibrated.fit(n, matrix(known, n, len(event)), event, config.seed) for n in sets)


def cut_for(config: RouterConfig, place: Float64) -> Cut:
    """Where the wanted share is, or the wanted risk if ``place`` is one."""
    if config.share is not None:
        return cut_for_share(place, config.share, config.seed)
    assert config.risk is not None
    return cut_for_risk(place, config.risk, config.seed)


def choose(config: RouterConfig, quality: Mapping[str, Float64]) -> str:
    """The named delegate, or the one that is best on average."""
    if not quality:
        raise ConfigError("there is no delegate to route to", where="router.delegate", fix="Configure a delegate.")
    if config.delegate == "best":
        return max(sorted(quality), key=lambda name: float(np.mean(quality[name])))
    if config.delegate not in quality:
        near = difflib.get_close_matches(config.delegate, quality, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Delegates: {', '.join(sorted(quality))}, or 'best'."
        raise ConfigError(f"unknown delegate {config.delegate!r}", where="router.delegate", fix=hint)
    return config.delegate

"""Learned deferral: per delegate the quality that a request gains or loses if it answers, and the best of them.

"Learning to defer" with one score per expert (Mozannar and Sontag, 2020; Verma and Nalisnick, 2022), for rankings: a
delegate's score is a regression of its quality minus the policy's on what is known before the policy thinks. Ordering
by the expected difference, rather than by the probability of one, keeps more quality: losing a first place costs more
than losing a tenth. The form of the regression is the one whose cross-fitted order loses least over all shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import KFold

from reasonrec_core.act.calibration import Calibrated
from reasonrec_core.act.clues import clue_names
from reasonrec_core.act.config import RouterConfig
from reasonrec_core.act.fitted import Names, Signals, confident, matrix, signal
from reasonrec_core.act.learning import Lessons, choose, confidences, cut_for, decided
from reasonrec_core.act.regression import FORMS, Regression, fit_regression, read_regression
from reasonrec_core.act.threshold import Cut
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Bool, Float32

Float64 = npt.NDArray[np.float64]
FOLDS = 5
GAIN = ("gain",)


@dataclass
class Learned:
    """The learned parts.

    Attributes:
        delegate: the one that is best on average.
        delegates: whom requests may go to, in the order of ``models``.
        asks: whose answers the clues are of.
        names: the columns: estimators and clues.
        models: per delegate, its quality minus the policy's.
        worse, better: P(the policy's answer is worse, better than that of the best delegate) by its score.
        by_gain: whether queries are ordered by the score (a wanted share) or by ``worse`` (a wanted risk).
        cut: on that order.
        confidences: P(the target is among the policy's ten best) from all estimators, and from the early ones.
        delegate_confidences: the same of each delegate's answers; empty where they are not known.
        report: how calibration went.
    """

    delegate: str
    delegates: tuple[str, ...]
    asks: tuple[str, ...]
    names: tuple[str, ...]
    models: tuple[Regression, ...]
    worse: Calibrated
    better: Calibrated
    by_gain: bool
    cut: Cut
    confidences: tuple[Calibrated, ...]
    delegate_confidences: tuple[tuple[Calibrated, ...], ...]
    report: dict[str, Any]

    @property
    def signals(self) -> tuple[str, ...]:
        """What decisions follow from, besides the keys."""
        return self.names

    def scores(self, uncertainty: Signals) -> Float64:
        """float64[B, D]: expected quality of each delegate's answer minus the policy's."""
        at = matrix(uncertainty, self.names)
        single = np.stack([model(at) for model in self.models], axis=1).astype(np.float32)
        return single.astype(np.float64)

    def order(self, uncertainty: Signals) -> Float64:
        """float64[B]: what the cut is on; the larger, the sooner a delegate answers."""
        best = self.scores(uncertainty).max(axis=1)
        return best if self.by_gain else _single(self.worse(best[:, None]))

    def who(self, uncertainty: Signals) -> Names:
        """str[B]: the delegate with the largest score."""
        return np.asarray(np.array(self.delegates, object)[self.scores(uncertainty).argmax(axis=1)])

    def risk(self, uncertainty: Signals) -> Float32:
        """float32[B]: P(the policy's answer is worse than that of the best delegate)."""
        return self.worse(self.scores(uncertainty).max(axis=1)[:, None]).astype(np.float32)

    def gain(self, uncertainty: Signals) -> Float32:
        """float32[B]: the largest score."""
        return np.asarray(self.scores(uncertainty).max(axis=1), np.float32)

    def confidence(self, uncertainty: Signals, of_delegate: bool) -> Float32:
        """float32[B]: P(the target is among the ten best) of the policy's answer, or of the best delegate's."""
        if not of_delegate or not self.delegate_confidences:
            return confident(() if of_delegate else self.confidences, uncertainty)
        who = self.scores(uncertainty).argmax(axis=1)
        each = np.stack([confident(models, uncertainty) for models in self.delegate_confidences], axis=1)
        return np.asarray(each[np.arange(len(who)), who])

    def consulting(self, uncertainty: Signals) -> Bool:
        """bool[B]: where delegates may be consulted: everywhere."""
        return np.ones(len(signal(uncertainty, self.names[0]).total), np.bool_)

    def by_share(self) -> Self:
        """The same, its order that of a wanted share."""
        return replace(self, by_gain=True)

    def summary(self) -> dict[str, Any]:
        """How calibration went; `Router.report` says what is in it."""
        return {
            **self.report,
            "level": self.cut.level,
            "orders_by": "expected gain" if self.by_gain else "risk",
            "risk": dict(self.worse.report),
            "confidence": dict(self.confidences[0].report),
        }

    def words(self, uncertainty: Signals, replaced: Bool) -> list[str]:
        """Why each query goes where it goes."""
        scores, place = self.scores(uncertainty), self.order(uncertainty)
        best = scores.max(axis=1)
        worse, better = self.worse(best[:, None]), self.better(best[:, None])
        rows = zip(replaced, self.who(uncertainty), best, worse, better, place, strict=True)
        return [self._words(bool(r), str(w), *(float(v) for v in values)) for r, w, *values in rows]

    def _words(self, replaced: bool, who: str, gain: float, worse: float, better: float, place: float) -> str:
        level = self.cut.level
        sign = "=" if place == level else ">" if place > level else "<"
        wanted = f"{sign} {level:+.4f}" if self.by_gain else f"and a risk of {place:.3f} {sign} {level:.3f}"
        told = f"{who}'s answer is worth {gain:+.4f} against the policy's ({wanted})"
        sure = f"at least as good in {1 - better:.1%} of such cases, better in {worse:.1%}"
        return f"{who if replaced else 'the policy'} answers: {told}, {sure}, from the history and answers"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "delegate": self.delegate,
            "delegates": list(self.delegates),
            "asks": list(self.asks),
            "names": list(self.names),
            "models": [model.to_dict() for model in self.models],
            "worse": self.worse.to_dict(),
            "better": self.better.to_dict(),
            "by_gain": self.by_gain,
            "cut": self.cut.to_dict(),
            "confidence": [m.to_dict() for m in self.confidences],
            "delegate_confidence": [[m.to_dict() for m in each] for each in self.delegate_confidences],
            "report": self.report,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(
            value["delegate"],
            tuple(value["delegates"]),
            tuple(value["asks"]),
            tuple(value["names"]),
            tuple(read_regression(m) for m in value["models"]),
            Calibrated.from_dict(value["worse"]),
            Calibrated.from_dict(value["better"]),
            bool(value["by_gain"]),
            Cut.from_dict(value["cut"]),
            tuple(Calibrated.from_dict(m) for m in value["confidence"]),
            tuple(tuple(Calibrated.from_dict(m) for m in each) for each in value["delegate_confidence"]),
            dict(value["report"]),
        )


def learn_deferral(config: RouterConfig, lessons: Lessons) -> Learned:
    """A score per delegate, from the estimators and the clues."""
    main = choose(config, lessons.delegates)
    labels = tuple(sorted(lessons.delegates)) if config.delegate == "best" else (main,)
    names = (*lessons.used, *clue_names(labels))
    missing = [name for name in names if name not in lessons.uncertainty]
    if missing:
        raise ConfigError(
            f"learned deferral needs what delegates answered, and there is no {missing[0]!r}",
            where="router.kind",
            fix="Run the pipeline with this version and a [router], so that its trace holds them.",
        )
    at = matrix(lessons.uncertainty, names, len(lessons.policy))
    gains = np.stack([lessons.delegates[label] - lessons.policy for label in labels], axis=1)
    form, crossed, areas = _cross_fitted(at, gains, config.seed)
    kept = _worth_it(crossed, gains, labels.index(main))
    labels, crossed, gains = tuple(labels[i] for i in kept), crossed[:, kept], gains[:, kept]
    models = tuple(fit_regression(form, at, column, config.seed) for column in gains.T)
    rows, who = np.arange(len(at)), crossed.argmax(axis=1)
    best, difference = crossed[rows, who], gains[rows, who]
    worse, better = (
        Calibrated.fit(GAIN, best[:, None], event, config.seed) for event in (difference > 0, difference < 0)
    )
    by_gain = config.share is not None
    place = best if by_gain else _single(worse(best[:, None]))
    cut = cut_for(config, place)
    report = decided(lessons, cut(place, lessons.keys), worse(best[:, None]), lessons.policy + difference)
    report |= {"form": form, "areas": areas, "delegates": list(labels)}
    hits = lessons.delegate_hit
    theirs = tuple(confidences(config, lessons, hits[label]) for label in labels) if hits else ()
    own = confidences(config, lessons, lessons.hit)
    asks = tuple(sorted(lessons.delegates)) if config.delegate == "best" else (main,)
    return Learned(main, labels, asks, names, models, worse, better, by_gain, cut, own, theirs, report)


def area(scores: Float64, gains: Float64) -> float:
    """Mean gain over all shares if queries are given away in the order of their best delegate's score.

    Args:
        scores: float64[B, D].
        gains: float64[B, D] quality of each delegate's answer minus the policy's.
    """
    rows, who = np.arange(len(scores)), scores.argmax(axis=1)
    first = np.argsort(-scores[rows, who], kind="stable")
    return float(np.mean(np.cumsum(gains[rows, who][first])) / len(first))


def _cross_fitted(at: Float64, gains: Float64, seed: int) -> tuple[str, Float64, dict[str, float]]:
    """The form of least regret, its cross-fitted float64[B, D] scores, and the areas of all, of oracle and random."""
    if len(at) < 2 * FOLDS:
        raise ConfigError(
            f"learned deferral cannot be fitted to {len(at)} validation queries",
            where="router.kind",
            fix='Use kind = "threshold".',
        )
    folds = list(KFold(FOLDS, shuffle=True, random_state=seed).split(at))
    found: dict[str, Float64] = {}
    for form in FORMS:
        crossed = np.empty_like(gains)
        for fit, held in folds:
            for column in range(gains.shape[1]):
                crossed[held, column] = fit_regression(form, at[fit], gains[fit, column], seed)(at[held])
        found[form] = crossed
    areas = {form: area(crossed, gains) for form, crossed in found.items()}
    form = max(FORMS, key=lambda each: areas[each])
    areas |= {"oracle": area(gains, gains), "random": float(gains.mean(axis=0).max() / 2)}
    return form, _single(found[form]), areas


def _worth_it(crossed: Float64, gains: Float64, main: int) -> list[int]:
    """All delegates where choosing among them gains more than the best one alone; else that one."""
    columns: Sequence[int] = range(gains.shape[1])
    alone = max([main, *columns], key=lambda i: area(crossed[:, [i]], gains[:, [i]]))
    return list(columns) if area(crossed, gains) > area(crossed[:, [alone]], gains[:, [alone]]) else [alone]


def _single(values: Float64) -> Float64:
    """At single precision, so that a cut at a value meets it exactly."""
    return values.astype(np.float32).astype(np.float64)

"""Learned deferral: who is worth asking about a request, and what a delegate's answer to it is worth.

"Learning to defer" with one score per expert (Mozannar and Sontag, 2020; Verma and Nalisnick, 2022), for rankings: a
delegate's score is a regression of its quality minus the policy's on what is known before the policy thinks. Ordering
by the expected difference, rather than by the probability of one, keeps more quality: losing a first place costs more
than losing a tenth. The form of the regression, and whose answers it looks at, are those whose cross-fitted order
loses least over all shares, among those that are asked in a small part of the time that delegating saves.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing import (
    AnswerFeatures,
    AskingCosts,
    Assignment,
    CalibrationData,
    LearnedScores,
    Router,
    RouterConfig,
    RouterState,
    Signals,
    probability,
    read_columns,
    single,
)
from reasonrec_core.types import Float64, format_percent
from reasonrec_routers.config import DeferralConfig, choose_estimators, name_share
from reasonrec_routers.cross_fitting import CrossFitted, area, area_bounds, cross_fit_gains
from reasonrec_routers.expected_gain import read_gains
from reasonrec_routers.features import LearnedFeatures
from reasonrec_routers.gain_model import GainModel
from reasonrec_routers.latency_budget import affordable

Labels = tuple[str, ...]
LOG = logging.getLogger("reasonrec.router")
C = TypeVar("C", bound=DeferralConfig)


class DeferralState(RouterState):
    """What learned deferral has learned.

    Attributes:
        columns: per model what it looks at: estimators and features.
        models: of each delegate's quality minus the policy's; one for all delegates, or one for each.
        fallback: what decides without ``asks``, for when one of them fails; None where nobody is asked.
    """

    columns: tuple[tuple[str, ...], ...]
    models: tuple[GainModel, ...]
    fallback: DeferralState | None = None


class GainRouter(Router[C]):
    """A regression per delegate of what its answer gains."""

    Config: ClassVar[type[RouterConfig]] = DeferralConfig
    State: ClassVar[type[RouterState]] = DeferralState
    features: ClassVar[AnswerFeatures] = LearnedFeatures()

    @property
    def columns(self) -> Labels:
        """What the models look at."""
        return tuple(dict.fromkeys(name for names in self.state.columns for name in names))

    def score(self, signals: Signals) -> Float64:
        """float64[B, D]: expected quality of each delegate's answer minus the policy's."""
        state = self.state
        if len(state.models) == 1:
            return single(state.models[0](read_columns(signals, state.columns[0])))
        pairs = zip(state.models, state.columns, strict=True)
        return single(np.concatenate([model(read_columns(signals, names)) for model, names in pairs], axis=1))

    def explain(self, signals: Signals, assigned: Assignment) -> list[str]:
        """What the answer is worth, how often it is as good, and what that is known from."""
        state, better = self.state, probability(self.state.better, signals, assigned.gain.astype(np.float64))
        source = "the history and the delegates' answers" if self.asks else "the history"
        reasons = []
        for row, who in enumerate(assigned.best):
            place, gain, worse = (float(each[row]) for each in (assigned.order, assigned.gain, assigned.risk))
            words = f"{who} is expected to {'gain' if gain >= 0 else 'lose'} {abs(gain):.4f} against the policy"
            if abs(gain) < 5e-5:  # what would be written as 0.0000
                words = f"{who} is expected to do as well as the policy"
            if not state.by_score:
                words += f", at a risk of {place:.3f}{state.threshold.words(place, '.3f')}"
            elif assigned.replaced[row] and gain < 0:
                words = f"needed to meet {name_share(self.config)}, although {words}"
            often, safe = format_percent(worse, 1), format_percent(1 - float(better[row]), 1)
            sure = f"in cases like this {who} is better in {often} and no worse in {safe}"
            reasons.append(f"{words}; {sure}; judged by {source}")
        return reasons

    def candidates(self, data: CalibrationData) -> Labels:
        """Whom requests may go to."""
        return tuple(sorted(data.delegates)) if self.config.delegate == "best" else (self.config.delegate,)


class DeferralRouter(GainRouter[DeferralConfig]):
    """Each request goes to the delegate that is best for it, where the expected gain is largest."""

    def fit(self, data: CalibrationData, *, with_confidence: bool = True) -> Self:
        """Learn from validation queries; besides, a rule without the answers that it is decided by."""
        self._found: dict[Labels, CrossFitted] = {}
        super().fit(data, with_confidence=with_confidence)
        if self.asks:
            with suppress(ConfigError):  # a risk that is out of its reach: the policy answers where a delegate fails
                self.update(fallback=self.build_state(data, self._learn_from(data, ())))
        del self._found
        return self

    def learn(self, data: CalibrationData) -> LearnedScores:
        """A score per delegate, from the estimators and those features that are worth their time."""
        sets = self.affordable_sets(data)
        tried = {asked: self._cross_fitted(data, asked).area for asked in sets}
        best = max(sets, key=lambda asked: tried[asked])  # of equals the first, which asks least
        names = {" and ".join(asked) or "nobody": value for asked, value in tried.items()}
        return self._learn_from(data, best, names)

    def affordable_sets(self, data: CalibrationData) -> list[Labels]:
        """Sets of delegates that may be asked before it is decided, the cheapest first; always nobody.

        Where costs are known: each by itself and the cheapest few, of those that leave most of what is saved.
        """
        config, labels = self.config, self.candidates(data)
        if config.answer_features == "none":
            return [()]
        if config.answer_features not in ("auto", "all"):
            unknown = [label for label in config.answer_features if label not in labels]
            if unknown:
                raise ConfigError(
                    f"there is no delegate {unknown[0]!r} to ask before the decision",
                    where="router.answer_features",
                    fix=f"Delegates: {', '.join(labels)}.",
                )
            return [tuple(sorted(config.answer_features))]
        if config.answer_features == "all" or data.costs is None:
            return [labels]
        costs, share = data.costs, 0.5 if config.share is None else config.share
        main = data.choose(config.delegate)
        cheap = sorted(labels, key=lambda label: (costs.delegates[label], label))
        sets = [tuple(sorted(cheap[:size])) for size in range(len(cheap) + 1)] + [(label,) for label in cheap]
        kept = [asked for asked in dict.fromkeys(sets) if affordable(costs, asked, main, share, config.overhead)]
        if kept == [()]:
            LOG.info(
                "delegates are not asked before the decision: that would take more time than router.overhead allows"
            )
        return sorted(kept, key=lambda asked: sum(costs.delegates[label] for label in asked))

    def _cross_fitted(self, data: CalibrationData, asked: Labels) -> CrossFitted:
        if asked not in self._found:
            labels = self.candidates(data)
            names = choose_estimators(self.config, data.signals)
            expected = read_gains(data.signals, labels)
            self._found[asked] = cross_fit_gains(data, names, asked, labels, self.config.seed, expected=expected)
        return self._found[asked]

    def _learn_from(
        self, data: CalibrationData, asked: Labels, tried: Mapping[str, float] | None = None
    ) -> LearnedScores:
        """Scores by one set of features, of those delegates that are worth it."""
        crossed, labels = self._cross_fitted(data, asked), self.candidates(data)
        gains = data.gains(labels)
        kept = _worth_it(crossed.scores, gains, labels.index(data.choose(self.config.delegate)))
        model = GainModel.fit(crossed.form, crossed.at, crossed.wanted[:, kept])
        return LearnedScores(
            tuple(labels[i] for i in kept),
            crossed.scores[:, kept],
            asks=asked,
            state={"columns": (crossed.names,), "models": (model,)},
            report={"form": crossed.chosen, "areas": crossed.areas | area_bounds(gains), "asked": dict(tried or {})},
        )

    @property
    def fallback(self) -> Self | None:
        """The rule without the answers that it is decided by."""
        spare = self.state.fallback
        if spare is None:
            return None
        kept = ("confidence", "abstention", "calibration", "consults")
        return self.with_state(**{**dict(spare), **{name: getattr(self.state, name) for name in kept}})

    def cheaper(self, costs: AskingCosts, share: float) -> Router[Any] | None:
        """The same without asking anybody first, where that is not worth its time."""
        config = self.config
        if config.answer_features != "auto" or affordable(costs, self.asks, self.delegate, share, config.overhead):
            return None
        return type(self)(config.model_copy(update={"answer_features": "none"}))

    def at_share(self, share: float, signals: Signals) -> Self:
        """A router like this one, its threshold where ``share`` of these queries is replaced."""
        moved, spare = super().at_share(share, signals), self.fallback
        if spare is not None:
            threshold = spare.at_share(share, signals).state.threshold
            placed = self.state.fallback.model_copy(update={"threshold": threshold, "by_score": True})
            moved.update(fallback=placed)
        return moved


def _worth_it(crossed: Float64, gains: Float64, main: int) -> list[int]:
    """All delegates where choosing among them gains more than the best one alone; else that one."""
    columns = list(range(gains.shape[1]))
    alone = max([main, *columns], key=lambda i: area(crossed[:, [i]], gains[:, [i]]))
    return columns if area(crossed, gains) > area(crossed[:, [alone]], gains[:, [alone]]) else [alone]

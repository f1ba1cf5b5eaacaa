"""The router: who answers each request, from uncertainty, fitted to validation queries only.

A kind of router learns a *score* per delegate: the larger, the sooner that delegate answers instead of the policy. All
that kinds have in common is learned here: the *risk* = P(the policy's answer is worse than the delegate's), the
*threshold* above which the delegate answers, the *confidence* = P(the target is among the ten best).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from math import log
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from reasonrec_core.components import Configured
from reasonrec_core.errors import PluginError
from reasonrec_core.evaluate.schema import finite
from reasonrec_core.routing.calibration_data import AskingCosts, CalibrationData
from reasonrec_core.routing.confidence import (
    fit_confidence,
    fit_confidence_calibration,
    hold_back,
    place_abstention,
    raw_confidence,
    recalibrate,
    ways_of,
)
from reasonrec_core.routing.config import NOTHING, WHOLE, RouterConfig
from reasonrec_core.routing.consulting import HORIZON, compare_consulting, wants_advice
from reasonrec_core.routing.decision import Assignment, Decisions, Names, Reasons, Rows
from reasonrec_core.routing.signals import AnswerFeatures, Signals, count_queries, signal, single, take_signals
from reasonrec_core.routing.state import (
    LearnedScores,
    RouterState,
    build_state,
    check_calibration_data,
    place_threshold,
    probability,
)
from reasonrec_core.types import Bool, Float32, Float64, Int64, Route, format_percent

C = TypeVar("C", bound=RouterConfig)

ROUTES = np.array([str(Route.SELF), str(Route.REPLACE)], object)
FORMAT = 3
"""Of what `Router.to_dict` gives; `read_router` reads no other."""


class Router(Configured[C]):
    """Decides who answers each request: the policy by itself or with delegates' answers in view, a delegate, or nobody.

    A kind sets ``Config`` (a subclass of `RouterConfig`) and implements `learn`, `score` and `columns`. What it has
    learned is a ``State`` (a subclass of `RouterState`) that `learn` fills and ``self.state`` holds.
    """

    Config: ClassVar[type[RouterConfig]] = RouterConfig
    State: ClassVar[type[RouterState]] = RouterState
    features: ClassVar[AnswerFeatures] = AnswerFeatures()
    """What it looks at besides estimators: what a request and delegates' answers to it tell."""
    in_turn: ClassVar[bool] = False
    """Whether delegates are asked one after another, until one of them is good enough (`accepts_level`)."""

    def __init__(self, config: C, state: RouterState | None = None) -> None:
        super().__init__(config)
        self._state: Any = state

    @abstractmethod
    def learn(self, data: CalibrationData) -> LearnedScores:
        """Learn a score per delegate from B validation queries."""

    @abstractmethod
    def score(self, signals: Signals) -> Float64:
        """float64[B, D]: what each delegate's answer is worth against the policy's, at single precision (`single`)."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The signals that scores follow from."""

    def explain(self, signals: Signals, assigned: Assignment) -> list[str]:
        """Why each query goes where it goes: what stands behind "X answers: "; by default its place in the order."""
        by, words = "expected gain" if self.state.by_score else "risk", self.state.threshold.words
        return [(f"{by} {at:+.4f}" if abs(at) >= 5e-5 else f"no {by}") + words(at, "+.4f") for at in assigned.order]

    def fit(self, data: CalibrationData, *, with_confidence: bool = True) -> Self:
        """Learn from validation queries.

        Args:
            data: the queries.
            with_confidence: whether it learns how sure answers are (most of the time); else every answer is given.

        Raises:
            ConfigError: an unknown delegate, no estimator for ``stage = "before"``, or a risk out of reach.
            PluginError: signals that are missing, misshapen or NaN.
        """
        check_calibration_data(self.config, data)
        self._state = self.build_state(data, self.learn(data))
        if with_confidence:
            self.learn_confidence(data)
        return self

    def learn_confidence(self, data: CalibrationData) -> None:
        """Learn how sure answers are, and which are too little confident to be given."""
        models = {"": fit_confidence(self.config, data, data.policy)}
        models |= {label: fit_confidence(self.config, data, label) for label in self.delegates}
        self.update(confidence=models)
        self.place_abstention(data)

    def build_state(self, data: CalibrationData, learned: LearnedScores) -> Any:
        """What follows for all kinds from what a kind has learned."""
        return build_state(self.State, self.config, data, learned)

    def place_abstention(self, data: CalibrationData) -> None:
        """Place the threshold on doubt, where ``abstain`` or ``selective_risk`` is wanted, and report it.

        Raises:
            ConfigError: a selective risk out of reach.
        """
        config = self.config
        if config.abstain is None and config.selective_risk is None:
            return
        placed, found = place_abstention(config, self.decide(data.signals, data.keys).confidence, data.keys)
        self.update(abstention=placed)
        self.note(abstention=found)

    def learn_consulting(self, data: CalibrationData, *, resamples: int = 10_000) -> None:
        """Consult delegates where ``consult`` says so, if that gains on validation; note what came of it."""
        if self.config.consult is not None:
            found = compare_consulting(self.config, data, resamples)
            self.update(consults=found["used"])
            self.note(consult=found)

    def calibrate_confidence(self, data: CalibrationData) -> None:
        """Learn what turns confidences into those that are stated; see `fit_confidence_calibration`."""
        bare = self.with_state(abstention=None, calibration={}).decide(data.signals, data.keys)
        maps = fit_confidence_calibration(self.config, data, self.delegates, ways_of(bare.route, bare.who))
        self.update(calibration=maps)

    def assign(self, signals: Signals, keys: Int64 | None = None) -> Assignment:
        """Whom B queries are to go to, worked out once from what is known before anybody answers for good."""
        idle = self.config.idle
        scores = np.full((count_queries(signals), len(self.delegates)), np.nan) if idle else self.score(signals)
        return self.assign_scores(signals, scores, scores.argmax(axis=1), keys)

    def assign_scores(self, signals: Signals, scores: Float64, first: Rows, keys: Int64 | None) -> Assignment:
        """The same from float64[B, D] scores and intp[B] which delegate would answer."""
        state = self.state
        gain = scores[:, 0] if scores.shape[1] == 1 else scores[np.arange(len(scores)), first]
        risk = partial(probability, state.worse, signals, gain)
        order = gain if state.by_score else single(risk())
        return Assignment(order, first, state.threshold(order, keys), scores, state.delegates, state.others, risk)

    def decide(
        self,
        signals: Signals,
        keys: Int64 | None = None,
        *,
        assigned: Assignment | None = None,
        answered: Names | None = None,
        consulted: Bool | None = None,
    ) -> Decisions:
        """Who answers each of B queries: the one rule of online answers, evaluation and replay.

        Args:
            signals: all that decisions and confidence follow from. Where a delegate answers before the policy thinks,
                signals of the stage "after" may be NaN.
            keys: int64[B] break ties, as in `fit`.
            assigned: what `assign` makes of these queries, where it is at hand.
            answered: str[B] the delegate that answered (after failures), "" for none; by default as `assign` chooses.
            consulted: bool[B] where delegates could be consulted, of those that are to be; everywhere by default.
        """
        known = assigned or self.assign(signals, keys)
        who = (known.who if answered is None else answered).copy()
        handed = who != ""
        advised = self.consults(signals, handed) & (True if consulted is None else consulted)
        route = ROUTES.take(handed)
        route[advised] = str(Route.CONSULT)
        sure = self.state_confidence(signals, route, who)
        withheld, gives = hold_back(self.state.abstention, sure, keys), who.copy()
        route[withheld], who[withheld] = str(Route.ABSTAIN), ""

        def explain(rows: Rows) -> list[str]:
            part = signals if len(rows) == len(route) else take_signals(signals, rows)
            nothing = WHOLE if self.state.batches else NOTHING
            why = [nothing] * len(rows) if self.config.idle else self.explain(part, known.take(rows))
            words = [f"{name or 'the policy'} answers: {each}" for name, each in zip(gives[rows], why, strict=True)]
            for at, row in enumerate(rows):
                if advised[row]:
                    cold = f"{HORIZON} {signal(part, HORIZON).total[at]:.2f} > {self.config.consult:.2f}"
                    words[at] = f"the policy decides after seeing the delegates' answers ({cold}); {words[at]}"
                if withheld[row]:
                    least, own = (format_percent(c, 1) for c in (1 - self.state.abstention.level, sure[row]))
                    words[at] = f"no answer is given: the confidence is {own}, {least} is needed; otherwise {words[at]}"
            return words

        return Decisions(route, who, known, sure, Reasons(len(route), explain))

    def consults(self, signals: Signals, replaced: Bool) -> Bool:
        """bool[B]: where delegates are consulted, of those queries that are not ``replaced``."""
        return ~replaced & wants_advice(self.config, signals) if self.state.consults else np.zeros_like(replaced)

    def confidence(self, signals: Signals, who: Names | None = None) -> Float32:
        """float32[B]: P(the target is among the ten best) before it is recalibrated, as `raw_confidence` has it."""
        who = np.full(count_queries(signals), "", object) if who is None else who
        return raw_confidence(self.config, self.state.confidence, signals, who)

    def state_confidence(self, signals: Signals, route: Names, who: Names) -> Float32:
        """float32[B]: how sure each answer is, as it is stated; by its route and the delegate that gives it."""
        return recalibrate(self.confidence(signals, who), self.state.calibration, route, who)

    def accepts_level(self, level: int, signals: Signals, keys: Int64 | None = None) -> Bool:
        """bool[B]: whether the answer of delegate number ``level`` is given; of routers that ask ``in_turn``."""
        raise PluginError(f"{type(self).__name__} asks delegates in turn, but does not say which answers it accepts")

    def at_share(self, share: float, signals: Signals) -> Self:
        """A router like this one, its threshold where ``share`` of these queries is replaced."""
        moved = self.with_state(self.config.at(share), by_score=True)
        return moved.with_state(threshold=place_threshold(moved.config, moved.assign(signals).order))

    def for_batch(self, size: int) -> Self:
        """The same, or one that hands nothing over, where that saved no time in batches of about this size."""
        measured = self.state.batches
        if size == 1 or not measured or measured[min(measured, key=lambda each: abs(log(each / max(size, 1))))]:
            return self
        return self.with_state(self.config.at(0.0))

    def with_state(self, config: RouterConfig | None = None, **changes: Any) -> Self:
        """The same with other settings, or with some of what it has learned replaced."""
        return type(self)(config or self.config, self.state.model_copy(update=changes))  # type: ignore[arg-type]

    def update(self, **changes: Any) -> None:
        """Replace some of what it has learned."""
        self._state = self.state.model_copy(update=changes)

    def note(self, **facts: Any) -> None:
        """Add to the `report`; a number that is not finite becomes None."""
        self.update(report={**self.state.report, **finite(facts)})

    @property
    def state(self) -> Any:
        """What it has learned: the kind's ``State``."""
        if self._state is None:
            raise PluginError("the router was used before it was calibrated")
        return self._state

    @property
    def delegate(self) -> str:
        """Whom replaced queries go to; of several, the one that is best on average."""
        return str(self.state.main)

    @property
    def delegates(self) -> tuple[str, ...]:
        """All that replaced queries may go to."""
        return tuple(self.state.delegates)

    @property
    def asks(self) -> tuple[str, ...]:
        """Delegates whose answers (as features) are looked at before it is decided."""
        return tuple(self.state.asks)

    @property
    def fallback(self) -> Self | None:
        """What decides where a delegate fails whose answer it would have been decided by; None without one."""
        return None

    def cheaper(self, costs: AskingCosts, share: float) -> Router[Any] | None:
        """An unfitted router to take instead where what is asked first takes too long at this share; None if not."""
        return None

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that decisions follow from, besides the keys."""
        consulting = (HORIZON,) if self.config.consult is not None else ()
        doubting = () if self.state.abstention is None else self.config.estimators
        return tuple(dict.fromkeys((*self.columns, *consulting, *doubting)))

    @property
    def report(self) -> Mapping[str, Any]:
        """How fitting went, on validation.

        ``share`` reached, ``kept_risk`` (mean risk of what the policy keeps), mean ``quality`` of policy and
        delegates and of both routed, ``level`` of the threshold, and cross-fitted quality of ``risk`` and
        ``confidence``. Share and routed quality were chosen on these very queries; the test part is honest.
        """
        own = self.state.confidence.get("")
        return {
            **self.state.report,
            "level": self.state.threshold.level,
            "orders_by": "score" if self.state.by_score else "risk",
            "risk": dict(self.state.worse.report),
            "confidence": dict(own[0].report) if own else {},
        }

    def to_dict(self) -> dict[str, Any]:
        """The fitted router as JSON values."""
        plain = {"format": FORMAT, "asks": list(self.asks), "in_turn": self.in_turn}
        return {**plain, "config": self.config.model_dump(mode="json"), "state": self.state.model_dump(mode="json")}

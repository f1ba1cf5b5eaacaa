"""The router: who answers each request, from uncertainty, calibrated on validation queries only.

Three things are learned: the *risk* = P(the policy's answer is worse than the delegate's), the *cut* above which the
delegate answers, and the *confidence* = P(the target is among the policy's ten best). What the cut is on, and which
delegate it is, depends on the kind: `learning.learn_threshold`, `deferral.learn_deferral`, `cascade.learn_cascade`,
`risk_control.learn_risk_control`, `table.learn_table`. An answer of too little confidence may be held back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.routing.abstention import cut_for_doubt, doubted, say_consulted, say_held
from reasonrec_core.routing.calibration import Recalibration
from reasonrec_core.routing.cascade import Cascade
from reasonrec_core.routing.confidence import answer_confidence
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.costs import Costs
from reasonrec_core.routing.cut import Cut
from reasonrec_core.routing.decision import Decisions, Judged, Reasons
from reasonrec_core.routing.deferral_model import Learned
from reasonrec_core.routing.fitting import Lessons, choose, cut_for
from reasonrec_core.routing.kinds import LEARN, STATES
from reasonrec_core.routing.rank_fusion import Fusion
from reasonrec_core.routing.threshold import HORIZON, Fitted, Names, Signals, signal
from reasonrec_core.types import Bool, Float32, Float64, Int64, Route


class Router:
    """Decides each query's `Route`.

    ``fusion`` is how answers are joined where delegates are consulted; who has the rankings fits it. ``stated`` turns
    confidences into those that are stated, by the way that a query goes (`routing.confidence_calibration`).

    Args:
        config: what the user wants; see `RouterConfig`.
    """

    def __init__(self, config: RouterConfig) -> None:
        self.config = config
        self._fitted: Fitted | Learned | None = None
        self.fusion: Fusion | None = None
        self.held: Cut | None = None
        self.stated: dict[str, Recalibration] = {}

    def calibrate(
        self,
        uncertainty: Signals,
        policy_quality: Float64,
        delegate_quality: Mapping[str, Float64],
        policy_hit: Bool | None,
        keys: Int64 | None = None,
        delegate_hit: Mapping[str, Bool] | None = None,
        costs: Costs | None = None,
        expected: Mapping[str, Float64] | None = None,
    ) -> None:
        """Learn from B validation queries; test queries must never come here.

        Args:
            uncertainty: every estimator of ``config.estimators`` on these queries.
            policy_quality: float64[B], such as NDCG@10 of the policy's answer.
            delegate_quality: the same of each delegate that may be chosen.
            policy_hit: bool[B], whether the target is among the policy's ten best; None: answers have no confidence.
            keys: int64[B] a number per query (its user) that breaks ties of equal risk; see `Cut`.
            delegate_hit: bool[B] of each delegate like ``policy_hit``; without it a delegate's answers have no
                confidence.
            costs: of asking; without them clues are asked for whatever they cost. expected: see `Evidence`.

        Raises:
            ConfigError: an unknown delegate, no estimator for ``stage = "before"``, or a risk out of reach.
            PluginError: signals that are missing, misshapen or NaN.
        """
        size = len(policy_quality)
        if not size:
            raise ConfigError("routing cannot be calibrated without validation queries", where="router")
        for name, values in {**delegate_quality, "policy": policy_quality, "hit": policy_hit}.items():
            if values is not None and len(values) != size:
                raise PluginError(f"quality of {name!r} has {len(values)} values, expected {size}")
        choose(self.config, delegate_quality)
        early = tuple(n for n in self.config.estimators if signal(uncertainty, n).stage == "before")
        used = early if self.config.stage == "before" else self.config.estimators
        known = policy_quality, delegate_quality, policy_hit, delegate_hit or {}
        lessons = Lessons(uncertainty, used, early, *known, keys, costs, expected)
        if self.config.consult is not None:
            signal(uncertainty, HORIZON)
        self._fitted = LEARN[self.config.kind](self.config, lessons)

    def hold_back(self, uncertainty: Signals, keys: Int64 | None = None) -> None:
        """Place the cut on confidence, where ``abstain`` or ``selective_risk`` is wanted, and say what came of it.

        Raises:
            ConfigError: a selective risk out of reach.
        """
        config = self.config
        if config.abstain is None and config.selective_risk is None:
            return
        doubt = doubted(self.decide(uncertainty, keys).confidence)
        self.held = cut_for_doubt(config, doubt)
        kept = ~self.held(doubt, keys)
        risk = float(doubt[kept].mean()) if kept.any() else None
        self.note(abstention={"coverage": float(kept.mean()), "risk": risk, "level": 1.0 - self.held.level})

    def place(self, uncertainty: Signals) -> None:
        """Move the cut so that the wanted share or risk holds on these queries, whose answers nobody needs to know.

        Users who are asked again have longer histories than on validation, so signals drift and a cut placed on
        validation replaces another share than was wanted. Risk and confidence stay as they were learned.

        Raises:
            ConfigError: a risk out of reach.
        """
        state = self._state
        state.cut = cut_for(self.config, state.order(uncertainty))
        if (spare := self.spare) is not None:
            spare.place(uncertainty)

    @property
    def delegate(self) -> str:
        """Whom replaced queries go to; of several, the one that is best on average (see `who`)."""
        return self._state.delegate

    @property
    def delegates(self) -> tuple[str, ...]:
        """All that replaced queries may go to."""
        return self._state.delegates

    def note(self, **facts: Any) -> None:
        """Add to the `report`."""
        self._state.report.update(facts)

    @property
    def report(self) -> Mapping[str, Any]:
        """How calibration went, on validation.

        ``share`` reached, ``kept_risk`` (mean risk of what the policy keeps), mean ``quality`` of policy and
        delegates and of both routed, ``level`` of the cut, and cross-fitted quality of ``risk`` and ``confidence``.
        The share and the routed quality were chosen on these very queries; the test part has the honest figures.
        """
        return self._state.summary()

    def judge(self, uncertainty: Signals, keys: Int64 | None = None) -> Judged:
        """All that decisions follow from, worked out once; `replaced` tells those where a delegate answers."""
        return self._state.judge(uncertainty, keys)

    def replaced(self, judged: Judged, keys: Int64 | None = None) -> Bool:
        """bool[B]: True where the delegate answers. ``keys`` break ties, as in `calibrate`."""
        return self._state.cut(judged.order, keys)

    def risk(self, uncertainty: Signals) -> Float32:
        """float32[B]: calibrated P(the policy's answer is worse than the delegate's)."""
        return self.judge(uncertainty).risk

    def gain(self, uncertainty: Signals) -> Float32:
        """float32[B]: what a share is ordered by.

        Of a threshold P(the delegate's answer is better than the policy's) - P(it is worse); of learned deferral the
        expected difference in quality.
        """
        return self.judge(uncertainty).gain

    def who(self, uncertainty: Signals, keys: Int64 | None = None) -> Names:
        """str[B]: the delegate that answers a query if one does."""
        return self.judge(uncertainty, keys).who

    @property
    def in_turn(self) -> bool:
        """Whether delegates are asked one after another, until one of them is good enough."""
        return isinstance(self._state, Cascade)

    def level(self, level: int, uncertainty: Signals) -> Float64:
        """float64[B]: of a router that asks in turn, what the answer of its delegate number ``level`` is worth."""
        return self._levels.level(level, uncertainty)

    def accepts(self, scores: Float64, keys: Int64 | None = None) -> Bool:
        """bool[B]: of a router that asks in turn, whether answers that are worth so much are given."""
        return self._levels.accepts(scores, keys)

    def judge_levels(self, scores: Float64, keys: Int64 | None = None) -> Judged:
        """`judge` from float64[B, D] of `level`, -inf where a delegate was not asked or did not answer."""
        return self._levels.judge_levels(scores, keys)

    @property
    def _levels(self) -> Cascade:
        assert isinstance(self._state, Cascade)
        return self._state

    @property
    def spare(self) -> Router | None:
        """What decides where a delegate fails whose answer it would have been decided by; None without one."""
        spare = getattr(self._state, "spare", None)
        return None if spare is None else self._with(self.config, spare)

    def _with(self, config: RouterConfig, state: Fitted | Learned) -> Self:
        made = type(self)(config)
        made._fitted, made.fusion, made.held, made.stated = state, self.fusion, self.held, self.stated
        return made

    @property
    def asks(self) -> tuple[str, ...]:
        """Delegates whose answers (as `clues`) are looked at before it is decided."""
        return self._state.asks

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that decisions follow from, besides the keys."""
        consulting = (HORIZON,) if self.config.consult is not None else ()
        held = () if self.held is None else self.config.estimators
        return tuple(dict.fromkeys((*self._state.signals, *consulting, *held)))

    def at_share(self, share: float, uncertainty: Signals) -> Self:
        """A router like this one, its cut where ``share`` of these queries is replaced."""
        moved = self._with(self.config.at(share), self._state.by_share())
        moved.place(uncertainty)
        return moved

    def replace(self, uncertainty: Signals, keys: Int64 | None = None) -> Bool:
        """bool[B]: True where the delegate would answer, were no answer held back."""
        return self.replaced(self.judge(uncertainty, keys), keys)

    def decide(
        self,
        signals: Signals,
        keys: Int64 | None = None,
        *,
        judged: Judged | None = None,
        answered: Names | None = None,
        fused: Bool | None = None,
    ) -> Decisions:
        """Who answers each of B queries: the one rule of online answers, evaluation and replay.

        Online, some of it has happened by then. What `judge` and `replaced` choose from early signals alone is asked,
        and what came of it is given here.

        Args:
            signals: all that decisions and confidence follow from. Where a delegate answers before the policy thinks,
                signals of the stage "after" may be NaN.
            keys: int64[B] break ties, as in `calibrate`.
            judged: what `judge` makes of these queries, where it is at hand.
            answered: str[B] the delegate that answered, "" where none did; the router's choice by default. Another one
                where delegates failed.
            fused: bool[B] where policy and delegates could be joined, of those that are consulted; everywhere by
                default.
        """
        judged = judged or self.judge(signals, keys)
        if answered is None:
            replaced = self.replaced(judged, keys)
            who = np.where(replaced, judged.who, "").astype(object)
        else:
            replaced, who = np.asarray(answered != "", np.bool_), answered.copy()
        together = self.consults(signals, replaced)
        if fused is not None:
            together &= fused
        sure = answer_confidence(self, signals, replaced, who, together)
        held = self.abstains(sure, keys)
        route = np.full(len(replaced), str(Route.SELF), object)
        route[replaced], route[together], route[held] = str(Route.REPLACE), str(Route.CONSULT), str(Route.ABSTAIN)
        who[held] = ""
        known = judged

        def explain(rows: npt.NDArray[np.intp]) -> list[str]:
            part = signals if len(rows) == len(replaced) else {n: u.take(rows) for n, u in signals.items()}
            words = self._state.words(part, known.take(rows), replaced[rows])
            if self.config.consult is not None and together[rows].any():
                say_consulted(words, together[rows], signal(part, HORIZON).total, self.config.consult)
            if self.held is not None:
                say_held(words, held[rows], sure[rows], self.held)
            return words

        return Decisions(route, who, judged.risk, judged.gain, sure, Reasons(len(route), explain))

    def abstains(self, sure: Float32, keys: Int64 | None = None) -> Bool:
        """bool[B]: where an answer of this confidence is held back."""
        return np.zeros(len(sure), np.bool_) if self.held is None else self.held(doubted(sure), keys)

    def consults(self, uncertainty: Signals, replaced: Bool) -> Bool:
        """bool[B]: where delegates are consulted, of those queries that are not ``replaced``."""
        alone = self.fusion is not None and len(self.fusion.systems) == 1
        if self.config.consult is None or alone:  # who is asked adds nothing: the policy answers alone
            return np.zeros(len(replaced), np.bool_)
        cold = signal(uncertainty, HORIZON).total > self.config.consult
        return np.asarray(~replaced & cold & self._state.consulting(uncertainty), np.bool_)

    def confidence(self, uncertainty: Signals, who: Names | None = None) -> Float32:
        """float32[B]: calibrated P(the target is among the ten best), from all the signals that are there.

        Before the policy has answered, those are the estimators with ``stage == "before"``.

        Args:
            uncertainty: signals of B queries.
            who: str[B] whose answers are meant; the policy's if None.
        """
        return self._state.confidence(uncertainty, who)

    def knows_hits(self, of_delegates: bool) -> bool:
        """Whether it was calibrated with hits of the policy, or of delegates, so that `confidence` can be asked for."""
        state = self._state
        return bool(state.delegate_confidences if of_delegates else state.confidences)

    def to_dict(self) -> dict[str, Any]:
        """The calibrated router as JSON values."""
        parts = {"fusion": self.fusion, "held": self.held}
        told: dict[str, Any] = {name: part.to_dict() for name, part in parts.items() if part is not None}
        if self.stated:
            told["stated"] = {way: each.to_dict() for way, each in self.stated.items()}
        return {"config": self.config.model_dump(mode="json"), **self._state.to_dict(), **told}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        router = cls(RouterConfig.model_validate(value["config"]))
        router._fitted = STATES[router.config.kind].from_dict(value)
        router.fusion = Fusion.from_dict(value["fusion"]) if "fusion" in value else None
        router.held = Cut.from_dict(value["held"]) if "held" in value else None
        router.stated = {way: Recalibration.from_dict(each) for way, each in value.get("stated", {}).items()}
        return router

    @property
    def _state(self) -> Fitted | Learned:
        if self._fitted is None:
            raise PluginError("the router was used before it was calibrated")
        return self._fitted

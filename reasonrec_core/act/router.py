"""The router: who answers each request, from uncertainty, calibrated on validation queries only.

Three things are learned: the *risk* = P(the policy's answer is worse than the delegate's), the *cut* above which the
delegate answers, and the *confidence* = P(the target is among the policy's ten best). What the cut is on, and which
delegate it is, depends on the kind: `learning.learn_threshold`, `deferral.learn_deferral`,
`risk_control.learn_risk_control`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from reasonrec_core.act.config import RouterConfig
from reasonrec_core.act.deferral import Learned, learn_deferral
from reasonrec_core.act.fitted import HORIZON, Fitted, Names, Signals, signal
from reasonrec_core.act.fusion import Fusion
from reasonrec_core.act.learning import Lessons, choose, cut_for, learn_threshold
from reasonrec_core.act.risk_control import learn_risk_control
from reasonrec_core.act.table import Table, learn_table
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.types import Bool, Float32, Int64, Route, Uncertainty

Float64 = npt.NDArray[np.float64]

LEARN: Mapping[str, Callable[[RouterConfig, Lessons], Fitted | Learned]] = {
    "threshold": learn_threshold,
    "deferral": learn_deferral,
    "risk-control": learn_risk_control,
    "table": learn_table,
}
STATES: Mapping[str, type[Fitted] | type[Learned]] = {
    "threshold": Fitted,
    "deferral": Learned,
    "risk-control": Learned,
    "table": Table,
}


class Router:
    """Decides `Route.SELF`, `Route.REPLACE` or `Route.CONSULT` for each query.

    ``fusion`` is how answers are joined where delegates are consulted; who has the rankings fits it.

    Args:
        config: what the user wants; see `RouterConfig`.
    """

    def __init__(self, config: RouterConfig) -> None:
        self.config = config
        self._fitted: Fitted | Learned | None = None
        self.fusion: Fusion | None = None

    def calibrate(
        self,
        uncertainty: Signals,
        policy_quality: Float64,
        delegate_quality: Mapping[str, Float64],
        policy_hit: Bool,
        keys: Int64 | None = None,
        delegate_hit: Mapping[str, Bool] | None = None,
    ) -> None:
        """Learn from B validation queries; test queries must never come here.

        Args:
            uncertainty: every estimator of ``config.estimators`` on these queries.
            policy_quality: float64[B], such as NDCG@10 of the policy's answer.
            delegate_quality: the same of each delegate that may be chosen.
            policy_hit: bool[B], whether the target is among the policy's ten best.
            keys: int64[B] a number per query (its user) that breaks ties of equal risk; see `Cut`.
            delegate_hit: bool[B] of each delegate like ``policy_hit``; without it a delegate's answers have no
                confidence.

        Raises:
            ConfigError: an unknown delegate, no estimator for ``stage = "before"``, or a risk out of reach.
            PluginError: signals that are missing, misshapen or NaN.
        """
        size = len(policy_quality)
        if not size:
            raise ConfigError("routing cannot be calibrated without validation queries", where="router")
        for name, values in {**delegate_quality, "policy": policy_quality, "hit": policy_hit}.items():
            if len(values) != size:
                raise PluginError(f"quality of {name!r} has {len(values)} values, expected {size}")
        choose(self.config, delegate_quality)
        early = tuple(n for n in self.config.estimators if signal(uncertainty, n).stage == "before")
        used = early if self.config.stage == "before" else self.config.estimators
        lessons = Lessons(
            uncertainty, used, early, policy_quality, delegate_quality, policy_hit, delegate_hit or {}, keys
        )
        if self.config.consult is not None:
            signal(uncertainty, HORIZON)
        self._fitted = LEARN[self.config.kind](self.config, lessons)

    def place(self, uncertainty: Signals) -> None:
        """Move the cut so that the wanted share or risk holds on these queries, whose answers nobody needs to know.

        Users who are asked again have longer histories than on validation, so signals drift and a cut placed on
        validation replaces another share than was wanted. Risk and confidence stay as they were learned.

        Raises:
            ConfigError: a risk out of reach.
        """
        state = self._state
        state.cut = cut_for(self.config, state.order(uncertainty))

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

    def risk(self, uncertainty: Signals) -> Float32:
        """float32[B]: calibrated P(the policy's answer is worse than the delegate's)."""
        return self._state.risk(uncertainty)

    def gain(self, uncertainty: Signals) -> Float32:
        """float32[B]: what a share is ordered by.

        Of a threshold P(the delegate's answer is better than the policy's) - P(it is worse); of learned deferral the
        expected difference in quality.
        """
        return self._state.gain(uncertainty)

    def who(self, uncertainty: Signals) -> Names:
        """str[B]: the delegate that answers a query if one does."""
        return self._state.who(uncertainty)

    @property
    def asks(self) -> tuple[str, ...]:
        """Delegates whose answers (as `clues`) are looked at before it is decided."""
        return self._state.asks

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that decisions follow from, besides the keys."""
        consulting = (HORIZON,) if self.config.consult is not None else ()
        return tuple(dict.fromkeys((*self._state.signals, *consulting)))

    def at_share(self, share: float, uncertainty: Signals) -> Self:
        """A router that learned the same, its cut where ``share`` of these queries is replaced."""
        moved = type(self)(self.config.at(share))
        moved._fitted, moved.fusion = self._state.by_share(), self.fusion
        moved.place(uncertainty)
        return moved

    def replace(self, uncertainty: Signals, keys: Int64 | None = None) -> Bool:
        """bool[B]: True where the delegate answers. ``keys`` break ties, as in `calibrate`."""
        return self._state.cut(self._state.order(uncertainty), keys)

    def routes(self, uncertainty: Signals, keys: Int64 | None = None) -> tuple[Route, ...]:
        """The route of each query."""
        replaced = self.replace(uncertainty, keys)
        kept = np.where(self.consults(uncertainty, replaced), Route.CONSULT, Route.SELF)
        return tuple(Route(each) for each in np.where(replaced, Route.REPLACE, kept))

    def consults(self, uncertainty: Signals, replaced: Bool) -> Bool:
        """bool[B]: where delegates are consulted, of those queries that are not ``replaced``."""
        if self.config.consult is None:
            return np.zeros(len(replaced), np.bool_)
        cold = signal(uncertainty, HORIZON).total > self.config.consult
        return np.asarray(~replaced & cold & self._state.consulting(uncertainty), np.bool_)

    def confidence(self, uncertainty: Signals, *, of_delegate: bool = False) -> Float32:
        """float32[B]: calibrated P(the target is among the ten best), from all the signals that are there.

        Before the policy has answered, those are the estimators with ``stage == "before"``.

        Args:
            uncertainty: signals of B queries.
            of_delegate: whether the delegate's answer is meant, not the policy's.
        """
        return self._state.confidence(uncertainty, of_delegate)

    def reason(self, uncertainty: Signals, row: int, keys: Int64 | None = None) -> str:
        """Why query ``row`` goes where it goes, in words."""
        one = {n: Uncertainty(u.total[row : row + 1], u.stage) for n, u in uncertainty.items()}
        return self.reasons(one, None if keys is None else keys[row : row + 1])[0]

    def reasons(self, uncertainty: Signals, keys: Int64 | None = None) -> list[str]:
        """`reason` of all queries."""
        replaced = self.replace(uncertainty, keys)
        words, consulted = self._state.words(uncertainty, replaced), self.consults(uncertainty, replaced)
        for row in np.flatnonzero(consulted):
            known = signal(uncertainty, HORIZON).total[row]
            why = f"{HORIZON} {known:.2f} > {self.config.consult:.2f}"
            words[row] = f"the policy and the delegates answer together ({why}); {words[row]}"
        return words

    def to_dict(self) -> dict[str, Any]:
        """The calibrated router as JSON values."""
        return {"config": self.config.model_dump(mode="json"), **self._state.to_dict(), **self._fused()}

    def _fused(self) -> dict[str, Any]:
        return {} if self.fusion is None else {"fusion": self.fusion.to_dict()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        router = cls(RouterConfig.model_validate(value["config"]))
        router._fitted = STATES[router.config.kind].from_dict(value)
        router.fusion = Fusion.from_dict(value["fusion"]) if "fusion" in value else None
        return router

    @property
    def _state(self) -> Fitted | Learned:
        if self._fitted is None:
            raise PluginError("the router was used before it was calibrated")
        return self._fitted

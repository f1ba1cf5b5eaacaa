"""The router: who answers each request, from uncertainty, calibrated on validation queries only.

Three things are learned: the *risk* = P(the policy's answer is worse than the delegate's), the *cut* above which the
delegate answers, and the *confidence* = P(the target is among the policy's ten best). A further kind of router adds
its own ``kind`` to `RouterConfig` and its own decision on top of the same risk and confidence.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from reasonrec_core.act.calibration import Calibrated
from reasonrec_core.act.config import RouterConfig
from reasonrec_core.act.fitted import Fitted, Signals, matrix, order, signal
from reasonrec_core.act.threshold import Cut, cut_for_risk, cut_for_share
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.types import Bool, Float32, Int64, Route, Uncertainty

Float64 = npt.NDArray[np.float64]


class Router:
    """Decides `Route.SELF` or `Route.REPLACE` for each query.

    Args:
        config: what the user wants; see `RouterConfig`.
    """

    def __init__(self, config: RouterConfig) -> None:
        self.config = config
        self._fitted: Fitted | None = None

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
        delegate = self._choose(delegate_quality)
        early = tuple(n for n in self.config.estimators if signal(uncertainty, n).stage == "before")
        used = early if self.config.stage == "before" else self.config.estimators
        if not used:
            raise ConfigError(
                "no estimator works before the policy answers",
                where="router.estimators",
                fix='Add "evidence-horizon", or set router.stage = "after".',
            )
        at, seed = matrix(uncertainty, used, size), self.config.seed
        difference = np.asarray(delegate_quality[delegate] - policy_quality)
        worse, better = (Calibrated.fit(used, at, event, seed) for event in (difference > 0, difference < 0))
        by_advantage = self.config.share is not None
        place = order(worse, better, by_advantage, uncertainty)
        cut = self._cut(place)
        replaced = cut(place, keys)
        risk = worse(at)
        means = {n: float(np.mean(q)) for n, q in delegate_quality.items()}
        report = {
            "share": float(replaced.mean()),
            "kept_risk": float(risk[~replaced].mean()) if not replaced.all() else None,
            "quality": {"policy": float(np.mean(policy_quality)), **means},
            "routed_quality": float(np.mean(np.where(replaced, delegate_quality[delegate], policy_quality))),
        }
        own = self._confidences(uncertainty, early, policy_hit)
        theirs = self._confidences(uncertainty, early, delegate_hit[delegate]) if delegate_hit else ()
        self._fitted = Fitted(delegate, worse, better, by_advantage, cut, own, theirs, report)

    def _confidences(self, uncertainty: Signals, early: tuple[str, ...], hit: Bool) -> tuple[Calibrated, ...]:
        """P(hit) from all signals, and from those that need no answer."""
        event = np.asarray(hit, dtype=np.bool_)
        sets = [names for names in dict.fromkeys((self.config.estimators, early)) if names]
        return tuple(Calibrated.fit(n, matrix(uncertainty, n, len(event)), event, self.config.seed) for n in sets)

    def place(self, uncertainty: Signals) -> None:
        """Move the cut so that the wanted share or risk holds on these queries, whose answers nobody needs to know.

        Users who are asked again have longer histories than on validation, so signals drift and a cut placed on
        validation replaces another share than was wanted. Risk and confidence stay as they were learned.

        Raises:
            ConfigError: a risk out of reach.
        """
        state = self._state
        state.cut = self._cut(state.order(uncertainty))

    @property
    def delegate(self) -> str:
        """The name of the delegate that answers replaced queries."""
        return self._state.delegate

    @property
    def report(self) -> Mapping[str, Any]:
        """How calibration went, on validation.

        ``share`` reached, ``kept_risk`` (mean risk of what the policy keeps), mean ``quality`` of policy and
        delegates and of both routed, ``level`` of the cut, and cross-fitted quality of ``risk`` and ``confidence``.
        The share and the routed quality were chosen on these very queries; the test part has the honest figures.
        """
        state = self._state
        return {
            **state.report,
            "level": state.cut.level,
            "orders_by": "advantage" if state.by_advantage else "risk",
            "risk": dict(state.worse.report),
            "confidence": dict(state.confidences[0].report),
        }

    def risk(self, uncertainty: Signals) -> Float32:
        """float32[B]: calibrated P(the policy's answer is worse than the delegate's)."""
        model = self._state.worse
        return model(matrix(uncertainty, model.names)).astype(np.float32)

    def gain(self, uncertainty: Signals) -> Float32:
        """float32[B]: P(the delegate's answer is better than the policy's) - P(it is worse)."""
        state = self._state
        return order(state.worse, state.better, True, uncertainty).astype(np.float32)

    @property
    def signals(self) -> tuple[str, ...]:
        """The estimators that decisions follow from, besides the keys."""
        return self._state.worse.names

    def at_share(self, share: float, uncertainty: Signals) -> Self:
        """A router that learned the same, its cut where ``share`` of these queries is replaced."""
        moved = type(self)(self.config.model_copy(update={"share": share, "risk": None}))
        moved._fitted = replace(self._state, by_advantage=True)
        moved.place(uncertainty)
        return moved

    def replace(self, uncertainty: Signals, keys: Int64 | None = None) -> Bool:
        """bool[B]: True where the delegate answers. ``keys`` break ties, as in `calibrate`."""
        return self._state.cut(self._state.order(uncertainty), keys)

    def routes(self, uncertainty: Signals, keys: Int64 | None = None) -> tuple[Route, ...]:
        """The route of each query."""
        return tuple(Route.REPLACE if r else Route.SELF for r in self.replace(uncertainty, keys))

    def confidence(self, uncertainty: Signals, *, of_delegate: bool = False) -> Float32:
        """float32[B]: calibrated P(the target is among the ten best), from all the signals that are there.

        Before the policy has answered, those are the estimators with ``stage == "before"``.

        Args:
            uncertainty: signals of B queries.
            of_delegate: whether the delegate's answer is meant, not the policy's.
        """
        models = self._state.delegate_confidences if of_delegate else self._state.confidences
        for model in models:
            if set(model.names) <= set(uncertainty):
                return model(matrix(uncertainty, model.names)).astype(np.float32)
        raise PluginError(f"confidence needs the estimators {', '.join(self._state.confidences[-1].names)}")

    def reason(self, uncertainty: Signals, row: int, keys: Int64 | None = None) -> str:
        """Why query ``row`` goes where it goes, in words."""
        one = {n: Uncertainty(u.total[row : row + 1], u.stage) for n, u in uncertainty.items()}
        return self.reasons(one, None if keys is None else keys[row : row + 1])[0]

    def reasons(self, uncertainty: Signals, keys: Int64 | None = None) -> list[str]:
        """`reason` of all queries."""
        return self._state.words(uncertainty, self.replace(uncertainty, keys))

    def to_dict(self) -> dict[str, Any]:
        """The calibrated router as JSON values."""
        return {"config": self.config.model_dump(mode="json"), **self._state.to_dict()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        router = cls(RouterConfig.model_validate(value["config"]))
        router._fitted = Fitted.from_dict(value)
        return router

    @property
    def _state(self) -> Fitted:
        if self._fitted is None:
            raise PluginError("the router was used before it was calibrated")
        return self._fitted

    def _cut(self, risk: Float64) -> Cut:
        if self.config.share is not None:
            return cut_for_share(risk, self.config.share, self.config.seed)
        assert self.config.risk is not None
        return cut_for_risk(risk, self.config.risk, self.config.seed)

    def _choose(self, quality: Mapping[str, Float64]) -> str:
        if not quality:
            raise ConfigError("there is no delegate to route to", where="router.delegate", fix="Configure a delegate.")
        if self.config.delegate == "best":
            return max(sorted(quality), key=lambda name: float(np.mean(quality[name])))
        if self.config.delegate not in quality:
            near = difflib.get_close_matches(self.config.delegate, quality, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Delegates: {', '.join(sorted(quality))}, or 'best'."
            raise ConfigError(f"unknown delegate {self.config.delegate!r}", where="router.delegate", fix=hint)
        return self.config.delegate

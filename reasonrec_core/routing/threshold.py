"""What calibration learned, and how it is said."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.routing.cut import Cut
from reasonrec_core.routing.decision import Judged
from reasonrec_core.routing.logistic import Calibrated
from reasonrec_core.types import Float32, Float64, Int64, Uncertainty

Names = npt.NDArray[np.object_]
Signals = Mapping[str, Uncertainty]

HORIZON = "evidence-horizon"
"""The signal that says how little is known about a user."""
WORDS = {
    HORIZON: "how little is known about the user",
    "entropy": "how spread the policy's distribution is",
    "margin": "how close the runner-up is",
}


@dataclass
class Fitted:
    """The learned parts of a router.

    Attributes:
        delegate: who answers replaced queries.
        worse, better: P(the policy's answer is worse, better than the delegate's).
        by_advantage: whether queries are ordered by ``worse - better`` (a wanted share) or by ``worse`` (a wanted
            risk). Hits come in both or in neither where a query is easy or hopeless, so P(worse) alone is largest
            where P(better) is, too, and a share chosen by it costs more than a random one.
        cut: on that order.
        confidences: P(the target is among the policy's ten best) from all signals, and from the early ones.
        delegate_confidences: the same of the delegate's answer.
        report: how calibration went.
        others: further delegates for when it fails, the best on average first.
    """

    delegate: str
    worse: Calibrated
    better: Calibrated
    by_advantage: bool
    cut: Cut
    confidences: tuple[Calibrated, ...]
    delegate_confidences: tuple[Calibrated, ...]
    report: dict[str, Any]
    others: tuple[str, ...] = ()

    def judge(self, uncertainty: Signals, keys: Int64 | None = None) -> Judged:
        """All that is made of B queries."""
        at = matrix(uncertainty, self.worse.names)
        worse = self.worse(at)
        gain = (worse - self.better(at)).astype(np.float32)
        risk = worse.astype(np.float32)
        place = self.order_of(uncertainty, risk, gain)
        who = np.full(len(place), self.delegate, object)
        return Judged(place, who, risk, gain, gain[:, None].astype(np.float64), (self.delegate,), self.others)

    def order_of(self, uncertainty: Signals, risk: Float32, gain: Float32) -> Float64:
        """float64[B]: what the cut is on, at single precision, so that a cut at a value meets it exactly."""
        return np.asarray(gain if self.by_advantage else risk, np.float64)

    def order(self, uncertainty: Signals) -> Float64:
        """float64[B]: the same, from the signals alone."""
        return self.judge(uncertainty).order

    @property
    def signals(self) -> tuple[str, ...]:
        """What decisions follow from, besides the keys."""
        return self.worse.names

    @property
    def delegates(self) -> tuple[str, ...]:
        """Whom queries may go to: one."""
        return (self.delegate,)

    @property
    def asks(self) -> tuple[str, ...]:
        """Delegates whose answers are looked at before it is decided: none."""
        return ()

    def confidence(self, uncertainty: Signals, who: Names | None = None) -> Float32:
        """float32[B]: P(the target is among the ten best) of the policy's answer, or of the delegate's in ``who``.

        NaN for another delegate than the one whose answers are known: it answers only where that one failed.
        """
        if who is None:
            return confident(self.confidences, uncertainty)
        sure = confident(self.delegate_confidences, uncertainty)
        return np.where(who == self.delegate, sure, np.float32(np.nan))

    def consulting(self, uncertainty: Signals) -> npt.NDArray[np.bool_]:
        """bool[B]: where delegates may be consulted: everywhere."""
        return np.ones(len(signal(uncertainty, HORIZON).total), np.bool_)

    def by_share(self) -> Self:
        """The same, its order that of a wanted share."""
        return replace(self, by_advantage=True)

    def summary(self) -> dict[str, Any]:
        """How calibration went; `Router.report` says what is in it."""
        return {
            **self.report,
            "level": self.cut.level,
            "orders_by": "advantage" if self.by_advantage else "risk",
            "risk": dict(self.worse.report),
            "confidence": dict(self.confidences[0].report) if self.confidences else {},
        }

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "delegate": self.delegate,
            "worse": self.worse.to_dict(),
            "better": self.better.to_dict(),
            "by_advantage": self.by_advantage,
            "cut": self.cut.to_dict(),
            "confidence": [m.to_dict() for m in self.confidences],
            "delegate_confidence": [m.to_dict() for m in self.delegate_confidences],
            "report": self.report,
            "others": list(self.others),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(
            value["delegate"],
            Calibrated.from_dict(value["worse"]),
            Calibrated.from_dict(value["better"]),
            bool(value["by_advantage"]),
            Cut.from_dict(value["cut"]),
            tuple(Calibrated.from_dict(m) for m in value["confidence"]),
            tuple(Calibrated.from_dict(m) for m in value["delegate_confidence"]),
            dict(value["report"]),
            tuple(value.get("others", ())),
        )

    def words(self, uncertainty: Signals, judged: Judged, replaced: npt.NDArray[np.bool_]) -> list[str]:
        """Why each query goes where it goes."""
        names = self.worse.names
        values = np.stack([signal(uncertainty, n).total for n in names], axis=1)
        at = matrix(uncertainty, names)
        rows = zip(self.worse(at), self.better(at), judged.order, replaced, values, strict=True)
        return [self._words(float(w), float(b), float(p), bool(r), v) for w, b, p, r, v in rows]

    def _words(self, worse: float, better: float, place: float, replaced: bool, values: Float32) -> str:
        signals = "; ".join(
            f"{name} {value:.2f}{f' ({WORDS[name]})' if name in WORDS else ''}"
            for name, value in zip(self.worse.names, values, strict=True)
        )
        who = self.delegate if replaced else "the policy"
        level = self.cut.level
        sign = "=" if place == level else ">" if place > level else "<"
        if not self.by_advantage:
            risk = f"risk {worse:.3f} {sign} {level:.3f} that the policy's answer is worse than {self.delegate}'s"
            return f"{who} answers: {risk}, from {signals}"
        chances = f"against {self.delegate} the policy is worse in {worse:.1%}, better in {better:.1%}"
        return f"{who} answers: {chances} of such cases (difference {place:+.3f} {sign} {level:+.3f}), from {signals}"


def confident(models: Sequence[Calibrated], uncertainty: Signals) -> Float32:
    """float32[B] by the first model all of whose signals are there."""
    for model in models:
        if set(model.names) <= set(uncertainty):
            return model(matrix(uncertainty, model.names)).astype(np.float32)
    needed = f" {', '.join(models[-1].names)}" if models else ""
    raise PluginError(f"confidence needs the estimators{needed}")


def signal(uncertainty: Signals, name: str) -> Uncertainty:
    """One estimator's values; an unknown name is a `ConfigError` that says what is near."""
    if name not in uncertainty:
        near = difflib.get_close_matches(name, uncertainty, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(uncertainty)) or 'none'}."
        raise ConfigError(f"no uncertainty estimator {name!r}", where="router.estimators", fix=hint)
    return uncertainty[name]


def matrix(uncertainty: Signals, names: Sequence[str], size: int | None = None) -> Float64:
    """float64[B, len(names)], checked."""
    columns = [signal(uncertainty, name).total for name in names]
    for name, total in zip(names, columns, strict=True):
        size = len(total) if size is None else size
        if np.shape(total) != (size,):
            raise PluginError(f"uncertainty {name!r} has shape {np.shape(total)}, expected ({size},)")
    made = np.array(columns, np.float64).T.copy()
    if not np.isfinite(made).all():
        name = names[int(np.flatnonzero(~np.isfinite(made).all(axis=0))[0])]
        raise PluginError(f"uncertainty {name!r} is not finite everywhere")
    return made

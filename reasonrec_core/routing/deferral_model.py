"""What learned deferral has learned: per delegate the quality that a request gains or loses if it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from reasonrec_core.routing.cut import Cut
from reasonrec_core.routing.decision import Judged
from reasonrec_core.routing.gain_model import Regression, read_regression
from reasonrec_core.routing.logistic import Calibrated
from reasonrec_core.routing.threshold import Names, Signals, confident, matrix, signal
from reasonrec_core.types import Bool, Float32, Float64, Int64


@dataclass
class Learned:
    """The learned parts.

    Attributes:
        delegate: the one that is best on average.
        delegates: whom requests may go to, in the order of ``models``.
        asks: whose answers are looked at before it is decided.
        columns: per model what it looks at: estimators and clues.
        models: per delegate, its quality minus the policy's.
        worse, better: P(the policy's answer is worse, better than that of the best delegate) by its score.
        by_gain: whether queries are ordered by the score (a wanted share) or by ``worse`` (a wanted risk).
        cut: on that order.
        confidences: P(the target is among the policy's ten best) from all estimators, and from the early ones.
        delegate_confidences: the same of each delegate's answers; empty where they are not known.
        report: how calibration went.
        others: further delegates for when those fail, the best on average first.
        spare: what decides without ``asks``, for when one of them fails; None where nobody is asked.
    """

    in_turn: ClassVar[bool] = False
    """Whether delegates are asked one after another, until one of them is good enough."""

    delegate: str
    delegates: tuple[str, ...]
    asks: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    models: tuple[Regression, ...]
    worse: Calibrated
    better: Calibrated
    by_gain: bool
    cut: Cut
    confidences: tuple[Calibrated, ...]
    delegate_confidences: tuple[tuple[Calibrated, ...], ...]
    report: dict[str, Any]
    others: tuple[str, ...] = ()
    spare: Learned | None = None

    @property
    def signals(self) -> tuple[str, ...]:
        """What decisions follow from, besides the keys."""
        return tuple(dict.fromkeys(name for names in self.columns for name in names))

    def scores(self, uncertainty: Signals) -> Float64:
        """float64[B, D]: expected quality of each delegate's answer minus the policy's."""
        at = {names: matrix(uncertainty, names) for names in dict.fromkeys(self.columns)}
        pairs = zip(self.models, self.columns, strict=True)
        return single(np.stack([model(at[names]) for model, names in pairs], axis=1))

    def judge(self, uncertainty: Signals, keys: Int64 | None = None) -> Judged:
        """All that is made of B queries."""
        scores = self.scores(uncertainty)
        return self.judged(scores, scores.argmax(axis=1))

    def judged(self, scores: Float64, best: npt.NDArray[np.intp]) -> Judged:
        """The same, from float64[B, D] scores and intp[B] which delegate would answer."""
        top = scores[np.arange(len(scores)), best]
        risk = self.worse(top[:, None]).astype(np.float32)
        order = top if self.by_gain else risk.astype(np.float64)
        who = np.array(self.delegates, object)[best]
        return Judged(order, who, risk, top.astype(np.float32), scores, self.delegates, self.others)

    def order(self, uncertainty: Signals) -> Float64:
        """float64[B]: what the cut is on; the larger, the sooner a delegate answers."""
        return self.judge(uncertainty).order

    def confidence(self, uncertainty: Signals, who: Names | None = None) -> Float32:
        """float32[B]: P(the target is among the ten best) of the policy's answer, or of the delegates' in ``who``.

        NaN for a delegate whose answers are not known: it answers only where others failed.
        """
        if who is None or not self.delegate_confidences:
            return confident(self.confidences if who is None else (), uncertainty)
        sure = np.full(len(who), np.nan, np.float32)
        for label, models in zip(self.delegates, self.delegate_confidences, strict=True):
            if (rows := who == label).any():
                sure[rows] = confident(models, uncertainty)[rows]
        return sure

    def consulting(self, uncertainty: Signals) -> Bool:
        """bool[B]: where delegates may be consulted: everywhere."""
        return np.ones(len(signal(uncertainty, self.columns[0][0]).total), np.bool_)

    def by_share(self) -> Self:
        """The same, its order that of a wanted share."""
        return replace(self, by_gain=True, spare=self.spare and self.spare.by_share())

    def summary(self) -> dict[str, Any]:
        """How calibration went; `Router.report` says what is in it."""
        return {
            **self.report,
            "level": self.cut.level,
            "orders_by": "expected gain" if self.by_gain else "risk",
            "risk": dict(self.worse.report),
            "confidence": dict(self.confidences[0].report) if self.confidences else {},
        }

    def words(self, uncertainty: Signals, judged: Judged, replaced: Bool) -> list[str]:
        """Why each query goes where it goes."""
        top = judged.gain.astype(np.float64)
        rows = zip(replaced, judged.who, top, judged.risk, self.better(top[:, None]), judged.order, strict=True)
        return [self._words(bool(r), str(w), *(float(v) for v in values)) for r, w, *values in rows]

    def _words(self, replaced: bool, who: str, gain: float, worse: float, better: float, place: float) -> str:
        level = self.cut.level
        sign = "=" if place == level else ">" if place > level else "<"
        wanted = f"{sign} {level:+.4f}" if self.by_gain else f"and a risk of {place:.3f} {sign} {level:.3f}"
        told = f"{who}'s answer is worth {gain:+.4f} against the policy's ({wanted})"
        sure = f"at least as good in {1 - better:.1%} of such cases, better in {worse:.1%}"
        source = "the history and answers" if self.asks else "the history"
        return f"{who if replaced else 'the policy'} answers: {told}, {sure}, from {source}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "delegate": self.delegate,
            "delegates": list(self.delegates),
            "asks": list(self.asks),
            "columns": [list(names) for names in self.columns],
            "models": [model.to_dict() for model in self.models],
            "worse": self.worse.to_dict(),
            "better": self.better.to_dict(),
            "by_gain": self.by_gain,
            "cut": self.cut.to_dict(),
            "confidence": [m.to_dict() for m in self.confidences],
            "delegate_confidence": [[m.to_dict() for m in each] for each in self.delegate_confidences],
            "report": self.report,
            "others": list(self.others),
            "spare": self.spare and self.spare.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(
            value["delegate"],
            tuple(value["delegates"]),
            tuple(value["asks"]),
            tuple(tuple(names) for names in value["columns"]),
            tuple(read_regression(m) for m in value["models"]),
            Calibrated.from_dict(value["worse"]),
            Calibrated.from_dict(value["better"]),
            bool(value["by_gain"]),
            Cut.from_dict(value["cut"]),
            tuple(Calibrated.from_dict(m) for m in value["confidence"]),
            tuple(tuple(Calibrated.from_dict(m) for m in each) for each in value["delegate_confidence"]),
            dict(value["report"]),
            tuple(value["others"]),
            Learned.from_dict(value["spare"]) if value["spare"] else None,
        )


def single(values: Float64) -> Float64:
    """At single precision, so that a cut at a value meets it exactly."""
    return values.astype(np.float32).astype(np.float64)

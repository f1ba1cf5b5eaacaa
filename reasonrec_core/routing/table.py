"""The risk table: evidence horizon times confidence says who answers.

Low risk (much is known about the user, and the answer is confident): a light delegate answers, which saves compute.
High risk (little is known, and the answer is not confident): delegates are consulted, where ``router.consult`` says so.
Otherwise the policy answers itself. Confidence is the calibrated P(the target is among the policy's ten best), from the
estimators that are there when it is decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.decision import Judged
from reasonrec_core.routing.fitting import Lessons, cut_for, decided, learn_threshold
from reasonrec_core.routing.threshold import HORIZON, Fitted, Signals, matrix, signal
from reasonrec_core.types import Bool, Float32, Float64

LOW = 0.3
"""Evidence horizon below which much is known about a user."""


@dataclass
class Table(Fitted):
    """The table's parts, besides those of a threshold.

    Attributes:
        stage: when it is decided.
        unsure: a confidence below this is low: the median on validation.
    """

    stage: str = "before"
    unsure: float = 0.0

    def sure(self, uncertainty: Signals) -> Float64:
        """float64[B]: confidence, from what is there when it is decided."""
        model = self.confidences[0 if self.stage == "after" else -1]
        return model(matrix(uncertainty, model.names)).astype(np.float32).astype(np.float64)

    @property
    def signals(self) -> tuple[str, ...]:
        """What decisions follow from, besides the keys."""
        return tuple(dict.fromkeys((HORIZON, *self.worse.names)))

    def order_of(self, uncertainty: Signals, risk: Float32, gain: Float32) -> Float64:
        """float64[B]: confidence, those of whom much is known before all others."""
        return self.sure(uncertainty) - (signal(uncertainty, HORIZON).total >= LOW)

    def consulting(self, uncertainty: Signals) -> Bool:
        """bool[B]: where the answer is not confident."""
        return np.asarray(self.sure(uncertainty) < self.unsure, np.bool_)

    def by_share(self) -> Self:
        """The same, its cut its own: a table has one order."""
        return replace(self)

    def summary(self) -> dict[str, Any]:
        """How calibration went; `Router.report` says what is in it."""
        return {**super().summary(), "orders_by": "risk table", "unsure": self.unsure}

    def words(self, uncertainty: Signals, judged: Judged, replaced: Bool) -> list[str]:
        """Why each query goes where it goes."""
        known, sure, place = signal(uncertainty, HORIZON).total, self.sure(uncertainty), judged.order
        told = []
        for row, gone in enumerate(replaced):
            who = self.delegate if gone else "the policy"
            much = "much is known" if known[row] < LOW else "not much is known"
            level = f"in the order {place[row]:+.3f}, delegated from {self.cut.level:+.3f}"
            told.append(f"{who} answers: {HORIZON} {known[row]:.2f} ({much}), confidence {sure[row]:.3f} ({level})")
        return told

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**super().to_dict(), "stage": self.stage, "unsure": self.unsure}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        made = super().from_dict(value)
        made.stage, made.unsure = str(value["stage"]), float(value["unsure"])
        return made


def learn_table(config: RouterConfig, lessons: Lessons) -> Table:
    """The delegate, and how far down the table's order it answers."""
    signal({name: lessons.uncertainty[name] for name in lessons.used if name in lessons.uncertainty}, HORIZON)
    base = learn_threshold(config, lessons)
    made = Table(**vars(base), stage=config.stage)
    judged = made.judge(lessons.uncertainty)
    place = judged.order
    made.cut, made.unsure = cut_for(config, place), float(np.median(made.sure(lessons.uncertainty)))
    replaced = made.cut(place, lessons.keys)
    made.report = decided(lessons, replaced, judged.risk.astype(np.float64), lessons.delegates[made.delegate])
    return made

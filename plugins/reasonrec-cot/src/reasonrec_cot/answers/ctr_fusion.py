"""P(click) of an item from where it stands with the tuned head and with delegates: logistic, weighed per horizon.

    log odds(u, i) = s + t c(u) + sum over sources v of (a_v + b_v c(u)) * logit p_v(u, i),    c(u) = C(u) - 1/2,

p_v being the share of the catalogue below item i among source v's scores (`ranking.percentile_rank`), C the evidence
horizon. Fitted on validation pairs, each target against items drawn from those that its user does not have, which
weigh as much as the target does: half of all mass is clicks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from reasonrec_core.types import Float32
from reasonrec_cot.answers.score_sources import GENERATOR, HEAD, YES, join_names, name_sources


@dataclass(frozen=True)
class CtrFusion:
    """Fitted weights.

    Attributes:
        sources: names, in the order of the weights.
        weights: per source, constant and per unit of C - 1/2.
        shift: the same of the log odds.
    """

    sources: tuple[str, ...]
    weights: tuple[tuple[float, float], ...]
    shift: tuple[float, float]

    def __call__(self, percentiles: Mapping[str, Float32], horizon: Float32) -> Float32:
        """float32[B, C] P(click) for float32[B, C] percentiles per source and float32[B] horizons."""
        tilt = (horizon.astype(np.float64) - 0.5)[:, None]
        odds = self.shift[0] + self.shift[1] * tilt
        for name, (constant, slope) in zip(self.sources, self.weights, strict=True):
            odds = odds + (constant + slope * tilt) * logit(percentiles[name].astype(np.float64))
        return np.asarray(expit(odds), dtype=np.float32)

    def describe(self, generator: str) -> str:
        """In words what clicks are judged by."""
        names = name_sources(self.sources, generator)
        if {HEAD, GENERATOR}.isdisjoint(self.sources) and YES in self.sources:
            return f"{join_names(names)} of the item in training, weighed together" if len(names) > 1 else names[0]
        return (
            f"its rank in the catalogue according to {join_names(names)}, which "
            f"{('rank' if len(names) > 1 else 'ranks')} it"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> CtrFusion:
        """From what `to_dict` gave."""
        first, second = stored["shift"]
        weights = tuple((float(a), float(b)) for a, b in stored["weights"])
        return cls(tuple(stored["sources"]), weights, (float(first), float(second)))

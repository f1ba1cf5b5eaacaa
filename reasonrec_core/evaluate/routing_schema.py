"""What the parts of `Results` have in common, and those that speak of routing: rule, confidence, quality, costs."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Record(BaseModel):
    """Base of the format's parts: more keys may come, null means missing, values are checked."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_missing(cls, value: Any) -> Any:
        """NaN and infinity become null; null goes where a field has a default that is not null."""
        if not isinstance(value, dict):
            return value
        known = {key: finite(part) for key, part in value.items()}
        return {key: part for key, part in known.items() if part is not None or cls._takes_null(key)}

    @classmethod
    def _takes_null(cls, key: str) -> bool:
        field = cls.model_fields.get(key)
        return field.default is None if field else cls.model_config.get("extra") == "allow"


class Estimate(Record):
    """A metric's value and its 95 % interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class TimeSpent(Record):
    """Seconds per request: mean, median and 95th percentile of ``n`` requests."""

    mean: float
    p50: float | None = None
    p95: float | None = None
    n: float | None = None


class ConsultResult(Record):
    """What consulting came to on validation queries: mean quality of the policy's own answers and of the ``consulted``

    ones, with delegates' answers in view; the relative ``gain``; and whether it is ``used``, as only a clear gain is.
    """

    policy: float | None = None
    consulted: float | None = None
    queries: int = 0
    gain: Estimate | None = None
    used: bool = False


class RouterReport(Record):
    """What calibration found on validation queries; each kind of router adds its own facts."""

    model_config = ConfigDict(extra="allow")
    consult: ConsultResult | None = None


class RoutingResult(Record):
    """The rule that decides who answers; ``delegate`` names all that requests may go to."""

    kind: str | None = None
    stage: str | None = None
    delegate: str | None = None
    estimators: tuple[str, ...] = ()
    answer_features: bool = False
    asks: tuple[str, ...] = ()
    threshold: float | None = None
    target: float | str | None = None
    reached: float | str | None = None
    consulted: float = 0.0
    abstained: float = 0.0
    validation: RouterReport | None = None


class AbstentionResult(Record):
    """What giving no answer comes to: the share that is answered (``coverage``), what was ``wanted``, the metrics of

    the answers that are given, ``risk`` (those without the target among the ten best), and means of what the policy
    would have answered to the others; ``validation``: what calibration promised.
    """

    coverage: float
    wanted: dict[str, float | None] = Field(default_factory=dict)
    validation: Any = None
    answered: dict[str, Estimate] = Field(default_factory=dict)
    risk: Estimate | None = None
    held_back: dict[str, float | None] = Field(default_factory=dict)


class ReliabilityBin(Record):
    """Answers whose confidence lies in [low, high): mean confidence and how many were right."""

    low: float
    high: float
    n: int
    confidence: float | None = None
    accuracy: float | None = None


class ConfidenceQuality(Record):
    """How well a confidence holds: calibration errors (bins of equal width, of equal mass), what they would be by

    chance alone, squared error (Brier), logarithmic loss, mean confidence, and the share of events.
    """

    cases: int | None = None
    events: float | None = None
    mean: float | None = None
    ece: float | None = None
    ece_mass: float | None = None
    ece_chance: float | None = None
    ece_mass_chance: float | None = None
    brier: float | None = None
    log_loss: float | None = None
    bins: tuple[ReliabilityBin, ...] = ()


class RecalibratedConfidence(ConfidenceQuality):
    """The same after recalibration by ``kind``, and ``before``; ``of`` whom, or which ``way`` requests went."""

    of: str | None = None
    way: str | None = None
    kind: str | None = None
    before: ConfidenceQuality | None = None


class CalibrationResult(RecalibratedConfidence):
    """How far stated confidence can be trusted: which ``event`` it speaks of, and the same way by way.

    ``own`` is the policy's own probability on all requests.
    """

    ece_before: float | None = None
    event: str | None = None
    routes: tuple[RecalibratedConfidence, ...] = ()
    own: RecalibratedConfidence | None = None


class CurvePoint(Estimate):
    """Quality at a share that is delegated, with the interval of its difference to the policy alone."""

    share: float
    random: float | None = None
    oracle: float | None = None


class NotInferior(Record):
    """The largest share that loses at most ``limit``: relative differences to the policy alone."""

    limit: float
    share: float
    validation: Estimate
    test: Estimate
    confirmed: bool


class HorizonQuarter(Record):
    """A quarter of the evidence horizon: what was delegated, and the relative difference to the policy alone."""

    group: str
    n: int
    share: float
    routed: float
    policy: float
    relative: Estimate


class DelegationCurve(Record):
    """Mean ``metric`` against the share that is delegated."""

    metric: str
    policy: float
    points: tuple[CurvePoint, ...] = ()
    chosen: CurvePoint | None = None
    not_inferior: NotInferior | None = None
    horizon: tuple[HorizonQuarter, ...] = ()


class CostRow(Record):
    """What a route ("route") or a system that answers everything ("system") costs per request."""

    who: str
    kind: str
    single: TimeSpent
    batched: TimeSpent | None = None
    tokens: float = 0.0
    requests: int = 0


class HorizonCost(Record):
    """The same by quarter of the evidence horizon."""

    group: str
    routed: TimeSpent
    policy: TimeSpent | None = None
    tokens: float = 0.0


class CostResult(Record):
    """Costs on the machine of the run; ``batch``: how many requests are answered together."""

    batch: int
    rows: tuple[CostRow, ...] = ()
    horizon: tuple[HorizonCost, ...] = ()


def finite(value: Any) -> Any:
    """JSON values with None for every number that is not finite: JSON has none of those."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value

"""What the parts of `Results` have in common, and those that speak of the rule of routing."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


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


def finite(value: Any) -> Any:
    """JSON values with None for every number that is not finite: JSON has none of those."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value

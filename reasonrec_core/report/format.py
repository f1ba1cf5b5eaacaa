"""What the formats of a run's results have in common.

They are read strictly in what they state and leniently in what they add: a wrong type is an error that names the key,
a key that is missing or null leaves its section out, and a key that is not known here is ignored.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Format(BaseModel):
    """Base of the formats: more keys may come, null means missing, values are checked."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


class Estimate(Format):
    """A metric's value and its 95 % interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

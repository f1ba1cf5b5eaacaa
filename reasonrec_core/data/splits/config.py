"""The settings of a split."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from reasonrec_core.components import Settings
from reasonrec_core.types import Task


class SplitConfig(Settings):
    """How a dataset is divided; times are dates, ISO times or seconds since 1970 (UTC where no zone is given)."""

    kind: Literal["leave-one-out", "temporal", "ratio", "cold-item", "predefined"] = "leave-one-out"
    """Which rule."""
    valid: float = Field(0.1, gt=0, lt=1)
    """Share for validation: of interactions (temporal), of each user's interactions (ratio), of items (cold-item)."""
    test: float = Field(0.1, gt=0, lt=1)
    """Share for the test, likewise."""
    valid_from: datetime | None = None
    """temporal: the first moment of the validation window, instead of a share."""
    test_from: datetime | None = None
    """temporal: the first moment of the test window."""
    until: datetime | None = None
    """temporal: the end of the test window (exclusive); what comes later is left out."""
    min_history: int = Field(1, ge=0)
    """Queries whose history is shorter are left out and counted."""
    repeats: Literal["drop", "keep"] = "drop"
    """Targets that the query's history already holds: full ranking masks the history, so they cannot be reached."""
    min_value: float | None = None
    """Interactions of a smaller value are no positives: left out of a ranking split, label 0 in a CTR split."""
    task: Task | None = None
    """predefined: "ctr" or "sequential"; by default "ctr" where the values are labels (0 and 1)."""
    negatives: int = Field(99, ge=1)
    """How many candidates are drawn beside the target for the direct task."""
    seed: int = Field(0, ge=0)
    """Of every random choice."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.valid + self.test >= 1:
            raise ValueError(f"valid ({self.valid:g}) and test ({self.test:g}) leave nothing for training")
        if (self.valid_from is None) != (self.test_from is None):
            raise ValueError("valid_from and test_from go together")
        cuts = [seconds(t) for t in (self.valid_from, self.test_from, self.until) if t is not None]
        if cuts != sorted(set(cuts)):
            raise ValueError("valid_from, test_from and until must follow each other in time")
        if self.task is not None and self.kind != "predefined" and self.task is Task.CTR:
            raise ValueError('task = "ctr" needs kind = "predefined"')
        return self


def seconds(moment: datetime) -> int:
    """Seconds since 1970; a time without a zone is UTC."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())

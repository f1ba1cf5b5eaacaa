"""Splits: what may be learned from, what is tuned on, and what is touched once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Cases, Interactions

TRAIN, VALID, TEST, LEFT_OUT = 0, 1, 2, 255
"""Codes of `Split.parts`."""

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Split:
    """One way to divide a dataset.

    Attributes:
        train: what components learn from, sorted by user, oldest first.
        valid: validation queries (history = the training part) with targets.
        test: test queries (history = training and validation parts) with targets.
        protocol: the rule in words, part of every reported metric's context.
        hash: of the rule, the dataset and the drawn candidates.
        parts: uint8[N] part of each interaction of the dataset (`TRAIN`, `VALID`, `TEST`, `LEFT_OUT`).
        left_out: what was not used, by reason, e.g. ``{"users with fewer than 3 interactions": 12}``.
        config: the settings that made it.
    """

    train: Interactions
    valid: Cases
    test: Cases
    protocol: str
    hash: str
    parts: UInt8 | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

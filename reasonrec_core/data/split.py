"""Splits: what may be learned from, what is tuned on, and what is touched once."""

from __future__ import annotations

from dataclasses import dataclass

from reasonrec_core.types import Cases, Interactions


@dataclass(frozen=True)
class Split:
    """One way to divide a dataset.

    Attributes:
        train: what components learn from, sorted by user, oldest first.
        valid: validation queries (history = the training part) with targets.
        test: test queries (history = training and validation parts) with targets.
        protocol: the rule in words, part of every reported metric's context.
        hash: of the rule, the dataset and the drawn candidates.
    """

    train: Interactions
    valid: Cases
    test: Cases
    protocol: str
    hash: str

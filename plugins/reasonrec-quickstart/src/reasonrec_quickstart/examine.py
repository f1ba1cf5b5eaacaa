"""What the data is: its size, its times, what items have, and what the leakage doctor says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from reasonrec_doctor import CHECKS, Finding, Severity, describe_dataset, examine_dataset

from reasonrec_core.data import Dataset, SplitConfig, open_or_import
from reasonrec_core.errors import DataError
from reasonrec_core.types import Progress

SKIPPED = frozenset({"missing", "unreadable-images"})
"""Checks of what the file and the run say anyway: how many items have a text, which pictures were refused."""


@dataclass(frozen=True)
class ExaminedData:
    """Data that was looked at.

    Attributes:
        dataset: the data.
        split: how it is divided.
        labels: whether validation and test ask about rows that are labelled 0 or 1.
        facts: see `reasonrec_doctor.describe_dataset`.
        findings: what the doctor found, worst first.
        asked: how many test queries there are.
    """

    dataset: Dataset
    split: dict[str, Any]
    labels: bool
    facts: dict[str, Any]
    findings: tuple[Finding, ...]
    asked: int

    @property
    def size(self) -> str:
        """In words."""
        facts = self.facts
        users, items = facts["users"], facts["items"]
        return f"{facts['interactions']:,} interactions of {users:,} users with {items:,} items"

    @property
    def times(self) -> str:
        """When it happened, in words; "" where there is no clock."""
        time = self.facts["time"]
        return f"{str(time['first'])[:10]} to {str(time['last'])[:10]}" if "first" in time else ""


def examine_data(path: Path, source: dict[str, Any], progress: Progress) -> ExaminedData:
    """Import the data (once, into the cache, where the run finds it), describe and check it.

    Args:
        path: a saved dataset, or what a data source reads.
        source: ``format``, ``columns`` and ``options`` of the import.
        progress: told how far the checks are.

    Raises:
        DataError: it cannot be read, or not divided into what is learned from and what is tested.
    """
    dataset = open_or_import(path, **source)
    if not len(dataset):
        raise DataError("contains no interactions", where=str(path), fix="Use a log of what users did.")
    split = choose_split(dataset)
    names = [name for name in CHECKS if name not in SKIPPED]
    findings, made = examine_dataset(dataset, SplitConfig(**split), checks=names, progress=progress)
    if made is None:
        found = next(each for each in findings if each.check == "split")
        raise DataError(found.message, where=str(path), fix=found.remedy)
    order = list(Severity)
    findings.sort(key=lambda each: order.index(each.severity))
    labels = made.test.labels is not None
    return ExaminedData(dataset, split, labels, describe_dataset(dataset), tuple(findings), len(made.test))


def choose_split(dataset: Dataset) -> dict[str, Any]:
    """How the data is divided: by its own parts where it comes with them, else each user's newest interactions.

    Labels without parts cannot be asked about row by row; then the rows with the label 1 are what users chose.
    """
    if dataset.parts is not None:
        return {"kind": "predefined"}
    values = dataset.interactions.values
    if values is not None and len(np.unique(values)) == 2 and np.isin(values, (0.0, 1.0)).all():
        return {"kind": "leave-one-out", "min_value": 1.0}
    return {"kind": "leave-one-out"}

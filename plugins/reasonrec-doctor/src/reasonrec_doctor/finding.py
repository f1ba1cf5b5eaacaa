"""What a check finds, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import Split
from reasonrec_core.types import Progress


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Results would be wrong: not safe to use."""
    WARNING = "warning"
    """Results may be wrong, depending on what is done with the data."""
    INFO = "info"
    """Worth knowing when results are read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: name of the check.
        severity: how bad it is.
        message: what it is, in one sentence.
        count: how many rows, users, items or files it concerns.
        total: of how many.
        example: one of them, with ids as in the source.
        remedy: what to do about it.
    """

    check: str
    severity: Severity
    message: str
    count: int
    total: int
    example: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Examined:
    """What the checks look at.

    Attributes:
        dataset: the data.
        split: how it would be used, or None where it cannot be split.
        progress: called as ``progress(done, total, label)`` by checks that take long.
    """

    dataset: Dataset
    split: Split | None
    progress: Progress

    def user(self, index: int) -> str:
        """A user's string id."""
        return str(self.dataset.users.column("user_id")[int(index)].as_py()) if index >= 0 else "unknown"

    def item(self, index: int) -> str:
        """An item's string id and title."""
        catalog = self.dataset.catalog
        name, title = catalog.ids[int(index)], catalog.titles[int(index)]
        return name if name == title else f"{name} ({title[:60]})"


Check = Callable[[Examined], list[Finding]]

"""What tuning tells while it runs, and what it reports afterwards."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from reasonrec_core.types import Progress


@dataclass(frozen=True)
class Record:
    """What happened up to a validation, in JSON values.

    Attributes:
        step: steps so far.
        losses: mean of each part of the loss per target since the record before; parts without a target are left out.
        targets: how many there were of each part.
        validation: the figure; None without validation.
        tokens_per_second: text places read and learned from, in training.
        targets_per_second: items and tokens learned, in training.
        padding: share of the batches' places without text.
        seconds: since tuning began, over all its sittings.
    """

    step: int
    losses: dict[str, float]
    targets: dict[str, int]
    validation: float | None
    tokens_per_second: float
    targets_per_second: float
    padding: float
    seconds: float


@dataclass
class Tally:
    """Counts since the last record."""

    sums: dict[str, float] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    places: int = 0
    seconds: float = 0.0

    def add(self, sums: Mapping[str, float], counts: Mapping[str, int], tokens: int, places: int) -> None:
        """One batch."""
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.targets[name] = self.targets.get(name, 0) + counts[name]
        self.tokens += tokens
        self.places += places

    def record(self, step: int, validation: float | None, seconds: float) -> Record:
        """What was counted, and the figure."""
        spent = max(self.seconds, 1e-9)
        return Record(
            step,
            {name: self.sums[name] / count for name, count in self.targets.items()},
            dict(self.targets),
            validation,
            self.tokens / spent,
            sum(self.targets.values()) / spent,
            1 - self.tokens / self.places if self.places else 0.0,
            seconds,
        )


@dataclass(frozen=True)
class LoopReport:
    """A finished loop.

    Attributes:
        records: one per validation, the first before anything was learned.
        best: step whose weights were kept.
        validation: its figure; None without validation.
        figure: what that is.
        stopped: "steps", "minutes" or "patience".
        steps: that were made.
        tokens: read in training, by task.
        seconds: over all sittings.
        device: where it ran.
        precision: of the language model's own weights; what is learned is float32.
        threads: of the CPU.
    """

    records: tuple[Record, ...]
    best: int
    validation: float | None
    figure: str
    stopped: str
    steps: int
    tokens: dict[str, int]
    seconds: float
    device: str
    precision: str
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class Teller:
    """Calls a progress function with what is known: losses, speed, the figure, the time left.

    Args:
        progress: called as ``progress(done, total, label)`` in thousandths of the training.
        figure: name of the validation figure.
    """

    def __init__(self, progress: Progress, figure: str) -> None:
        self._progress, self._figure = progress, figure
        self._started = time.perf_counter()
        self._first: float | None = None

    def step(self, step: int, share: float, tally: Tally, records: list[Record]) -> None:
        """A step was made; ``share`` of the training is done."""
        if self._first is None:
            self._first = share
        facts = [f"{name} {tally.sums[name] / count:.3f}" for name, count in tally.targets.items()]
        if tally.seconds:
            facts.append(f"{tally.tokens / tally.seconds:,.0f} tokens/s")
        figures = [each.validation for each in records if each.validation is not None]
        if figures:
            facts.append(f"{self._figure} {figures[-1]:.4f}, best {max(figures):.4f}")
        gone = time.perf_counter() - self._started
        if share > self._first:
            facts.append(f"at most {gone * (1 - share) / (share - self._first) / 60:.0f} min left")
        self._progress(round(1000 * share), 1000, f"tune cot, step {step} ({'; '.join(facts)})")

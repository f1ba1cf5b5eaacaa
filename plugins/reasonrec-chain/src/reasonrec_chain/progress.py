"""What training tells while it runs, and what it reports afterwards."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from reasonrec_core.types import Progress


@dataclass(frozen=True)
class EpochRecord:
    """One epoch, in JSON values.

    Attributes:
        epoch: its number, from 1.
        losses: mean of each part of the loss over the samples.
        validation: the figure after it; None without validation.
        samples: targets that were learned from.
        padding: share of the batches' places that held no item.
        rate: learning rate at its end.
        seconds: of training and validation; of an interrupted epoch, what came after the interruption.
    """

    epoch: int
    losses: dict[str, float]
    validation: float | None
    samples: int
    padding: float
    rate: float
    seconds: float


@dataclass(frozen=True)
class TrainingReport:
    """A finished training.

    Attributes:
        epochs: all that were trained.
        best: number of the epoch whose weights were kept.
        validation: its figure; None without validation.
        stopped: "patience", or "epochs" where all were trained.
        device: where it ran.
        precision: of matrix products.
        curriculum: `Curriculum.summary`, or None.
    """

    epochs: tuple[EpochRecord, ...]
    best: int
    validation: float | None
    stopped: str
    device: str
    precision: str
    curriculum: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class Teller:
    """Calls a progress function: one bar per epoch, whose label tells what is known from the epochs before.

    Args:
        progress: called as ``progress(done, total, label)`` in samples.
        name: what is trained.
        epochs: at most.
        figure: name of the validation figure.
    """

    def __init__(self, progress: Progress, name: str, epochs: int, figure: str) -> None:
        self._progress, self._name, self._epochs, self._figure = progress, name, epochs, figure
        self._label, self._total, self._done = "", 0, 0
        self._rate = 0.0
        self._started = 0.0

    def start(self, records: list[EpochRecord], samples: int, done: int) -> None:
        """An epoch of so many samples begins, or goes on after ``done`` of them."""
        said = f"train {self._name}, epoch {len(records) + 1} of {self._epochs}"
        facts = []
        if records and records[-1].validation is not None:
            best = max(r.validation for r in records if r.validation is not None)
            facts.append(f"{self._figure} {records[-1].validation:.4f}, best {best:.4f}")
        if self._rate:
            left = samples * (self._epochs - len(records)) / self._rate
            facts.append(f"{self._rate:,.0f} samples/s, at most {duration(left)} left")
        self._label = f"{said} ({'; '.join(facts)})" if facts else said
        self._total, self._done, self._started = samples, done, time.perf_counter()
        self._first = done
        self._progress(done, samples, self._label)

    def step(self, samples: int) -> None:
        """So many samples more were learned from."""
        self._done += samples
        self._progress(self._done, self._total, self._label)

    def end(self) -> float:
        """The epoch is over, validation included; the seconds that it took here."""
        seconds = time.perf_counter() - self._started
        self._rate = (self._done - self._first) / max(seconds, 1e-9)
        return seconds


def duration(seconds: float) -> str:
    """``45 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

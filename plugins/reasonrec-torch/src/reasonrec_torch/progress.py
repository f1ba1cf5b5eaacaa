"""What training says while it runs, and what it reports afterwards."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from reasonrec_core.types import Progress

RELABEL_SECONDS = 1.0
"""Between new labels of a stream: what they say has to be fetched from the device."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch (what lies between two validations), in JSON values.

    Attributes:
        epoch: its number, from 1; 0 for a validation before anything was learned.
        step: steps of the whole training so far.
        losses: mean of each part of the loss over its targets.
        targets: how many of each part there were.
        validation: the figure after it; None without validation.
        samples: targets that were learned from.
        used: places of its batches that held something, such as tokens.
        padding: share of the places that did not.
        rate: highest learning rate at its end.
        seconds: of its training.
        validating: seconds of its validation.
    """

    epoch: int
    step: int
    losses: dict[str, float]
    targets: dict[str, int]
    validation: float | None
    samples: int
    used: int
    padding: float
    rate: float
    seconds: float
    validating: float


@dataclass(frozen=True)
class TrainingReport:
    """A finished training.

    Attributes:
        epochs: all that were trained.
        best: number of the epoch whose weights were kept.
        validation: its figure; None without validation.
        figure: what that is.
        stopped: "patience", "minutes", "stop_after", or "epochs" (for a stream "steps") where all were trained.
        steps: that were taken.
        seconds: over all sittings, validation included.
        device: where it ran.
        precision: of matrix products.
        planned: epochs that the rate of learning was planned for.
    """

    epochs: tuple[EpochRecord, ...]
    best: int
    validation: float | None
    figure: str
    stopped: str
    steps: int
    seconds: float
    device: str
    precision: str
    planned: int

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass
class EpochTally:
    """What the epoch under way has counted so far; sums may live on the device until they are read."""

    samples: int = 0
    used: int = 0
    places: int = 0
    seconds: float = 0.0
    sums: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)

    def add(self, samples: int, used: int, places: int) -> None:
        """One batch."""
        self.samples += samples
        self.used += used
        self.places += places

    def add_loss(self, name: str, value: Tensor, count: int) -> None:
        """The mean of a part of the loss over ``count`` targets."""
        self.sums[name] = self.sums.get(name, 0.0) + value.detach().double() * count
        self.targets[name] = self.targets.get(name, 0) + count

    def fetch(self) -> EpochTally:
        """The same in JSON values."""
        return EpochTally(**{**vars(self), "sums": {name: float(value) for name, value in self.sums.items()}})

    def record(self, epoch: int, step: int, validation: float | None, rate: float, validating: float) -> EpochRecord:
        """What was counted, and what is known beside it; after `fetch`."""
        padding = 1.0 - self.used / self.places if self.places else 0.0
        counted = self.losses, dict(self.targets), validation, self.samples, self.used, padding
        return EpochRecord(epoch, step, *counted, rate, self.seconds, validating)

    @property
    def losses(self) -> dict[str, float]:
        """Mean of each part; after `fetch`."""
        return {name: value / self.targets[name] for name, value in self.sums.items() if self.targets[name]}


class ProgressBar:
    """Calls a progress function with what is known: the figure, the speed, the time left.

    One bar per epoch in samples where their number is known, else one in thousandths of the training.

    Args:
        progress: see `FitData.progress`.
        label: what is done, such as "train chain".
        epochs: at most.
        figure: name of the validation figure.
    """

    def __init__(self, progress: Progress, label: str, epochs: int, figure: str) -> None:
        self._progress, self._what, self._epochs, self._figure = progress, label, epochs, figure
        self._label, self._total, self._done, self._first = "", 0, 0, 0
        self._rate, self._started, self._labelled = 0.0, time.perf_counter(), -math.inf
        self._from: float | None = None
        self._estimated = False

    def start(self, epoch: int, records: list[EpochRecord], samples: int, done: int) -> None:
        """The epoch with this number (from 1) begins with so many samples, or goes on after ``done`` of them."""
        facts = self._figures(records)
        if self._rate:
            left = samples * (self._epochs - epoch + 1) / self._rate
            facts.append(f"{self._rate:,.0f} samples/s, at most {duration(left)} left")
        self._label = _with_facts(f"{self._what}, epoch {epoch} of {self._epochs}", facts)
        self._total, self._done, self._first, self._started = samples, done, done, time.perf_counter()
        self._progress(done, samples, self._label)

    def step(self, samples: int) -> None:
        """So many samples more were learned from."""
        self._done += samples
        self._progress(self._done, self._total, self._label)

    def end(self) -> None:
        """The epoch is over, validation included."""
        self._rate = (self._done - self._first) / max(time.perf_counter() - self._started, 1e-9)

    def share(self, step: int, share: float, tally: EpochTally, records: list[EpochRecord]) -> None:
        """A step of a stream was taken; ``share`` of the training is over."""
        now = time.perf_counter()
        if self._from is None:
            self._from = share
        first_estimate = share > self._from and not self._estimated
        if now - self._labelled >= RELABEL_SECONDS or first_estimate or share >= 1:
            self._labelled, self._estimated = now, share > self._from
            facts = [f"{name} {value:.3f}" for name, value in tally.fetch().losses.items() if name != "loss"]
            if tally.seconds:
                facts.append(f"{tally.used / tally.seconds:,.0f} places/s")
            facts += self._figures(records)
            if share > self._from:
                left = (now - self._started) * (1 - share) / (share - self._from)
                facts.append(f"at most {duration(left)} left")
            self._label = _with_facts(f"{self._what}, step {step}", facts)
        self._progress(round(1000 * share), 1000, self._label)

    def _figures(self, records: list[EpochRecord]) -> list[str]:
        found = [r.validation for r in records if r.validation is not None]
        if not found or records[-1].validation is None:
            return []
        return [f"{self._figure} {records[-1].validation:.4f}, best {max(found):.4f}"]


def duration(seconds: float) -> str:
    """``45 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _with_facts(label: str, facts: list[str]) -> str:
    return f"{label} ({'; '.join(facts)})" if facts else label

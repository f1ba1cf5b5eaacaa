"""Where a training stands, as its checkpoint keeps it; how much time it has; where its chance comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from reasonrec_core.errors import ConfigError
from reasonrec_torch.progress import EpochRecord, EpochTally

EPOCH_CHANCE, BATCH_CHANCE = 0, 1
STREAM_CHANCE = 1 << 20
"""Keeps the chance of a stream's losses apart from that of its batches, which draw from (seed, step, number)."""


@dataclass(frozen=True)
class TimeLimit:
    """Time that a training may take; learning rates follow the clock where it is faster than the steps.

    Attributes:
        seconds: for steps and validations, over all sittings.
        spent: seconds that had gone by before the training.
        validations_after: how many times as long as one validation everything takes that comes after the training
            and must fit into the limit as well.
    """

    seconds: float
    spent: float = 0.0
    validations_after: float = 0.0

    def share(self, state: TrainingState) -> float:
        """How much of the time that there is for steps is over. One more validation ends the training."""
        room = self.seconds - state.validating * (1 + self.validations_after)
        return state.seconds / room if room > 0 else 1.0


@dataclass
class TrainingState:
    """Where a training stands, in JSON values.

    Attributes:
        epoch: finished epochs.
        step: steps taken in all.
        batch: the next batch of the current epoch.
        tally: what the current epoch has counted.
        records: finished epochs, and the validation before them if there was one.
        best_epoch: from 1; 0 before the first.
        stopped: why training is over, or "".
        seconds: of all sittings.
        validating: seconds of the longest validation.
        source: state of a stream.
    """

    epoch: int = 0
    step: int = 0
    batch: int = 0
    tally: EpochTally = field(default_factory=EpochTally)
    records: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_value: float | None = None
    stopped: str = ""
    seconds: float = 0.0
    validating: float = 0.0
    source: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON values. Raises `ConfigError` where the loss is not finite."""
        self.tally = self.fetch_tally()
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingState:
        """From what `to_json` gave."""
        records = [EpochRecord(**r) for r in values["records"]]
        return cls(**{**values, "records": records, "tally": EpochTally(**values["tally"])})

    def fetch_tally(self) -> EpochTally:
        """The tally in JSON values.

        Raises:
            ConfigError: the loss is not finite.
        """
        tally = self.tally.fetch()
        if not all(math.isfinite(value) for value in tally.sums.values()):
            where = f"epoch {self.epoch + 1} of training"
            raise ConfigError(
                "the loss became infinite", where=where, fix="Lower the learning rate, or clip gradients more."
            )
        return tally

    def is_better(self, value: float | None) -> bool:
        """Whether a figure is above the best so far; one that is no number is not."""
        if value is None or self.best_value is None:
            return value is None or not math.isnan(value)
        return value > self.best_value or (math.isnan(self.best_value) and not math.isnan(value))


def chance_of_epoch(seed: int, epoch: int) -> np.random.Generator:
    """What an epoch is planned with."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(EPOCH_CHANCE, epoch)))


def chance_of_batch(seed: int, epoch: int, batch: int) -> np.random.Generator:
    """What a batch of an epoch learns with; seeds torch's generator as well."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(BATCH_CHANCE, epoch, batch)))
    torch.manual_seed(int(rng.integers(1 << 62)))
    return rng


def chance_of_step(seed: int, step: int, number: int) -> np.random.Generator:
    """What a batch of a stream's step learns with; the step's first seeds torch's generator as well."""
    if not number:
        torch.manual_seed(seed * 1_000_003 + step)
    return np.random.default_rng([seed, step, STREAM_CHANCE + number])

"""The training loop: the same settings and seed give the same weights, also when it was killed and went on.

All chance comes from (seed, epoch, step), so that a checkpoint needs no state of a random generator: a resumed
training plans the same epoch again and goes on at the step where it was. On a CPU with the same number of threads
the result is the same to the last bit; on a GPU up to the order in which sums are taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reasonrec_chain.averaging import MovingAverage
from reasonrec_chain.batches import Batch, Epoch, TrainingSequences
from reasonrec_chain.checkpoint import (
    CheckpointFile,
    kept_tensors,
    optimiser_tensors,
    put_optimiser_tensors,
    put_tensors,
)
from reasonrec_chain.curriculum import Curriculum
from reasonrec_chain.devices import autocast, compiled, compiles, device_of, precision_of, seeded
from reasonrec_chain.optimiser import learning_rate, make_optimiser
from reasonrec_chain.progress import EpochRecord, Teller, TrainingReport
from reasonrec_chain.trainable import TensorBatch, Trainable
from reasonrec_chain.training_config import TrainingConfig, epochs_of
from reasonrec_core.errors import ConfigError
from reasonrec_core.io import content_hash
from reasonrec_core.types import Progress

CHECKPOINT = "training.safetensors"
EPOCH_STREAM, STEP_STREAM = 0, 1
NO_MATTER = {"device", "compiled", "checkpoint_seconds", "precision"}
"""Settings with which another checkpoint goes on; the precision counts by what it comes to."""


def train(
    module: Trainable,
    sequences: TrainingSequences,
    config: TrainingConfig,
    *,
    seed: int = 0,
    validate: Callable[[Trainable], float] | None = None,
    curriculum: Curriculum | None = None,
    progress: Progress = lambda done, total, label: None,
    workdir: Path | None = None,
    key: str = "",
    name: str = "chain",
    figure: str = "validation NDCG@10",
) -> TrainingReport:
    """Train ``module`` in place: afterwards it holds the best epoch's (averaged) weights, in evaluation mode.

    Args:
        module: on any device; moved to the one of the settings. Its start is the caller's (see `devices.seeded`).
        sequences: what to learn from.
        config: how.
        seed: of all chance in training.
        validate: gives the figure (higher is better) that chooses the epoch; called with the averaged weights, in
            evaluation mode, without gradients. None: nothing stops training early and the last weights are kept.
        curriculum: who is shown when; None: everyone, always.
        progress: see `FitData.progress`.
        workdir: folder for the checkpoint; None keeps none. A finished training is found again there, too.
        key: whatever else the result depends on (features, the network's settings).
        name: of the thing that is trained, for progress.
        figure: name of what ``validate`` gives.

    Raises:
        ConfigError: the device does not exist, or the loss became infinite.
        DataError: the checkpoint is damaged, or cannot be written.
    """
    epochs = epochs_of(config, sequences.samples)
    run = _Run(module, sequences, config, epochs, seed, curriculum, Teller(progress, name, epochs, figure), validate)
    if workdir is not None:
        identity = content_hash(key, run.identity(), sequences.digest, seed)
        run.file = CheckpointFile(workdir / CHECKPOINT, identity)
    run.resume()
    if not run.state.stopped:
        steps = len(run.plan()) * epochs
        with seeded(seed), compiled(module, module.hot, compiles(config, run.device, steps)):
            while not run.state.stopped:
                run.epoch()
    put_tensors(module, run.best)
    module.eval()
    state = run.state
    return TrainingReport(
        tuple(state.records),
        state.best_epoch,
        state.best_value,
        state.stopped,
        str(run.device),
        str(run.dtype).removeprefix("torch."),
        curriculum.summary() if curriculum else None,
    )


@dataclass
class _State:
    """Where a training stands, in JSON values.

    Attributes:
        step: steps taken in all.
        batch: the next batch of the current epoch.
        samples: targets learned from in the current epoch so far.
        sums: each part of the loss, summed over these.
        records: finished epochs.
        best_epoch: from 1; 0 before the first.
        stopped: why training is over, or "".
    """

    step: int = 0
    batch: int = 0
    samples: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    records: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_value: float | None = None
    stopped: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> _State:
        return cls(**{**values, "records": [EpochRecord(**r) for r in values["records"]]})


class _Run:
    """A training under way."""

    def __init__(
        self,
        module: Trainable,
        sequences: TrainingSequences,
        config: TrainingConfig,
        epochs: int,
        seed: int,
        curriculum: Curriculum | None,
        teller: Teller,
        validate: Callable[[Trainable], float] | None,
    ) -> None:
        self.device = device_of(config.device)
        self.dtype = precision_of(config, self.device)
        self.module, self.sequences, self.config = module.to(self.device), sequences, config
        self.epochs = epochs
        self.seed, self.curriculum, self.teller, self.validate = seed, curriculum, teller, validate
        self.optimiser = make_optimiser(module, config)
        self.average = MovingAverage(module, config.ema)
        self.state = _State()
        self.best: dict[str, Tensor] = {}
        self.sums: dict[str, Tensor | float] = {}
        self.file: CheckpointFile | None = None
        self._saved = time.monotonic()

    def identity(self) -> str:
        """Hash of what the result depends on, as far as this module knows it."""
        shapes = [(n, list(v.shape), str(v.dtype)) for n, v in kept_tensors(self.module).items()]
        settings = self.config.model_dump(
            mode="json", exclude={"device", "compiled", "checkpoint_seconds", "precision"}
        )
        shown = self.curriculum.digest if self.curriculum else None
        return content_hash(shapes, settings, str(self.dtype), shown)

    def plan(self) -> Epoch:
        """The current epoch's batches."""
        rng = self._rng(EPOCH_STREAM, len(self.state.records))
        parts = self.curriculum.epoch(len(self.state.records), self.epochs, rng) if self.curriculum else None
        return self.sequences.epoch(rng, parts) if parts else self.sequences.epoch(rng)

    def epoch(self) -> None:
        """Train one epoch (or the rest of one), validate, keep the best, save."""
        plan, state = self.plan(), self.state
        self.teller.start(state.records, plan.samples, state.samples)
        self.module.train()
        for batch in plan.batches(state.batch):
            self._step(batch, (len(state.records) + state.batch / len(plan)) / self.epochs)
            state.batch += 1
            self.teller.step(batch.samples)
            if state.batch < len(plan) and time.monotonic() - self._saved > self.config.checkpoint_seconds:
                self._save()
        self._finish(plan)
        self._save()

    def _step(self, batch: Batch, progress: float) -> None:
        config, state = self.config, self.state
        rate = learning_rate(config, state.step, progress)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        rng = self._rng(STEP_STREAM, len(state.records), state.batch)
        torch.manual_seed(int(rng.integers(1 << 62)))
        with autocast(self.device, self.dtype):
            loss, parts = self.module.loss(TensorBatch.of(batch, self.device), rng)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), config.clip)
        self.optimiser.step()
        state.step += 1
        self.average.update(state.step)
        state.samples += batch.samples
        for name, value in {"loss": loss, **parts}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach().double() * batch.samples

    def _finish(self, plan: Epoch) -> None:
        """Validate, keep the weights if they are the best so far, and see whether training is over."""
        state, config = self.state, self.config
        losses = {name: value / state.samples for name, value in self._finite_sums().items()}
        self.module.eval()
        with self.average.in_place():
            value = None
            if self.validate is not None:
                with torch.no_grad():
                    value = float(self.validate(self.module))
            known = -math.inf if state.best_value is None else state.best_value
            if value is None or value > known or not state.best_epoch:
                state.best_epoch, state.best_value = len(state.records) + 1, value
                self.best = {name: tensor.clone() for name, tensor in kept_tensors(self.module).items()}
        rate = learning_rate(config, state.step, (len(state.records) + 1) / self.epochs)
        seconds = self.teller.end()
        number = len(state.records) + 1
        state.records.append(EpochRecord(number, losses, value, plan.samples, plan.padding, rate, seconds))
        state.batch, state.samples, self.sums = 0, 0, {}
        if number >= self.epochs:
            state.stopped = "epochs"
        elif number - state.best_epoch >= config.patience:
            state.stopped = "patience"

    def _finite_sums(self) -> dict[str, float]:
        sums = {name: float(value) for name, value in self.sums.items()}
        if not math.isfinite(sums["loss"]):
            where = f"epoch {len(self.state.records) + 1} of training"
            raise ConfigError("the loss became infinite", where=where, fix="Lower the learning rate, or clip more.")
        return sums

    def _save(self) -> None:
        self._saved = time.monotonic()
        if self.file is None:
            return
        groups = {
            "model": kept_tensors(self.module),
            "average": self.average.tensors(),
            "optimiser": optimiser_tensors(self.optimiser),
            "best": self.best,
        }
        self.state.sums = self._finite_sums() if self.sums else {}
        self.file.write(groups, asdict(self.state))

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        found = self.file.read() if self.file is not None else None
        if found is None:
            return
        groups, state = found
        put_tensors(self.module, groups["model"])
        self.average.restore(groups.get("average", {}))
        put_optimiser_tensors(self.optimiser, groups["optimiser"])
        self.best = groups.get("best", {})
        self.state = _State.of(state)
        self.sums = dict(self.state.sums)

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=stream))

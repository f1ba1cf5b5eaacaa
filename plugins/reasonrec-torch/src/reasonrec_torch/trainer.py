"""The training loop: the same settings and seed give the same weights, also when it was killed and went on.

All chance comes from (seed, epoch, batch), or for streams from (seed, step, batch), so that a checkpoint needs no state
of a random generator: a resumed training plans the same epoch again and goes on at the step where it was. On a CPU with
the same number of threads the result is the same to the last bit; on a GPU up to the order in which sums are taken.
Only where a clock ends a training (`TimeLimit`) is it not the same twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from reasonrec_core.io import content_hash
from reasonrec_core.types import Progress
from reasonrec_torch.checkpoint import CheckpointFile, optimiser_tensors, put_optimiser_tensors, put_tensors
from reasonrec_torch.config import NOT_IDENTITY, TrainerConfig, epochs_of
from reasonrec_torch.devices import autocast, compiled, compiles, device_of, precision_of, seeded
from reasonrec_torch.ema import MovingAverage
from reasonrec_torch.model_protocol import EpochSource, PlannedEpoch, StreamSource, Trainable, TrainingBatch
from reasonrec_torch.optimiser import Schedule, linear_schedule
from reasonrec_torch.progress import EpochTally, ProgressBar, TrainingReport
from reasonrec_torch.training_state import TimeLimit as TimeLimit
from reasonrec_torch.training_state import TrainingState, chance_of_batch, chance_of_epoch, chance_of_step

CHECKPOINT = "training.safetensors"
M = TypeVar("M", bound=Trainable[Any])


def train(
    model: M,
    source: EpochSource[Any] | StreamSource[Any],
    config: TrainerConfig,
    *,
    seed: int = 0,
    validate: Callable[[M], float] | None = None,
    figure: str = "validation NDCG@10",
    validate_start: bool = False,
    schedule: Schedule | None = None,
    limit: TimeLimit | None = None,
    progress: Progress = lambda done, total, label: None,
    label: str = "train",
    workdir: Path | None = None,
    key: str = "",
    checkpoint: str = CHECKPOINT,
) -> TrainingReport:
    """Train ``model`` in place: afterwards it holds the best epoch's (averaged) weights, in evaluation mode.

    Args:
        model: on any device; moved to the one of the settings. Its start is the caller's (see `devices.seeded`).
        source: what to learn from: data gone through in epochs, or a stream, of which an epoch is an equal share.
        config: how.
        seed: of all chance in training.
        validate: gives the figure (higher is better) that chooses the epoch; called with the averaged weights, in
            evaluation mode, without gradients. None: nothing stops training early and the last weights are kept.
        figure: name of what ``validate`` gives.
        validate_start: also validate before anything is learned; the start is then kept where nothing is better.
        schedule: of the learning rates; by default linear, as the settings have it.
        limit: time that all may take; None: no limit.
        progress: see `FitData.progress`.
        label: what is done, for progress.
        workdir: folder for the checkpoint; None keeps none. A finished training is found again there, too.
        key: whatever else the result depends on (features, the model's settings).
        checkpoint: the file's name.

    Raises:
        ConfigError: the device does not exist, or the loss became infinite.
        DataError: the checkpoint is damaged, or cannot be written.
    """
    run = _Run(model, source, config, seed, validate, schedule, limit)
    run.bar = ProgressBar(progress, label, run.epochs, figure)
    if workdir is not None:
        workdir.mkdir(parents=True, exist_ok=True)
        run.file = CheckpointFile(workdir / checkpoint, content_hash(key, run.identity(), source.digest, seed))
    run.resume()
    if validate_start and not run.state.records and not run.state.step:
        run.finish_epoch(number=0)
    if not run.state.stopped:
        with seeded(seed), compiled(model, model.hot, compiles(config, run.device, run.count_steps())):
            while not run.state.stopped:
                run.train_epoch()
    put_tensors(model.learned_tensors(), run.best)
    model.weights_changed()
    model.eval()
    return run.report(figure)


class _Run:
    """A training under way."""

    bar: ProgressBar

    def __init__(
        self,
        model: M,
        source: EpochSource[Any] | StreamSource[Any],
        config: TrainerConfig,
        seed: int,
        validate: Callable[[M], float] | None,
        schedule: Schedule | None,
        limit: TimeLimit | None,
    ) -> None:
        self.device = device_of(config.device)
        self.dtype = precision_of(config, self.device)
        self.model: Any = model.to(self.device)
        self.config, self.seed, self.validate, self.limit = config, seed, validate, limit
        self.stream = source if isinstance(source, StreamSource) else None
        self.data = None if isinstance(source, StreamSource) else source
        self.epochs = epochs_of(config, 0 if self.data is None else self.data.samples)
        self.schedule = schedule or linear_schedule(config.warmup, config.decay_from)
        self.optimiser = model.make_optimiser(config)
        self.highest = [float(group["lr"]) for group in self.optimiser.param_groups]
        self.average = MovingAverage(model, config.ema)
        self.state = TrainingState(seconds=limit.spent if limit else 0.0)
        self.best: dict[str, torch.Tensor] = {}
        self.file = CheckpointFile(None, "")
        self._saved = time.monotonic()

    def identity(self) -> str:
        """Hash of what the result depends on, as far as the trainer knows it."""
        shapes = [(n, list(v.shape), str(v.dtype)) for n, v in self.model.learned_tensors().items()]
        settings = self.config.model_dump(mode="json", exclude=set(NOT_IDENTITY))
        return content_hash(shapes, settings, str(self.dtype))

    def count_steps(self) -> int:
        """Steps of the whole training; planning an epoch takes a while, so only where it decides about compiling."""
        if self.stream is not None:
            return self.stream.steps
        return len(self._plan()) * self.epochs if self.device.type == "cuda" else 0

    def train_epoch(self) -> None:
        """Train one epoch (or the rest of one), validate, keep the best, save."""
        state, plan = self.state, None if self.stream is not None else self._plan()
        if plan is not None:
            self.bar.start(state.epoch + 1, state.records, plan.samples, state.tally.samples)
        self.model.train()
        mark = time.perf_counter()
        for batches in self._steps(plan):
            samples = self._step(batches, self._progress(plan))
            mark, since = time.perf_counter(), mark
            state.seconds += mark - since
            state.tally.seconds += mark - since
            progress = self._progress(plan)
            if plan is None:
                self.bar.share(state.step, progress, state.tally, state.records)
            else:
                self.bar.step(samples)
            if self._is_over(plan, progress):
                break
            if time.monotonic() - self._saved > self.config.checkpoint_seconds:
                self._save()
        self.finish_epoch(state.epoch + 1)
        self._save()

    def finish_epoch(self, number: int) -> None:
        """Validate, keep the weights if they are the best so far, and see whether training is over."""
        state, tally = self.state, self.state.fetch_tally()
        self.model.eval()
        started, value = time.perf_counter(), None
        with self.average.in_place():
            self.model.weights_changed()
            if self.validate is not None:
                with torch.no_grad():
                    value = float(self.validate(self.model))
            if state.is_better(value) or not self.best:
                state.best_epoch, state.best_value = number, value
                self.best = {name: t.to("cpu", copy=True) for name, t in self.model.learned_tensors().items()}
        self.model.weights_changed()
        validating = time.perf_counter() - started
        state.seconds, state.validating = state.seconds + validating, max(state.validating, validating)
        state.epoch, state.batch, state.tally = number, 0, EpochTally()
        progress = self._progress(None)
        rate = self.schedule(max(self.highest), state.step, progress)
        state.records.append(tally.record(number, state.step, value, rate, validating))
        state.stopped = self._why_stop(progress) if number else ""
        if number and self.stream is None:
            self.bar.end()

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        found = self.file.read()
        if found is None:
            return
        groups, state = found
        put_tensors(self.model.learned_tensors(), groups["model"])
        self.model.weights_changed()
        self.average.restore(groups.get("average", {}))
        put_optimiser_tensors(self.optimiser, groups.get("optimiser", {}))
        self.best = groups.get("best", {})
        self.state = TrainingState.from_json(state)
        if self.stream is not None:
            self.stream.restore(self.state.source)
        if self.state.stopped == "minutes" and self._progress(None) < 1:
            self.state.stopped = ""  # there are more of them now

    def report(self, figure: str) -> TrainingReport:
        """What happened."""
        state = self.state
        return TrainingReport(
            tuple(state.records),
            state.best_epoch,
            state.best_value,
            figure,
            state.stopped,
            state.step,
            state.seconds,
            str(self.device),
            str(self.dtype).removeprefix("torch."),
            self.epochs,
        )

    def _plan(self) -> PlannedEpoch[Any]:
        assert self.data is not None
        return self.data.epoch(self.state.epoch, self.epochs, chance_of_epoch(self.seed, self.state.epoch))

    def _steps(self, plan: PlannedEpoch[Any] | None) -> Iterator[list[TrainingBatch[Any]]]:
        """The batches of each step, as many as gradients are averaged over (at the end of an epoch perhaps fewer)."""
        many = self.config.accumulate
        if plan is None:
            assert self.stream is not None
            while True:
                progress = self._progress(None)
                yield [self.stream.draw(self.state.step, number, progress) for number in range(many)]
        batches = plan.batches(self.state.batch)
        while group := list(islice(batches, many)):
            yield group

    def _step(self, batches: list[TrainingBatch[Any]], progress: float) -> int:
        """Take one step; how many samples it learned from."""
        state = self.state
        for group, most in zip(self.optimiser.param_groups, self.highest, strict=True):
            group["lr"] = self.schedule(most, state.step, progress)
        self.optimiser.zero_grad(set_to_none=True)
        for number, batch in enumerate(batches):
            rng = self._chance(number)
            with autocast(self.device, self.dtype):
                loss = self.model.loss(batch.to(self.device), rng)
            if loss.total is not None:
                (loss.total if len(batches) == 1 else loss.total / len(batches)).backward()
            state.tally.add(batch.samples, batch.used, batch.places)
            parts = loss.parts if loss.total is None else {"loss": loss.total, **loss.parts}
            for name, value in parts.items():
                state.tally.add_loss(name, value, loss.counts.get(name, batch.samples))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimiser.step()
        state.step, state.batch = state.step + 1, state.batch + len(batches)
        self.average.update(state.step)
        self.model.weights_changed()
        return sum(batch.samples for batch in batches)

    def _progress(self, plan: PlannedEpoch[Any] | None) -> float:
        """How much of the training is over, in [0, 1]: of its steps or epochs, or of its time if that is more."""
        state = self.state
        if self.stream is not None:
            share = state.step / self.stream.steps
        else:
            share = (state.epoch + (state.batch / len(plan) if plan is not None else 0)) / self.epochs
        return min(1.0, share if self.limit is None else max(share, self.limit.share(state)))

    def _is_over(self, plan: PlannedEpoch[Any] | None, progress: float) -> bool:
        if self.stream is not None:
            return progress >= 1 or progress >= (self.state.epoch + 1) / self.epochs
        return plan is not None and (self.state.batch >= len(plan) or progress >= 1)

    def _why_stop(self, progress: float) -> str:
        state, whole = self.state, "epochs" if self.stream is None else "steps"
        done = state.epoch >= self.epochs if self.stream is None else state.step >= self.stream.steps
        if done or progress >= 1:
            return whole if done else "minutes"
        if state.epoch == self.config.stop_after:
            return "stop_after"
        return "patience" if state.epoch - state.best_epoch >= self.config.patience else ""

    def _save(self) -> None:
        self._saved = time.monotonic()
        if self.file.path is None:
            return
        if self.stream is not None:
            self.state.source = self.stream.state()
        groups = {
            "model": self.model.learned_tensors(),
            "average": self.average.tensors(),
            "optimiser": optimiser_tensors(self.optimiser),
            "best": self.best,
        }
        self.file.write(groups, self.state.to_json())

    def _chance(self, number: int) -> np.random.Generator:
        """Of the batch with this number within the step; seeds torch's generator as well."""
        state = self.state
        if self.stream is not None:
            return chance_of_step(self.seed, state.step, number)
        return chance_of_batch(self.seed, state.epoch, state.batch + number)

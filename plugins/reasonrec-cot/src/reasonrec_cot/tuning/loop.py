"""The training loop: bounded in steps and minutes, killed and gone on, the best validation kept.

All chance comes from (seed, step), so a checkpoint needs no state of a random generator: within ``steps`` the same
settings and seed give the same weights, also after a kill. Where ``minutes`` ends training first, rates, curriculum
and validations follow the clock, and the clock is not the same twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from reasonrec_core.types import Progress
from reasonrec_cot.tuning.checkpoint import CheckpointFile, Groups, optimiser_tensors, put_optimiser_tensors
from reasonrec_cot.tuning.config import TuningConfig
from reasonrec_cot.tuning.module import Tunable
from reasonrec_cot.tuning.report import LoopReport, Record, Tally, Teller
from reasonrec_cot.tuning.sampling import Sampler

NEGATIVES = 1 << 20
"""Keeps the stream that draws negatives apart from the one that draws dialogues."""
BETAS = (0.9, 0.98)


@dataclass
class State:
    """Where training is."""

    step: int = 0
    seconds: float = 0.0
    best: int = 0
    worse: int = 0
    stopped: str = ""
    validating: float = 0.0
    records: list[Record] = field(default_factory=list)
    spent: dict[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> State:
        """From what `to_dict` gave."""
        records = [Record(**each) for each in stored["records"]]
        return cls(**{**stored, "records": records, "tally": Tally(**stored["tally"])})


class Loop:
    """Tunes a module in place.

    Args:
        module: afterwards it holds the best validation's weights.
        sampler: makes batches.
        config: how.
        seed: of all chance.
        validate: the figure, higher is better; None: the last weights are kept.
        figure: its name.
        checkpoint: where training is kept.
        progress: see `FitData.progress`.
        spent: seconds that went by before the loop.
        after: how many times as long as one validation everything takes that is read after the loop.
        room: share of the minutes that the loop may take.
    """

    def __init__(
        self,
        module: Tunable,
        sampler: Sampler,
        config: TuningConfig,
        seed: int,
        validate: Callable[[], float] | None,
        figure: str,
        checkpoint: CheckpointFile,
        progress: Progress,
        spent: float = 0.0,
        after: float = 0.0,
        room: float = 1.0,
    ) -> None:
        self.module, self.sampler, self.config, self.seed = module, sampler, config, seed
        self.validate, self.figure, self.checkpoint = validate, figure, checkpoint
        self.after, self.room = after, room
        self.device = module.backbone.device
        # Adapters and head are kept in float32 whatever the model's type, so no gradient is scaled.
        self.accelerator = Accelerator(cpu=self.device.type == "cpu", mixed_precision="no")
        inside, beside = module.groups()
        groups = [
            {"params": params, "lr": rate, "rate": rate}
            for params, rate in ((inside, config.learning_rate), (beside, config.head_rate))
            if params
        ]
        made = torch.optim.AdamW(groups, betas=BETAS, weight_decay=config.weight_decay)
        self.optimiser: Any = self.accelerator.prepare(made)
        self.state = State(seconds=spent)
        self.kept: dict[str, torch.Tensor] = {}
        self.average: dict[str, torch.Tensor] = {}
        self._teller = Teller(progress, figure)
        self._saved = time.perf_counter()

    def run(self) -> LoopReport:
        """Train, or go on; leaves the best weights in the module."""
        self._resume()
        if not self.state.records:
            self._validate()
        while not self.state.stopped:
            self._step()
            share = self.share
            if share >= 1:
                self.state.stopped = "steps" if self.state.step >= self.config.steps else "minutes"
            if share >= 1 or share >= len(self.state.records) / self.config.validations:
                self._validate()
            self._save(final=bool(self.state.stopped))
        self.module.put({name: value.to(self.device) for name, value in self.kept.items()})
        self.module.eval()
        state = self.state
        return LoopReport(
            tuple(state.records),
            state.best,
            max((each.validation for each in state.records if each.validation is not None), default=None),
            self.figure,
            state.stopped,
            state.step,
            dict(self.sampler.spent),
            state.seconds,
            str(self.device),
            str(self.module.backbone.dtype).removeprefix("torch."),
            torch.get_num_threads(),
        )

    @property
    def share(self) -> float:
        """How much of the training is done, in [0, 1]: of the steps, or of the time that is left for steps."""
        done = self.state.step / self.config.steps
        if self.config.minutes is not None:
            # One more validation ends the loop; what comes after it is measured in validations, too.
            room = 60 * self.config.minutes * self.room - self.state.validating * (1 + self.after)
            done = max(done, self.state.seconds / room if room > 0 else 1.0)
        return min(done, 1.0)

    def _step(self) -> None:
        started, state = time.perf_counter(), self.state
        share = self.share
        for group in self.optimiser.param_groups:
            group["lr"] = group["rate"] * rate(share, self.config.warmup)
        self.module.train()
        self.module.changed()
        torch.manual_seed(self.seed * 1_000_003 + state.step)  # dropout
        for number in range(self.config.accumulate):
            batch = self.sampler.batch(state.step, number, share)
            rng = np.random.default_rng([self.seed, state.step, NEGATIVES + number])
            losses = self.module(batch.to(self.device), rng)
            if losses.sums:
                self.accelerator.backward(losses.total(self.config.weights) / self.config.accumulate)
            sums = {name: float(value.detach()) for name, value in losses.sums.items()}
            state.tally.add(sums, losses.counts, batch.used, batch.tokens.numel())
        self.accelerator.clip_grad_norm_([p for group in self.module.groups() for p in group], self.config.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        state.step += 1
        self._follow()
        seconds = time.perf_counter() - started
        state.seconds += seconds
        state.tally.seconds += seconds
        self._teller.step(state.step, self.share, state.tally, state.records)

    @torch.no_grad()
    def _follow(self) -> None:
        """Take the weights into their average, which forgets faster at first."""
        if not self.config.ema:
            return
        now, step = self.module.learned(), self.state.step
        if not self.average:
            self.average = {name: value.clone() for name, value in now.items()}
        decay = min(self.config.ema, (1 + step) / (10 + step))
        for name, value in self.average.items():
            value.lerp_(now[name].to(value.dtype), 1 - decay)

    def _validate(self) -> None:
        started, state = time.perf_counter(), self.state
        now = {name: value.clone() for name, value in self.module.learned().items()} if self.average else {}
        self.module.put(self.average or self.module.learned())
        self.module.eval()
        found = self.validate() if self.validate is not None else None
        state.validating = max(state.validating, time.perf_counter() - started)
        state.seconds += time.perf_counter() - started
        best = max((each.validation for each in state.records if each.validation is not None), default=-np.inf)
        state.records.append(state.tally.record(state.step, found, state.seconds))
        state.tally = Tally()
        if found is None or found > best or not self.kept:  # an AUC of one class alone is no number
            state.best, state.worse = state.step, 0
            self.kept = {name: value.cpu().clone() for name, value in self.module.learned().items()}
        else:
            state.worse += 1
            if state.worse >= self.config.patience and not state.stopped:
                state.stopped = "patience"
        if now:
            self.module.put(now)
        self._saved = -np.inf

    def _save(self, *, final: bool) -> None:
        now = time.perf_counter()
        if not final and now - self._saved < self.config.checkpoint_seconds:
            return
        self.state.spent = dict(self.sampler.spent)
        groups: Groups = {
            "now": self.module.learned(),
            "best": self.kept,
            "optimiser": optimiser_tensors(self.optimiser),
        }
        if self.average:
            groups["average"] = self.average
        self.checkpoint.write(groups, self.state.to_dict())
        self._saved = now

    def _resume(self) -> None:
        found = self.checkpoint.read()
        if found is None:
            return
        groups, stored = found
        self.state = State.from_dict(stored)
        self.sampler.spent = dict(self.state.spent)
        self.kept = groups["best"]
        self.module.put({name: value.to(self.device) for name, value in groups["now"].items()})
        self.average = {name: value.to(self.device) for name, value in groups.get("average", {}).items()}
        put_optimiser_tensors(self.optimiser, groups.get("optimiser", {}))
        if self.state.stopped == "minutes" and self.share < 1:
            self.state.stopped = ""  # there are more of them now


def rate(share: float, warmup: float) -> float:
    """How much of the highest rate is used: rises over the warm-up, then falls to 0 in a line."""
    return min(1.0, share / warmup if warmup else 1.0) * min(1.0, (1 - share) / (1 - warmup)) if share else 1e-3

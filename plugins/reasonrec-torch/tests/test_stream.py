"""Streams: bounded in steps and time, several batches a step, most of the model frozen, and gone on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reasonrec_torch import trainer
from reasonrec_torch.config import TrainerConfig
from reasonrec_torch.model_protocol import BatchLoss, StreamSource, Trainable, trainable_tensors
from reasonrec_torch.optimiser import share_schedule
from reasonrec_torch.progress import TrainingReport
from reasonrec_torch.trainer import CHECKPOINT, TimeLimit, train
from safetensors import safe_open
from torch import Tensor, nn


@dataclass(frozen=True)
class Points:
    """x and 3 x, with one place in four empty."""

    x: Tensor
    samples: int = 4
    used: int = 3
    places: int = 4

    def to(self, device: torch.device) -> Tensor:
        return self.x.to(device)


@dataclass
class Numbers:
    """A stream whose draws depend on what it gave before."""

    steps: int = 12
    given: int = 0
    asked: list[tuple[int, int, float]] = field(default_factory=list)
    digest: str = "numbers"

    def draw(self, step: int, number: int, progress: float) -> Points:
        self.asked.append((step, number, progress))
        self.given += 1
        rng = np.random.default_rng([step, number, self.given])
        return Points(torch.from_numpy(rng.normal(size=4).astype(np.float32)))

    def state(self) -> dict[str, Any]:
        return {"given": self.given}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.given = state["given"]


class Adapted(Trainable[Tensor]):
    """A frozen map and a learned factor."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(1, 1)
        self.frozen.requires_grad_(False)
        self.factor = nn.Parameter(torch.zeros(1, 1))
        self.noise = nn.Dropout(0.3)
        self.changes = 0

    def loss(self, batch: Tensor, rng: np.random.Generator) -> BatchLoss:
        error = ((self.noise(batch * self.factor[0]) - 3 * batch) ** 2).mean() + float(rng.random()) * self.factor.sum()
        return BatchLoss(error, {"half": error / 2}, {"half": 2})

    def learned_tensors(self) -> dict[str, Tensor]:
        return trainable_tensors(self)

    def weights_changed(self) -> None:
        self.changes += 1


def trained(
    source: Numbers | None = None, settings: dict[str, Any] | None = None, **more: Any
) -> tuple[float, TrainingReport]:
    torch.manual_seed(1)
    model = Adapted()
    config = TrainerConfig(**{"epochs": 4, "learning_rate": 0.1, "ema": 0.5, "device": "cpu", **(settings or {})})
    report = train(model, source or Numbers(), config, **{"seed": 2, "schedule": share_schedule(0.1), **more})
    return float(model.factor.detach()), report


def test_an_epoch_is_an_equal_share_of_the_steps() -> None:
    source, told = Numbers(), []
    assert isinstance(source, StreamSource)
    factor, report = trained(source, progress=lambda *what: told.append(what), label="tune it")
    assert (report.steps, report.stopped, [r.step for r in report.epochs]) == (12, "steps", [3, 6, 9, 12])
    assert [progress for _, _, progress in source.asked] == [step / 12 for step in range(12)]
    assert factor != 0
    assert report.epochs[0].targets == {"loss": 12, "half": 6}
    assert report.epochs[0].losses["half"] == pytest.approx(report.epochs[0].losses["loss"] / 2)
    assert report.epochs[0].padding == 0.25
    assert told[-1][:2] == (1000, 1000)
    assert told[0][2].startswith("tune it, step 1 (half ")


def test_the_rate_falls_with_the_share() -> None:
    rate = share_schedule(0.25)
    assert [rate(8.0, 0, p) for p in (0, 0.125, 0.25, 0.625, 1)] == pytest.approx([0.008, 4, 8, 4, 0])


def test_gradients_of_a_step_are_averaged() -> None:
    class Mean(Adapted):
        def loss(self, batch: Tensor, rng: np.random.Generator) -> BatchLoss:
            return BatchLoss(batch.sum() * self.factor.sum())

    model, source = Mean(), Numbers(steps=1)
    seen: list[Tensor] = []
    model.factor.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))  # type: ignore[union-attr]
    train(model, source, TrainerConfig(epochs=1, accumulate=3, clip=1e9, device="cpu"))
    other = Numbers(steps=1)
    wanted = sum(other.draw(0, number, 0.0).x.sum() for number in range(3)) / 3
    assert len(source.asked) == 3
    torch.testing.assert_close(seen[-1][0, 0], torch.as_tensor(wanted))


def test_nothing_to_learn_from_is_no_step_back() -> None:
    class Silent(Adapted):
        def loss(self, batch: Tensor, rng: np.random.Generator) -> BatchLoss:
            return BatchLoss(None)

    model = Silent()
    report = train(model, Numbers(), TrainerConfig(epochs=2, device="cpu"))
    assert float(model.factor.detach()) == 0
    assert report.epochs[-1].losses == {}


@pytest.mark.parametrize("seconds", [0, 1e9])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_goes_on_where_it_was_cut_off(tmp_path: Path, seconds: float, accumulate: int) -> None:
    settings = {"accumulate": accumulate}
    whole, report = trained(settings=settings)
    for calls in (2, 3, 5):
        left = iter(range(calls))

        def stop(done: int, total: int, label: str, left: Any = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            trained(settings={**settings, "checkpoint_seconds": seconds}, workdir=tmp_path, progress=stop)
    again, resumed = trained(settings={**settings, "checkpoint_seconds": seconds}, workdir=tmp_path)
    assert again == whole
    assert [r.losses for r in resumed.epochs] == [r.losses for r in report.epochs]
    assert resumed.steps == 12


def test_only_what_is_learned_is_kept(tmp_path: Path) -> None:
    trained(workdir=tmp_path)
    with safe_open(tmp_path / CHECKPOINT, "pt") as file:
        assert set(file.keys()) == {
            *(f"{group}/factor" for group in ("model", "average", "best")),
            *(f"optimiser/0.{name}" for name in ("step", "exp_avg", "exp_avg_sq")),
        }


def test_the_start_is_kept_where_nothing_is_better() -> None:
    figures = iter([0.5, 0.1, 0.2, 0.3])
    factor, report = trained(validate=lambda model: next(figures), validate_start=True, settings={"patience": 3})
    assert factor == 0
    assert (report.best, report.validation, report.stopped) == (0, 0.5, "patience")
    assert [(r.epoch, r.step) for r in report.epochs] == [(0, 0), (1, 3), (2, 6), (3, 9)]


def test_a_clock_ends_it_and_more_time_lets_it_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is a second later."""
    clock = count()
    monkeypatch.setattr(trainer.time, "perf_counter", lambda: float(next(clock)))
    more = {"validate": lambda model: 0.5, "settings": {"patience": 9}, "workdir": tmp_path}
    source = Numbers(steps=1000)
    _, report = trained(source, limit=TimeLimit(40), **more)
    assert report.stopped == "minutes"
    assert 10 < report.steps < 45
    assert report.seconds <= 44
    progress = [p for _, _, p in source.asked]
    assert progress == sorted(progress)
    assert len(report.epochs) == 4
    _, longer = trained(Numbers(steps=1000), limit=TimeLimit(400), **more)
    assert longer.steps > report.steps
    assert longer.epochs[:4] == report.epochs
    _, tight = trained(Numbers(steps=1000), limit=TimeLimit(40, spent=30), validate=lambda model: 0.5)
    assert tight.steps < report.steps


def test_what_is_computed_from_the_weights_is_told_when_they_change() -> None:
    torch.manual_seed(1)
    model = Adapted()
    at: list[int] = []
    train(model, Numbers(), TrainerConfig(epochs=2, device="cpu"), validate=lambda m: at.append(m.changes) or 0.0)
    assert at[0] > 6
    assert at[1] > at[0] + 6
    assert model.changes > at[1]

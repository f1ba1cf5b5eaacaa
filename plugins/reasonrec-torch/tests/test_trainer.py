"""Training learns what is there to learn, keeps the best, and is the same however often it was cut off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
import torch
from planted import cases, config, network
from reasonrec_torch.curriculum import Curriculum, CurriculumConfig
from reasonrec_torch.losses import make_softmax
from reasonrec_torch.next_item import NextItemModel, last_states, next_item_figure
from reasonrec_torch.progress import TrainingReport, duration
from reasonrec_torch.trainer import CHECKPOINT, train
from safetensors import safe_open
from torch import Tensor

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import History

FIGURE = next_item_figure(cases(), 50)


def weights(module: NextItemModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def trained(changes: dict[str, Any] | None = None, **more: Any) -> tuple[dict[str, Tensor], TrainingReport]:
    module, source = network(), planted.planted(curriculum=more.pop("curriculum", None))
    report = train(
        module, source, config(**changes or {}), **{"seed": 3, "validate": FIGURE, "label": "train it", **more}
    )
    return weights(module), report


@pytest.mark.parametrize("shape", ["positions", "prefixes"])
@pytest.mark.parametrize(
    "loss", [{"loss": "full"}, {"loss": "sampled", "negatives": 8}, {"loss": "sampled", "popularity": 1.0}]
)
def test_learns_a_planted_pattern(shape: str, loss: dict[str, Any]) -> None:
    data, settings = planted.planted(shape=shape), config(epochs=6, patience=6)
    module = network(make_softmax(counts=np.bincount(data.items, minlength=planted.N_ITEMS), **loss))
    before = FIGURE(module.eval())
    report = train(module, data, settings, validate=FIGURE)
    assert before < 0.3
    assert FIGURE(module) > 0.85
    assert report.validation == FIGURE(module) == max(r.validation or 0 for r in report.epochs)
    assert report.epochs[-1].losses["next item"] < 0.3 * report.epochs[0].losses["next item"]
    assert report.epochs[0].samples == len(data.items) - planted.N_USERS


def test_same_seed_same_weights_and_the_callers_chance_is_untouched() -> None:
    torch.manual_seed(11)
    wanted = torch.rand(2)
    module = network()
    torch.manual_seed(11)
    train(module, planted.planted(), config(), seed=3)
    assert torch.equal(torch.rand(2), wanted)
    one, other = trained()[0], trained(seed=4)[0]
    assert same(one, trained()[0])
    assert not same(one, other)


class Stop(Exception):
    """What cuts a training off."""


def stops_after(calls: int, error: type[BaseException] = Stop) -> Callable[[int, int, str], None]:
    left = iter(range(calls))

    def progress(done: int, total: int, label: str) -> None:
        if next(left, None) is None:
            raise error

    return progress


@pytest.mark.parametrize("kind", ["none", "three-phase", "truncation"])
@pytest.mark.parametrize("seconds", [0, 1e9])
def test_goes_on_where_it_was_cut_off(tmp_path: Path, seconds: float, kind: Any) -> None:
    """After every epoch (1e9 seconds between others) or after every step (0); cut off four times."""
    horizon = np.linspace(0, 1, planted.N_USERS, dtype=np.float32)
    more = {"curriculum": Curriculum(CurriculumConfig(kind=kind), horizon)}
    whole, report = trained(**more)
    for calls in (4, 11, 17, 9):
        with pytest.raises(KeyboardInterrupt):
            trained(
                {"checkpoint_seconds": seconds},
                workdir=tmp_path,
                progress=stops_after(calls, KeyboardInterrupt),
                **more,
            )
    again, resumed = trained({"checkpoint_seconds": seconds}, workdir=tmp_path, **more)
    assert same(whole, again)
    assert [r.validation for r in resumed.epochs] == [r.validation for r in report.epochs]
    assert [r.losses for r in resumed.epochs] == [r.losses for r in report.epochs]


def test_goes_on_after_a_kill(tmp_path: Path) -> None:
    """A real process, ended by SIGKILL in its second epoch; this one goes on and ends with the very same weights."""
    command = [sys.executable, planted.__file__, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            done, _, label = line.partition(" ")
            if "epoch 2 of" in label and int(done) > 200:
                child.kill()
        assert child.wait() < 0, child.stderr.read() if child.stderr else ""
    with safe_open(tmp_path / CHECKPOINT, "pt") as file:
        assert '"records": [{"epoch": 1, "step"' in file.metadata()["state"]
    progress: list[str] = []
    again, _ = trained(workdir=tmp_path, progress=lambda done, total, label: progress.append(f"{done} {label}"))
    assert int(progress[0].split()[0]) > 0
    assert "epoch 2 of 4" in progress[0]
    assert same(trained()[0], again)


def test_a_finished_training_is_found_again(tmp_path: Path) -> None:
    first, report = trained(workdir=tmp_path)

    def never(module: NextItemModel) -> float:
        raise AssertionError("trained again")

    again, found = trained(workdir=tmp_path, validate=never)
    assert same(first, again)
    assert found == report


@pytest.mark.parametrize("change", [{"epochs": 3}, {"clip": 1.0}, {"precision": "bfloat16"}])
def test_another_training_does_not_go_on_from_it(tmp_path: Path, change: dict[str, Any]) -> None:
    trained(workdir=tmp_path)
    assert same(trained(change, workdir=tmp_path)[0], trained(change)[0])


@pytest.mark.parametrize("more", [{"seed": 5}, {"key": "other features"}])
def test_nor_with_another_seed_or_key(tmp_path: Path, more: dict[str, Any]) -> None:
    trained(workdir=tmp_path)
    calls: list[float] = []

    def validate(module: NextItemModel) -> float:
        calls.append(FIGURE(module))
        return calls[-1]

    trained(workdir=tmp_path, validate=validate, **more)
    assert len(calls) == 4


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    with pytest.raises(DataError, match=r"cannot be read.*Delete the file"):
        trained(workdir=tmp_path)


def test_a_write_that_is_cut_off_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = trained()
    write, count = Path.write_bytes, iter(range(9))

    def half(path: Path, data: bytes) -> int:
        if next(count) < 2:
            return write(path, data)
        write(path, data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(KeyboardInterrupt):
        trained(workdir=tmp_path)
    monkeypatch.undo()
    (tmp_path / f".{CHECKPOINT}.left").write_bytes(b"by a process that was killed while it wrote")
    again, report = trained(workdir=tmp_path)
    assert same(whole, again)
    assert len(report.epochs) == 4
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT]


def test_stops_without_progress_and_keeps_the_best() -> None:
    figures, seen = iter([0.1, 0.3, float("nan"), 0.2, 0.3, 0.9]), []

    def validate(module: NextItemModel) -> float:
        assert not module.training
        assert not torch.is_grad_enabled()
        seen.append(weights(module))
        return next(figures)

    kept, report = trained({"epochs": 9, "patience": 3}, validate=validate)
    assert (report.stopped, report.best, report.validation, len(report.epochs)) == ("patience", 2, 0.3, 5)
    assert same(kept, seen[1])


def test_without_validation_the_last_weights_are_kept() -> None:
    kept, report = trained(validate=None)
    assert (report.stopped, report.best, report.validation) == ("epochs", 4, None)
    assert not same(kept, trained({"ema": 0}, validate=None)[0])


def test_progress_is_one_bar_per_epoch_that_tells_how_it_goes() -> None:
    told: list[tuple[int, int, str]] = []
    _, report = trained(progress=lambda *what: told.append(what))
    labels = list(dict.fromkeys(label for _, _, label in told))
    assert len(labels) == len(report.epochs)
    assert labels[0] == "train it, epoch 1 of 4"
    best = max(r.validation or 0 for r in report.epochs[:2])
    assert f"(validation NDCG@10 {report.epochs[1].validation:.4f}, best {best:.4f}; " in labels[2]
    assert "samples/s, at most" in labels[2]
    assert all(0 <= done <= total for done, total, _ in told)
    assert [told[-1][:2]] == [(report.epochs[-1].samples, report.epochs[-1].samples)]
    assert [duration(s) for s in (9, 185, 7800)] == ["9 s", "3 min 05 s", "2 h 10 min"]


def test_a_loss_that_explodes_is_said() -> None:
    with pytest.raises(ConfigError, match=r"epoch 1 of training: the loss became infinite.*learning rate"):
        trained({"learning_rate": 1e30, "warmup": 0, "clip": 1e30, "ema": 0})


def test_bfloat16_learns_too() -> None:
    _, report = trained({"precision": "bfloat16", "epochs": 6})
    assert report.precision == "bfloat16"
    assert (report.validation or 0) > 0.9


def test_last_states_are_those_after_the_newest_item() -> None:
    module = network().eval()
    history = History.of([[3, 4, 5], [], [9], [1, 2, 3, 4, 6]])
    table, _ = module.table()
    found = last_states(module, table, history, max_history=2)
    wanted = module.states(torch.tensor([[5, 9, 6]]), table)[0].detach().numpy()
    np.testing.assert_allclose(found[[0, 2, 3]], wanted, rtol=1e-5)
    assert np.isfinite(found[1]).all()


def test_the_figure_is_ndcg_over_all_items_with_the_history_masked() -> None:
    module = network().eval()
    asked = cases()
    with torch.no_grad():
        table, bias = module.table()
        scores = torch.from_numpy(last_states(module, table, asked.queries.history, 50)) @ table.T + bias
    scores[asked.queries.history.rows, asked.queries.history.items] = -torch.inf
    own = scores[torch.arange(len(asked)), torch.from_numpy(asked.targets).long()]
    places = (scores >= own[:, None]).sum(1).numpy()
    wanted = np.where(places <= 10, 1 / np.log2(places + 1), 0).mean()
    assert FIGURE(module) == pytest.approx(wanted)

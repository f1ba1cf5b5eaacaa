"""The optimiser, its rate, the moving average, and where a network runs."""

from __future__ import annotations

from functools import partial
from typing import Any

import planted
import pytest
import torch
from planted import config, network
from reasonrec_torch.devices import compiles, device_of, exact, pick_device, precision_of
from reasonrec_torch.ema import MovingAverage
from reasonrec_torch.optimiser import linear_schedule, make_adamw, minimise
from reasonrec_torch.trainer import train
from torch import Tensor, nn

from reasonrec_core.errors import ConfigError


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    rate = linear_schedule(10, 0.5)
    steps = [rate(1.0, step, step / 100) for step in range(100)]
    assert steps[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert set(steps[10:51]) == {1.0}
    assert steps[75] == pytest.approx(0.5)
    assert rate(1.0, 100, 1.0) == 0


def test_a_short_training_warms_up_faster() -> None:
    rate = linear_schedule(1000, 0.0)
    assert max(rate(1.0, step, step / 8) for step in range(8)) == pytest.approx(0.875)
    assert rate(1.0, 9, 0.09) == pytest.approx(0.9 * 0.91)
    assert rate(1.0, 10, 0.1) == pytest.approx(0.9)


def test_only_matrices_decay() -> None:
    module = network()
    groups = make_adamw(module, config(weight_decay=0.3)).param_groups
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert {n: decays[id(p)] for n, p in module.named_parameters()} == {
        n: 0.3 if p.ndim > 1 else 0.0 for n, p in module.named_parameters()
    }


@pytest.mark.parametrize(("clip", "moved"), [(None, 30.0), (0.5, 0.5)])
def test_a_small_fit_cuts_gradients_down_if_that_is_wanted(clip: float | None, moved: float) -> None:
    weight = nn.Parameter(torch.zeros(()))
    minimise(torch.optim.SGD([weight], lr=1.0), [30.0], lambda slope, progress: -slope * weight, steps=1, clip=clip)
    assert float(weight) == pytest.approx(moved, rel=1e-4)


def test_the_average_follows_its_formula() -> None:
    module = nn.Linear(2, 1, bias=False)
    average = MovingAverage(module, 0.5)
    wanted = module.weight.detach().clone()
    for step in range(1, 12):
        with torch.no_grad():
            module.weight.add_(step)
        average.update(step)
        kept = min(0.5, (1 + step) / (10 + step))
        wanted = kept * wanted + (1 - kept) * module.weight.detach()
    held = module.weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(module.weight.detach(), wanted)
    assert torch.equal(module.weight.detach(), held)


def test_no_average_is_the_weights_themselves() -> None:
    module = nn.Linear(2, 1)
    average = MovingAverage(module, 0)
    average.update(1)
    held = module.weight.detach().clone()
    with average.in_place():
        assert torch.equal(module.weight.detach(), held)
    assert average.tensors() == {}


@pytest.mark.parametrize("name", ["abacus", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        device_of(name)


@pytest.mark.parametrize("name", ["abacus", "cuda:99"])
def test_a_model_that_answers_finds_its_device_or_says_why_not(name: str) -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match=name):
        pick_device(name)


def test_a_cpu_computes_in_float32_and_uncompiled_unless_told() -> None:
    cpu = device_of("cpu")
    assert precision_of(config(), cpu) == torch.float32
    assert precision_of(config(precision="bfloat16"), cpu) == torch.bfloat16
    assert not compiles(config(), cpu, 10**6)
    assert compiles(config(compiled="yes"), cpu, 1)
    assert not compiles(config(compiled="no"), torch.device("cuda"), 10**6)


class Sparse(planted.Bigram):
    """Items that are the sum of their labels' vectors, by a sparse product."""

    @exact
    def table(self) -> tuple[Tensor, Tensor]:
        return torch.sparse.mm(torch.eye(planted.N_ITEMS).to_sparse(), self.items), self.bias


def test_an_exact_method_leaves_autocast() -> None:
    module = Sparse()
    with torch.autocast("cpu", torch.bfloat16):
        table, _ = module.table()
        assert table.dtype == torch.float32
        assert (table @ table.T).dtype == torch.bfloat16
    train(module, planted.planted(), config(epochs=1, precision="bfloat16"))


def test_compiled_code_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and run by torch's own compiler front end, without generating machine code."""
    calls: list[Any] = []

    def compile_(function: Any, **options: Any) -> Any:
        calls.append(options)
        return real(function, **options)

    real = partial(torch.compile, backend="eager")
    one, other = network(), network()
    train(one, planted.planted(), config(epochs=2))
    monkeypatch.setattr(torch, "compile", compile_)
    train(other, planted.planted(), config(epochs=2, compiled="yes"))
    assert calls == [{"dynamic": True}]
    assert "states" not in vars(other)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b)

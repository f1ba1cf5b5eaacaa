"""Dropout on a CPU has torch's distribution, and its gradient goes where numbers were kept."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from reasonrec_torch.dropout import causal_attention, dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_each_number_is_dropped_with_the_rate(rate: float) -> None:
    torch.manual_seed(0)
    kept = dropout(torch.ones(1001, 97), rate) > 0
    error = (rate * (1 - rate) / kept.numel()) ** 0.5
    assert abs((~kept).double().mean() - rate) < 4 * error
    together = (kept[:, 1:] & kept[:, :-1]).double().mean()  # neighbours come of the same draw
    assert abs(together - (1 - rate) ** 2) < 8 * error


def test_the_mean_stays_and_the_gradient_is_that_of_what_was_kept() -> None:
    torch.manual_seed(0)
    x = torch.rand(7, 5, requires_grad=True)
    found = dropout(x, 0.25)
    (slope,) = torch.autograd.grad(found.sum(), x)
    torch.testing.assert_close(found, x * slope)
    torch.testing.assert_close(slope.unique(), torch.tensor([0.0, 4 / 3]))


def test_the_same_seed_drops_the_same() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(dropout(torch.ones(50), 0.5))
    assert torch.equal(*drawn)


@pytest.mark.parametrize(("rate", "training"), [(0.0, True), (0.5, False)])
def test_nothing_is_dropped_where_nothing_is_asked(rate: float, training: bool) -> None:
    x = torch.rand(4, 4)
    assert torch.equal(dropout(x, rate, training), x)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0), (5, 1)])
def test_shapes_that_no_draw_fills(shape: tuple[int, ...]) -> None:
    assert dropout(torch.ones(shape), 0.5).shape == shape


def test_attention_with_dropout_has_the_mean_of_attention_without() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 1, 6, 4)
    wanted = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(causal_attention(q, k, v, 0.0), wanted)
    torch.testing.assert_close(causal_attention(q, k, v, 1e-5), wanted, atol=1e-3, rtol=1e-3)
    drawn = torch.stack([causal_attention(q, k, v, 0.3) for _ in range(4000)])
    assert ((drawn.mean(0) - wanted).abs() < 5 * drawn.std(0) / 4000**0.5 + 1e-6).all()

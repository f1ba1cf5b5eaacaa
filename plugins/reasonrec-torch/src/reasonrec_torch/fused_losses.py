"""Cross entropies whose gradients are computed with the loss, a few rows at a time.

The float[N, n] of all logits never exists: memory is that of the gradients plus one chunk, which on a CPU stays in the
cache between the passes that read it. Matrix products run in ``dtype``; exponentials and sums in the table's type.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def _multiply_into(out: Tensor, states: Tensor, items: Tensor, bias: Tensor) -> None:
    """float[R, n] logits ``states @ items.T + bias``, in ``out``, whose type may be wider than the factors'."""
    if states.dtype == out.dtype:
        torch.addmm(bias, states, items.T, out=out)
    else:
        out.copy_(states @ items.T).add_(bias)


def _add_product(total: Tensor, first: Tensor, second: Tensor) -> None:
    """Add ``first @ second`` to ``total``, whose type may be wider than the factors'."""
    if first.dtype == total.dtype:
        total.addmm_(first, second)
    else:
        total += first @ second


class FusedCrossEntropy(torch.autograd.Function):
    """Over all items.

    With p = softmax(z), share w of the row, smoothing s and n items:
    loss = w (logsumexp(z) - (1 - s) z_target - s mean(z)), and dloss/dz = w (p - (1 - s) onehot - s / n).
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        table: Tensor,
        bias: Tensor,
        targets: Tensor,
        share: Tensor,
        smoothing: float,
        rows: int,
        dtype: torch.dtype,
    ) -> Tensor:
        """Scalar, for float[N, d], float[n, d], float[n], int64[N] and float[N], ``rows`` of them at a time."""
        learn = any(ctx.needs_input_grad[:3])
        d_states, d_table, d_bias = torch.empty_like(states), torch.zeros_like(table), torch.zeros_like(bias)
        low = table.to(dtype)
        logits = table.new_empty(min(rows, len(states)), len(table))
        total = table.new_zeros(())
        with torch.autocast(states.device.type, enabled=False):
            for start in range(0, len(states), rows):
                part = slice(start, min(start + rows, len(states)))
                h, y, w = states[part].to(dtype), targets[part, None], share[part, None]
                z = logits[: len(h)]
                _multiply_into(z, h, low, bias)
                aim = (1 - smoothing) * z.gather(1, y) + (smoothing * z.mean(1, keepdim=True) if smoothing else 0)
                top = z.amax(1, keepdim=True)
                mass = z.sub_(top).exp_().sum(1, keepdim=True)
                total += (w * (mass.log() + top - aim)).sum()
                if not learn:
                    continue
                z.mul_(w / mass)
                if smoothing:
                    z.sub_(w * (smoothing / len(table)))
                z.scatter_add_(1, y, w * (smoothing - 1))
                g = z.to(dtype)
                d_states[part] = g @ low
                d_bias += z.sum(0)
                _add_product(d_table, g.T, h)
        ctx.save_for_backward(d_states, d_table, d_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients that `forward` left."""
        d_states, d_table, d_bias = ctx.saved_tensors
        return d_states * grad.to(d_states.dtype), d_table * grad, d_bias * grad, None, None, None, None, None


class FusedSampledCrossEntropy(torch.autograd.Function):
    """Against the target and m negatives that all rows share.

    With the row's own logit o, the logits z of its negatives and share w of the row:
    loss = w (log(exp(o) + sum exp(z)) - o), dloss/dz = w exp(z) / (exp(o) + sum exp(z)) and dloss/do = -sum dloss/dz.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        negatives: Tensor,
        bias: Tensor,
        own: Tensor,
        hits: Tensor,
        share: Tensor,
        rows: int,
        dtype: torch.dtype,
    ) -> Tensor:
        """Scalar, for float[N, d], float[m, d], float[m], float[N] and float[N].

        ``hits``, int64[2, H], says which negatives (second row) do not count for which rows (first row, ascending).
        """
        learn = any(ctx.needs_input_grad[:4])
        d_states, d_negatives, d_bias = torch.empty_like(states), torch.zeros_like(negatives), torch.zeros_like(bias)
        d_own, total, many = torch.zeros_like(own), own.new_zeros(()), len(negatives)
        low = negatives.to(dtype)
        logits = negatives.new_empty(min(rows, len(states)), many)
        starts = range(0, len(states), rows)
        cuts = torch.searchsorted(hits[0].contiguous(), torch.tensor([*starts, len(states)], device=hits.device))
        bounds = cuts.tolist()
        with torch.autocast(states.device.type, enabled=False):
            for chunk, start in enumerate(starts):
                part = slice(start, min(start + rows, len(states)))
                h, o, w = states[part].to(dtype), own[part, None], share[part, None]
                z = logits[: len(h)]
                _multiply_into(z, h, low, bias)
                row, column = hits[:, bounds[chunk] : bounds[chunk + 1]]
                z[row - start, column] = -torch.inf
                top = torch.maximum(z.amax(1, keepdim=True), o)
                others = z.sub_(top).exp_().sum(1, keepdim=True)
                mass = others + (o - top).exp()
                total += (w * (mass.log() + top - o)).sum()
                if not learn:
                    continue
                z.mul_(w / mass)
                g = z.to(dtype)
                d_own[part] = -(w * others / mass)[:, 0]
                d_states[part] = g @ low
                d_bias += z.sum(0)
                _add_product(d_negatives, g.T, h)
        ctx.save_for_backward(d_states, d_negatives, d_bias, d_own)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients that `forward` left."""
        d_states, d_negatives, d_bias, d_own = ctx.saved_tensors
        return d_states * grad.to(d_states.dtype), d_negatives * grad, d_bias * grad, d_own * grad, *4 * (None,)

"""Losses: cross entropy over the catalogue (exact, or with sampled negatives), binary, pairwise, listwise.

The two over the catalogue share one interface (`Softmax`), so that a model is written once:
``loss(states[N, d], table[n, d], bias[n], targets[N], weights[N] | None) -> scalar``. The logits are
``states @ table.T + bias``; a model that wants a temperature divides its states by it.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reasonrec_core.types import Int64

CPU_CHUNK = 3 << 19
"""Bytes of logits at once on a CPU (1.5 MiB): they stay in the cache between the passes that read them."""
GPU_CHUNK = 1 << 29
"""Bytes of logits at once on an accelerator (512 MiB): enough to keep it busy."""


class Softmax(Protocol):
    """A loss over the catalogue."""

    def loss(
        self, states: Tensor, table: Tensor, bias: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """The weighted mean over the rows.

        Args:
            states: float[N, d], what is known when the item is chosen.
            table: float[n, d], the items.
            bias: float[n].
            targets: int64[N], the items that were chosen.
            weights: float[N], not negative, or None for equal ones; no gradient flows to them.

        Returns:
            A scalar; 0 where there are no rows, or only rows of weight 0.
        """
        ...


class FullSoftmax:
    """Exact cross entropy over all items.

    The gradients are computed with the loss, a few rows at a time, so that the float[N, n] of all logits never
    exists: memory is that of the table's gradient plus one chunk. Under autocast (or with ``dtype``) the matrix
    products run in that type; exponentials and sums always in that of the table, at least float32.

    Args:
        smoothing: share of the target's probability that is spread over all items (label smoothing; Szegedy et al.,
            2016, section 7).
        chunk_bytes: size of a chunk's logits; by default what suits the device.
        dtype: of the matrix products; by default autocast's, else that of the tensors.
    """

    def __init__(
        self, smoothing: float = 0.0, chunk_bytes: int | None = None, dtype: torch.dtype | None = None
    ) -> None:
        self.smoothing, self.chunk_bytes, self.dtype = smoothing, chunk_bytes, dtype

    def loss(
        self, states: Tensor, table: Tensor, bias: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """See `Softmax.loss`."""
        kind = states.device.type
        wanted = self.dtype or (torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else table.dtype)
        size = self.chunk_bytes or (CPU_CHUNK if kind == "cpu" else GPU_CHUNK)
        rows = max(1, size // (len(table) * table.element_size()))
        share = _shares(targets, weights, table.dtype)
        loss: Tensor = _FusedCrossEntropy.apply(states, table, bias, targets, share, self.smoothing, rows, wanted)
        return loss


class SampledSoftmax:
    """Cross entropy against the target and a sample of negatives that all rows share.

    Negatives are drawn with replacement from q, and each logit is corrected by -log(m q) (logQ; Bengio and Senécal,
    2008, section 3; Jean et al., 2015): the sum of exponentials is then an unbiased estimate of the full one.
    A negative that is a row's own target is left out of that row. Draws come from torch's generator of the device.

    Args:
        negatives: m, how many are drawn per call.
        counts: int64[n], how often each item occurs: q is proportional to ``count ** power``, and an item without
            any counts as half of one, so that every item can be drawn; None draws all items alike.
        power: 1 draws by popularity, smaller values flatten it (Mikolov et al., 2013, use 0.75).
    """

    def __init__(self, negatives: int = 1024, counts: Int64 | None = None, power: float = 0.75) -> None:
        self.negatives = negatives
        self._log_q: Tensor | None = None
        self._edges: Tensor | None = None
        if counts is not None:
            q = np.maximum(np.asarray(counts, np.float64), 0.5) ** power
            q /= q.sum()
            self._log_q, self._edges = torch.from_numpy(np.log(q)).float(), torch.from_numpy(np.cumsum(q))

    def loss(
        self, states: Tensor, table: Tensor, bias: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """See `Softmax.loss`."""
        drawn, shift = self._draw(len(table), table.device)
        own = (states * table[targets]).sum(dim=1, dtype=table.dtype) + bias[targets]
        others = (states @ table[drawn].T).to(table.dtype) + (bias[drawn] - shift)
        others = others.masked_fill(drawn == targets[:, None], -torch.inf)
        losses = torch.cat([own[:, None], others], dim=1).logsumexp(dim=1) - own
        return (losses * _shares(targets, weights, losses.dtype)).sum()

    def loss_of_groups(self, states: Tensor, groups: Tensor, table: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """The mean over P targets, of which many follow the same state: exponentials are summed once for each state.

        None of a state's targets is a negative of its own (`loss` leaves out one at a time).

        Args:
            states: float[G, d].
            groups: int64[P], the state that each target follows.
            table: float[n, d].
            bias: float[n].
            targets: int64[P].
        """
        drawn, shift = self._draw(len(table), table.device)
        others = (states @ table[drawn].T).to(table.dtype) + (bias[drawn] - shift)
        hits = torch.isin(targets, drawn).nonzero()[:, 0]
        row, column = (targets[hits, None] == drawn).nonzero(as_tuple=True)
        own_targets = torch.zeros_like(others, dtype=torch.bool)
        own_targets[groups[hits[row]], column] = True
        total = others.masked_fill(own_targets, -torch.inf).logsumexp(dim=1)
        own = (states[groups] * table[targets]).sum(dim=1, dtype=table.dtype) + bias[targets]
        return (torch.logaddexp(own, total[groups]) - own).mean()

    def _draw(self, n: int, device: torch.device) -> tuple[Tensor, Tensor | float]:
        """int64[m] items, and float[m] (or one float) log(m q) of each."""
        m = self.negatives
        if self._edges is None or self._log_q is None:
            return torch.randint(n, (m,), device=device), math.log(m / n)
        if len(self._edges) != n:
            raise ValueError(f"there are counts of {len(self._edges)} items, but the table has {n}")
        self._edges, self._log_q = self._edges.to(device), self._log_q.to(device)
        at = torch.rand(m, device=device, dtype=self._edges.dtype)
        drawn = torch.searchsorted(self._edges, at, right=True).clamp_(max=n - 1)
        return drawn, self._log_q[drawn] + math.log(m)


def make_softmax(
    loss: Literal["full", "sampled"],
    counts: Int64,
    *,
    negatives: int = 1024,
    popularity: float = 0.0,
    smoothing: float = 0.0,
) -> Softmax:
    """The loss over a catalogue that settings ask for.

    Args:
        loss: over all items, or over a sample of them.
        counts: int64[n], how often each item occurs in the training part.
        negatives: items drawn per call.
        popularity: how much the sample follows ``counts``: 0 not at all, 1 in proportion.
        smoothing: of the full loss.
    """
    if loss == "sampled":
        return SampledSoftmax(negatives, counts if popularity else None, popularity)
    return FullSoftmax(smoothing)


def binary_loss(scores: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean binary cross entropy of float[N] logits with float[N] labels in [0, 1] (BCE)."""
    return torch.nn.functional.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype), weights)


def bpr_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Mean of -log sigmoid(positive - negative) (Rendle et al., 2009, BPR-Opt without its regulariser).

    Args:
        positive: float[N], scores of what was chosen.
        negative: float[N] or float[N, M], scores of what was not.
    """
    if negative.ndim > positive.ndim:
        positive = positive.unsqueeze(-1)
    return -torch.nn.functional.logsigmoid(positive - negative).mean()


def listwise_loss(scores: Tensor, relevance: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean cross entropy of softmax(scores) with each row's shares of relevance (ListNet, top one; Cao et al., 2007).

    Args:
        scores: float[B, C].
        relevance: float[B, C], not negative; rows without any count nothing.
        mask: bool[B, C], where there is something to rank; None for everywhere.
    """
    if mask is not None:
        scores, relevance = scores.masked_fill(~mask, -torch.inf), relevance.masked_fill(~mask, 0.0)
    total = relevance.sum(1, keepdim=True)
    log_share = torch.log_softmax(scores, dim=1)
    terms = torch.where(relevance > 0, relevance / total.clamp(min=torch.finfo(scores.dtype).tiny) * log_share, 0.0)
    some = (total[:, 0] > 0).sum().clamp(min=1)
    return -terms.sum() / some


def _shares(targets: Tensor, weights: Tensor | None, dtype: torch.dtype) -> Tensor:
    """float[N]: what each row counts in the mean."""
    if weights is None:
        return torch.full(targets.shape, 1.0 / max(1, len(targets)), device=targets.device, dtype=dtype)
    weights = weights.detach().to(dtype)
    return weights / weights.sum().clamp(min=torch.finfo(dtype).tiny)


class _FusedCrossEntropy(torch.autograd.Function):
    """The loss and its gradients, chunk by chunk.

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
                if dtype == table.dtype:
                    torch.addmm(bias, h, low.T, out=z)
                else:
                    z.copy_(h @ low.T).add_(bias)
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
                if dtype == table.dtype:
                    d_table.addmm_(g.T, h)
                else:
                    d_table += g.T @ h
        ctx.save_for_backward(d_states, d_table, d_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        d_states, d_table, d_bias = ctx.saved_tensors
        return d_states * grad.to(d_states.dtype), d_table * grad, d_bias * grad, None, None, None, None, None

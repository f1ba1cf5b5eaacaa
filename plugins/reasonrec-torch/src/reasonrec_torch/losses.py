"""Losses: cross entropy over the catalogue (exact, or with sampled negatives), binary, pairwise, listwise.

The two over the catalogue share one interface (`Softmax`), so that a model is written once:
``loss(states[N, d], table[n, d], bias[n], targets[N], weights[N] | None) -> scalar``. The logits are
``states @ table.T + bias``; a model that wants a temperature divides its states by it.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from reasonrec_core.types import Int64
from reasonrec_torch.fused_losses import FusedCrossEntropy, FusedSampledCrossEntropy

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
        rows, share = _count_rows(table, len(table), self.chunk_bytes), _shares(targets, weights, table.dtype)
        dtype = self.dtype or _product_type(table)
        loss: Tensor = FusedCrossEntropy.apply(states, table, bias, targets, share, self.smoothing, rows, dtype)
        return loss


class SampledSoftmax:
    """Cross entropy against the target and a sample of negatives that all rows share.

    Negatives are drawn with replacement from q, and each logit is corrected by -log(m q) (logQ; Bengio and Senécal,
    2008, section 3; Jean et al., 2015): the sum of exponentials is then an unbiased estimate of the full one.
    A negative that is a row's own target is left out of that row. Draws come from torch's generator of the device.
    `loss` computes the gradients with the loss, a few rows at a time, like `FullSoftmax`.

    Args:
        negatives: m, how many are drawn per call.
        counts: int64[n], how often each item occurs: q is proportional to ``count ** power``, and an item without
            any counts as half of one, so that every item can be drawn; None draws all items alike.
        power: 1 draws by popularity, smaller values flatten it (Mikolov et al., 2013, use 0.75).
        chunk_bytes: size of a chunk's logits; by default what suits the device.
    """

    def __init__(
        self,
        negatives: int = 1024,
        counts: Int64 | None = None,
        power: float = 0.75,
        chunk_bytes: int | None = None,
    ) -> None:
        self.negatives, self.chunk_bytes = negatives, chunk_bytes
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
        rows, share = _count_rows(table, self.negatives, self.chunk_bytes), _shares(targets, weights, table.dtype)
        hits = _find_hits(drawn, targets)
        loss: Tensor = FusedSampledCrossEntropy.apply(
            states, table[drawn], bias[drawn] - shift, own, hits, share, rows, _product_type(table)
        )
        return loss

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


def _find_hits(drawn: Tensor, targets: Tensor) -> Tensor:
    """int64[2, H]: rows, ascending, and places in int64[m] ``drawn`` that hold the row's own of int64[N] targets."""
    found, order = drawn.sort()
    low = torch.searchsorted(found, targets)
    many = torch.searchsorted(found, targets, right=True) - low
    row = torch.arange(len(targets), device=drawn.device).repeat_interleave(many)
    within = torch.arange(len(row), device=drawn.device) - (many.cumsum(0) - many)[row]
    return torch.stack([row, order[low[row] + within]])


def _count_rows(table: Tensor, columns: int, size: int | None) -> int:
    """Rows of a chunk of logits with so many columns; ``size`` in bytes, by default what suits the device."""
    size = size or (CPU_CHUNK if table.device.type == "cpu" else GPU_CHUNK)
    return max(1, size // (columns * table.element_size()))


def _product_type(table: Tensor) -> torch.dtype:
    """Of matrix products: autocast's, where it is on."""
    kind = table.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else table.dtype


def _shares(targets: Tensor, weights: Tensor | None, dtype: torch.dtype) -> Tensor:
    """float[N]: what each row counts in the mean."""
    if weights is None:
        return torch.full(targets.shape, 1.0 / max(1, len(targets)), device=targets.device, dtype=dtype)
    weights = weights.detach().to(dtype)
    return weights / weights.sum().clamp(min=torch.finfo(dtype).tiny)

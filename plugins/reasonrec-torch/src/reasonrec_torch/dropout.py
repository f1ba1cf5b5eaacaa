"""Dropout on a CPU in a quarter of the time of torch's own: its chance is drawn sixteen bits for each number.

torch draws a double for each number on a CPU, which there is a quarter of a small network's training.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 1 << 16
"""Rates are rounded to multiples of 1 / STEPS; what is kept is scaled by the rounded rate."""


def dropout(x: Tensor, rate: float, training: bool = True) -> Tensor:
    """Of ``x`` numbers at random set to 0, with probability ``rate``, and the others divided by ``1 - rate``.

    Other devices than a CPU, and compiled networks, use torch's own.
    """
    level = round(rate * STEPS)
    if not training or not level:
        return x
    if x.device.type != "cpu" or level >= STEPS or torch.compiler.is_compiling():
        return F.dropout(x, rate)
    drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    kept = drawn.view(torch.int16)[: x.numel()].view(x.shape) >= level - STEPS // 2
    return x * (kept.to(x.dtype) * (STEPS / (STEPS - level)))


def causal_attention(q: Tensor, k: Tensor, v: Tensor, rate: float) -> Tensor:
    """float[..., L, d] for queries, keys and values of that shape: each position attends up to itself.

    Args:
        q, k, v: float[..., L, d].
        rate: of the dropout of weights; 0 where nothing is trained.
    """
    if not rate or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=rate)
    length = q.shape[-2]
    later = torch.full((length, length), -torch.inf, dtype=q.dtype).triu(1)
    weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2) + later).softmax(-1)
    return dropout(weights, rate) @ v

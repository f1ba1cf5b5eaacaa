"""Losses that bring two views of the same nodes together: node by node, and as distributions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 50
"""Of Sinkhorn's iteration."""


def contrast(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """InfoNCE: each row of float[n, d] must find its own among float[n, d], by cosines (SGL, equation 10)."""
    cosines = F.normalize(one, dim=-1) @ F.normalize(other, dim=-1).T
    return F.cross_entropy(cosines / temperature, torch.arange(len(one), device=one.device))


def draw_nodes(nodes: Tensor, most: int) -> Tensor:
    """int64[m]: the different ones of ``nodes``, or so many of them at random."""
    different: Tensor = torch.unique(nodes)
    if len(different) <= most:
        return different
    return different[torch.randperm(len(different), device=different.device)[:most]]


def transport(one: Tensor, other: Tensor, blur: float) -> Tensor:
    """Wasserstein-1 distance between the directions of float[n, d] and float[m, d], all rows counting alike.

    Entropic transport (Cuturi, NeurIPS 2013), less what each side costs against itself (Sinkhorn divergence; Genevay
    et al., AISTATS 2018), so that equal sets are at distance 0. The gradient is that at the plan (envelope theorem).

    Args:
        one: rows of any length.
        other: likewise.
        blur: entropic regularisation, at least 0.03 (distances are at most 2).
    """
    one, other = F.normalize(one, dim=-1), F.normalize(other, dim=-1)
    return _cost(one, other, blur) - (_cost(one, one, blur) + _cost(other, other, blur)) / 2


def _cost(one: Tensor, other: Tensor, blur: float) -> Tensor:
    distances = (2 - 2 * one @ other.T).clamp(min=1e-8).sqrt()
    with torch.no_grad():
        kernel = torch.exp(-distances / blur)
        right = kernel.new_ones(len(other)) / len(other)
        for _ in range(STEPS):
            left = 1 / (len(one) * (kernel @ right).clamp(min=1e-30))
            right = 1 / (len(other) * (kernel.T @ left).clamp(min=1e-30))
        plan = left[:, None] * kernel * right
    return (plan * distances).sum()

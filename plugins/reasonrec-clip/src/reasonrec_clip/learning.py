"""The mathematics of `CatalogueClip`: a closed-form start, contrastive tuning, recall."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from open_clip.loss import ClipLoss  # type: ignore[import-untyped]
from reasonrec_torch.optimiser import cosine_schedule, minimise
from torch.nn.functional import normalize

from reasonrec_clip.catalogue import CatalogueConfig
from reasonrec_clip.towers import Head, Towers
from reasonrec_core.types import Bool, Progress

Heads = dict[str, Head]


def learn_heads(
    pairs: dict[str, torch.Tensor], towers: Towers, config: CatalogueConfig, seed: int, progress: Progress
) -> tuple[Heads, torch.Tensor]:
    """Heads from float32[n, width] features of images and their texts, row by row; and the logit scale."""
    start = make_canonical_heads(pairs, towers.blocks, config)
    return tune_heads(start, pairs, config, seed, progress)


def make_canonical_heads(
    pairs: dict[str, torch.Tensor], blocks: dict[str, list[int]], config: CatalogueConfig
) -> Heads:
    """Regularised canonical correlation analysis (Hotelling, 1936; Vinod, 1976): the best linear start there is.

    Directions are weighed by the square root of their correlation on either side, so that a dot product weighs them
    by the correlation itself.
    """
    heads = {side: Head(values.shape[1], config.dim, config.dropout) for side, values in pairs.items()}
    whitened, whiteners = {}, {}
    for side, values in pairs.items():
        standard: Any = heads[side][0]
        standard.mean.copy_(values.mean(0))
        standard.scale.copy_(_block_scale(values, blocks[side]))
        seen = standard(values).double()
        covariance = seen.T @ seen / len(seen)
        ridge = config.shrinkage * covariance.diagonal().mean()
        size, basis = torch.linalg.eigh(covariance)
        whiteners[side] = basis * (size.clamp(min=0) + ridge).rsqrt() @ basis.T
        whitened[side] = seen @ whiteners[side]
    cross = whitened["image"].T @ whitened["text"] / len(whitened["image"])
    left, strength, right = torch.linalg.svd(cross, full_matrices=False)
    for side, directions in (("image", left), ("text", right.T)):
        linear: Any = heads[side][2]
        kept = min(config.dim, directions.shape[1])
        weight = torch.zeros(config.dim, directions.shape[0], dtype=torch.float64)
        weight[:kept] = (whiteners[side] @ directions[:, :kept] * strength[:kept].sqrt()).T
        typical = (heads[side][0](pairs[side]).double() @ weight.T).norm(dim=1).mean().clamp(min=1e-9)
        linear.weight.data.copy_(weight / typical)
        linear.bias.data.zero_()
    return heads


def tune_heads(
    heads: Heads, pairs: dict[str, torch.Tensor], config: CatalogueConfig, seed: int, progress: Progress
) -> tuple[Heads, torch.Tensor]:
    """Tune the heads so that an image is nearest to its own text among a batch's, and the other way round."""
    scale = torch.nn.Parameter(torch.tensor(math.log(1 / config.temperature)))
    weights = [each for head in heads.values() for each in head.parameters()]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": [scale], "lr": 1e-3}]
    optimiser = torch.optim.AdamW(groups, config.learning_rate, weight_decay=0)
    count = len(pairs["image"])
    size = min(config.batch_size, count)
    steps = count // size
    contrast = ClipLoss()

    def batches() -> Iterator[torch.Tensor]:
        for epoch in range(config.epochs):
            yield from torch.randperm(count)[: steps * size].reshape(steps, size)
            progress(epoch + 1, config.epochs, "tune clip-catalogue")

    def loss(rows: torch.Tensor, share: float) -> torch.Tensor:
        seen, read = (normalize(heads[side](pairs[side][rows]), dim=1) for side in ("image", "text"))
        found: torch.Tensor = contrast(seen, read, scale.exp().clamp(max=100))
        return found

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for head in heads.values():
            head.train()
        minimise(optimiser, batches(), loss, steps=config.epochs * steps, schedule=cosine_schedule(0))
    return {side: head.eval().requires_grad_(False) for side, head in heads.items()}, scale.detach()


@torch.inference_mode()
def project(head: Head, features: torch.Tensor) -> torch.Tensor:
    """float32[n, dim], unit length."""
    return normalize(head.eval()(features), dim=1)


def measure_recall(images: torch.Tensor, texts: torch.Tensor, ks: Sequence[int] = (1, 10)) -> dict[str, float]:
    """Share of images whose own text is among the k nearest of all texts; ties count against.

    Args:
        images: float32[n, d], unit length.
        texts: float32[n, d], unit length; row i belongs to image i.
    """
    scores = images @ texts.T
    rank = (scores >= scores.diagonal()[:, None]).sum(dim=1)
    return {f"recall@{k}": float((rank <= k).double().mean()) for k in ks}


def draw_held_out(titles: Sequence[str], share: float, seed: int) -> Bool:
    """bool[n]: about ``share`` of the rows, drawn by title, so that colour variants of a thing stay together."""
    names, group = np.unique(np.array(titles), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    drawn = np.zeros(len(names), np.bool_)
    drawn[order[: round(share * len(names))]] = True
    return np.asarray(drawn[group], dtype=np.bool_)


def _block_scale(values: torch.Tensor, blocks: Sequence[int]) -> torch.Tensor:
    """float32[width]: what brings every block (a stage, a layer) to the same total variance."""
    deviation = values.std(dim=0, correction=0)
    scales = [
        (1 / (part.mean().clamp(min=1e-9) * math.sqrt(len(part)))).expand(len(part))
        for part in torch.split(deviation, list(blocks))
    ]
    return torch.cat(scales) * math.sqrt(values.shape[1] / len(blocks))

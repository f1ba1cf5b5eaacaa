"""AdamW (Loshchilov and Hutter, 2019), how its rate changes, and fits of a few numbers that need no more than that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from reasonrec_torch.config import TrainerConfig

B = TypeVar("B")
Schedule = Callable[[float, int, float], float]
"""Of a group's highest rate, the step (from 0) and the share of the training that is over: the rate of the step."""
WARMUP_AT_MOST = 0.1
"""Share of a short training after which warming up is over, however many steps that is."""


def make_adamw(module: nn.Module, config: TrainerConfig) -> torch.optim.Optimizer:
    """AdamW whose weight decay spares vectors: biases and norms have nothing to lose."""
    learned = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    wanted = [group for group in groups if group["params"]]
    return torch.optim.AdamW(wanted, lr=config.learning_rate, betas=config.betas, fused=True)


def linear_schedule(warmup: int, decay_from: float) -> Schedule:
    """Up over ``warmup`` steps, level up to the share ``decay_from``, then down to 0 in a line.

    The way up is at most `WARMUP_AT_MOST` of the training.
    """

    def rate(highest: float, step: int, progress: float) -> float:
        rising = max((step + 1) / max(1, warmup), progress / WARMUP_AT_MOST)
        falling = (1 - progress) / (1 - decay_from)
        return highest * min(1.0, rising) * min(1.0, falling)

    return rate


def share_schedule(warmup: float) -> Schedule:
    """Up over a share of the training, then down to 0 in a line; for trainings that a clock ends."""

    def rate(highest: float, step: int, progress: float) -> float:
        if not progress:
            return highest * 1e-3
        return highest * (min(1.0, progress / warmup if warmup else 1.0) * min(1.0, (1 - progress) / (1 - warmup)))

    return rate


def cosine_schedule(warmup: int) -> Schedule:
    """Up over ``warmup`` steps, and down to 0 along half a cosine (Loshchilov and Hutter, 2017, equation 5)."""

    def rate(highest: float, step: int, progress: float) -> float:
        return highest * min(1.0, (step + 1) / max(1, warmup)) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

    return rate


def minimise(
    optimiser: torch.optim.Optimizer,
    batches: Iterable[B],
    loss: Callable[[B, float], Tensor],
    *,
    steps: int,
    schedule: Schedule | None = None,
    clip: float | None = None,
) -> None:
    """Take one step on each of ``batches``: for fits that take seconds, such as the gates of a mixture.

    Nothing is validated, saved or averaged, and torch's random generator is the caller's; see `trainer.train` for
    what takes longer.

    Args:
        optimiser: of what is fitted.
        batches: drawn one by one, each before its step.
        loss: of a batch and the share of the steps that is over: a scalar.
        steps: how many batches there are, for the share.
        schedule: of the rates; None leaves them.
        clip: norm that gradients are cut down to; None leaves them.
    """
    highest = [float(group["lr"]) for group in optimiser.param_groups]
    for step, batch in enumerate(batches):
        progress = step / steps
        value = loss(batch, progress)
        if schedule is not None:
            for group, most in zip(optimiser.param_groups, highest, strict=True):
                group["lr"] = schedule(most, step, progress)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        if clip is not None:
            nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], clip)
        optimiser.step()


def falling_line(highest: float, step: int, progress: float) -> float:
    """A `Schedule`: from the highest rate down to 0 in a line."""
    return highest * (1 - progress)

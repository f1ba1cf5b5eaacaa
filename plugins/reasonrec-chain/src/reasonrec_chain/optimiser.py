"""AdamW (Loshchilov and Hutter, 2019) as this package uses it, and its learning rate."""

from __future__ import annotations

import torch
from torch import nn

from reasonrec_chain.training_config import TrainingConfig

WARMUP_AT_MOST = 0.25
"""Share of a short training after which warming up is over, however many steps that is."""


def make_optimiser(module: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW whose weight decay spares vectors: biases and norms have nothing to lose."""
    learned = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    wanted = [group for group in groups if group["params"]]
    return torch.optim.AdamW(wanted, lr=config.learning_rate, betas=config.betas, fused=True)


def learning_rate(config: TrainingConfig, step: int, progress: float) -> float:
    """The rate of step number ``step`` (from 0), at a share ``progress`` of the training: up, level, down to 0."""
    rising = max((step + 1) / max(1, config.warmup), progress / WARMUP_AT_MOST)
    falling = (1 - progress) / (1 - config.decay_from)
    return config.learning_rate * min(1.0, rising) * min(1.0, falling)

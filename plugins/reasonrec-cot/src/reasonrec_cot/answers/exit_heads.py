"""Answers of yes or no after some of the layers (OptiRAG-Rec, 2025): small heads that read a text's last state.

Each head is a layer norm and one linear readout, trained together with the adapters, so that lower layers learn to
hold the answer. Shallower heads learn faster: rate * 1.1 ** (layers of the model - layer of the head).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

RATE_PER_LAYER = 1.1
"""How much faster a head learns for every layer that it lacks."""


class ExitHeads(nn.Module):
    """One head per exit.

    Args:
        width: of the model's states.
        layers: after how many layers each head reads, ascending.
    """

    def __init__(self, width: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.width, self.layers = width, tuple(layers)
        self.heads = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1)) for _ in self.layers)
        for head in self.heads:
            nn.init.normal_(head[1].weight, std=0.02)  # type: ignore[index]
            nn.init.zeros_(head[1].bias)  # type: ignore[index]

    def forward(self, number: int, states: torch.Tensor) -> torch.Tensor:
        """float32[n]: log odds of yes against no by the head with this number, for states [n, width]."""
        return torch.as_tensor(self.heads[number](states.float())[:, 0])

    def loss(self, states: Mapping[int, torch.Tensor], clicked: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy of all heads.

        Args:
            states: by layer, [n, width] where the answer begins.
            clicked: float32[n], 1 where the answer is yes.
        """
        each = [
            nn.functional.binary_cross_entropy_with_logits(self(number, states[layer]), clicked)
            for number, layer in enumerate(self.layers)
        ]
        return torch.stack(each).mean()

    def rates(self, rate: float, depth: int) -> list[dict[str, object]]:
        """Groups of an optimiser: each head's parameters and its learning rate, in a model of ``depth`` layers."""
        return [
            {"params": list(head.parameters()), "lr": rate * RATE_PER_LAYER ** (depth - layer)}
            for layer, head in zip(self.layers, self.heads, strict=True)
        ]

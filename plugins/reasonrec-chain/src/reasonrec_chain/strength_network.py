"""How much evidence there is, while it is trained (`reasonrec_chain.evidential` holds what it is for)."""

from __future__ import annotations

import torch
from reasonrec_torch.parameters import read_parameters
from torch import Tensor, nn

from reasonrec_chain.evidential import CLAMP, WIDEST, EvidenceStrength


class StrengthNetwork(nn.Module):
    """Facts and masses to evidence.

    Args:
        facts: X.
        hidden: units of the hidden layer.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, facts: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(facts))
        self.register_buffer("spread", torch.ones(facts))
        self.reader = nn.Sequential(nn.Linear(facts, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, facts: Tensor, masses: Tensor) -> Tensor:
        """float[B, K + 1] evidence for K items and, last, all others, of float[B, X] and float[B, K]."""
        read: Tensor = self.reader(((facts - self.mean) / self.spread).clamp(-WIDEST, WIDEST))
        rest = (1 - masses.sum(dim=1, keepdim=True)).clamp(min=0)
        return read.clamp(-CLAMP, CLAMP).exp() * torch.cat([masses, rest], dim=1)

    def to_arrays(self) -> EvidenceStrength:
        """What was learned."""
        return EvidenceStrength(read_parameters(self))

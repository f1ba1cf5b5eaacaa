"""On how much evidence an answer rests: a Dirichlet over the listed items and all others together.

The masses are its direction; how strong it is, a small network reads off the facts that the gates know, so that
``evidence = strength(x) * mass`` and ``alpha = evidence + 1`` (Sensoy, Kaplan and Kandemir, NeurIPS 2018). It changes
no ranking and no mass.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

import numpy as np
import torch
from torch import Tensor, nn

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32

WIDEST = 4.0
"""Standard deviations at which a fact is cut off, as for the gates."""
CLAMP = 10.0
"""Log strengths within +-10."""


GROUP = "reasonrec.losses"
EvidentialLoss = Callable[[Tensor, Tensor, float, float], Tensor]
"""Of float[P, K] evidence, float[P, K] targets (1 at what happened), the weight of the divergence from no evidence, and
the share of the training that is over: a scalar."""


class EvidenceStrength(nn.Module):
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

    @torch.no_grad()
    def evidence(self, facts: Float32, masses: Float32) -> Float32:
        """The same for arrays."""
        return np.asarray(self(torch.from_numpy(facts), torch.from_numpy(masses)).numpy(), np.float32)


def find_loss(name: str) -> EvidentialLoss:
    """The installed loss of this name.

    Raises:
        ConfigError: there is none.
    """
    found = entry_points(group=GROUP)
    for each in found:
        if each.name == name:
            loss: EvidentialLoss = each.load()
            return loss
    known = ", ".join(sorted(each.name for each in found)) or "none is installed (pip install reasonrec-evidential)"
    raise ConfigError(f"there is no evidential loss {name!r}", where="evidence.loss", fix=f"Losses: {known}.")

"""The gates while they are trained (`reasonrec_chain.gating` holds what they are for)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from reasonrec_torch.parameters import read_parameters
from torch import Tensor, nn

from reasonrec_chain.gating import TINY, WIDEST, GateKind, Gates


class GateNetwork(nn.Module):
    """The weights as a function of the facts.

    Args:
        experts: E.
        fields: F.
        facts: X.
        kind: ``static`` ignores the facts, ``linear`` and ``hidden`` (one hidden layer) read them.
        hidden: units of the hidden layer.
        dropout: rate in it.
        floor: least share of an item in the products, about a tenth of an even share.
    """

    mean: Tensor
    spread: Tensor
    floor: Tensor

    def __init__(
        self, experts: int, fields: int, facts: int, kind: GateKind, hidden: int, dropout: float, floor: float
    ) -> None:
        super().__init__()
        self.experts, self.fields, self.kind = experts, fields, kind
        outputs = 2 * experts + fields
        self.base = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("mean", torch.zeros(facts))
        self.register_buffer("spread", torch.ones(facts))
        self.register_buffer("floor", torch.tensor(floor))
        self.reader: nn.Module | None = None
        if kind != "static":
            last = nn.Linear(hidden if kind == "hidden" else facts, outputs)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            first = [nn.Linear(facts, hidden), nn.Tanh(), nn.Dropout(dropout)] if kind == "hidden" else []
            self.reader = nn.Sequential(*first, last)

    def weights(self, facts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """float[B, E] log w, float[B, E] c and float[B, F] b for float[B, X]."""
        out = self.base.expand(len(facts), -1)
        if self.reader is not None:
            out = out + self.reader(((facts - self.mean) / self.spread).clamp(-WIDEST, WIDEST))
        e = self.experts
        return F.log_softmax(out[:, :e], dim=1), out[:, e : 2 * e], out[:, 2 * e :]

    def forward(self, shares: Tensor, ratios: Tensor, facts: Tensor) -> Tensor:
        """float[B, C] log scores for float[B, E, C], float[B, F, C] and float[B, X]."""
        w, c, b = self.weights(facts)
        mixed = torch.log(torch.einsum("be,bec->bc", w.exp(), shares) + TINY)
        agreed = torch.einsum("be,bec->bc", c, torch.log(shares + self.floor))
        return mixed + agreed + torch.einsum("bf,bfc->bc", b, ratios)

    def to_arrays(self) -> Gates:
        """What was learned."""
        return Gates(self.kind, self.experts, self.fields, read_parameters(self))

"""Steps *weigh* and *decide*: how much each expert and each inferred label counts for this query, and the result.

With p_e(i) the experts' shares, R_f(i) the fields' likelihood ratios and x what is known about the query,

    log score(i) = log sum_e w_e(x) p_e(i)  +  sum_e c_e(x) log(p_e(i) + floor)  +  sum_f b_f(x) log R_f(i)

with w(x) on the simplex and all of w, c, b given by one small network of x. The sum lets one expert who is sure
carry an item; the products reward items that several experts agree on (a product of experts, Hinton, 2002).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasonrec_chain.propose import Proposals
from reasonrec_core.types import Float32, Int32

GateKind = Literal["static", "linear", "hidden"]
TINY = 1e-9
WIDEST = 4.0
"""Standard deviations at which a fact is cut off: gates are not asked to extrapolate."""


@dataclass(frozen=True)
class GateWeights:
    """How much everything counts, for B queries.

    Attributes:
        experts: float32[B, E], the mixture, sums to 1.
        agreement: float32[B, E], the exponents c of the experts.
        labels: float32[B, F], the exponents b of the fields.
    """

    experts: Float32
    agreement: Float32
    labels: Float32


def compute_facts(proposals: Proposals, beliefs: tuple[Float32, ...], horizon: Float32) -> Float32:
    """float32[B, X], what the gates know of a query.

    The evidence horizon and its square; how much evidence each expert has, how sure its best item is, how much each
    two of them agree (inner products of their shares within the pool); how undecided each inferred field is.
    """
    proposals = proposals.pool or proposals
    shares = proposals.shares
    h = horizon[:, None].astype(np.float32)
    totals = np.sign(proposals.totals) * np.log1p(np.abs(proposals.totals))
    surest = np.log(np.maximum(shares.max(axis=2, initial=0.0), 1e-8))
    whole = shares.sum(axis=2, keepdims=True)
    within = np.divide(shares, whole, out=np.zeros_like(shares), where=whole > 0)
    upper = np.triu_indices(shares.shape[1])
    agree = np.log(np.matmul(within, within.transpose(0, 2, 1))[:, upper[0], upper[1]] + 1e-6)
    doubt = [-(b * np.log(np.maximum(b, 1e-12))).sum(axis=1, keepdims=True) for b in beliefs]
    return np.concatenate([h, h * h, totals, surest, agree, *doubt], axis=1).astype(np.float32)


class Gates(nn.Module):
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
        return self.combine(shares, ratios, w.exp(), c, b)

    def combine(self, shares: Tensor, ratios: Tensor, w: Tensor, c: Tensor, b: Tensor) -> Tensor:
        """float[B, C] log scores under given weights."""
        mixed = torch.log(torch.einsum("be,bec->bc", w, shares) + TINY)
        agreed = torch.einsum("be,bec->bc", c, torch.log(shares + self.floor))
        return mixed + agreed + torch.einsum("bf,bfc->bc", b, ratios)


@torch.inference_mode()
def predict_weights(gates: Gates, facts: Float32) -> GateWeights:
    """The weights for float32[B, X] facts."""
    log_w, c, b = gates.weights(torch.from_numpy(facts))
    return GateWeights(log_w.exp().numpy(), c.numpy(), b.numpy())


def weigh_experts(gates: Gates, proposals: Proposals, beliefs: tuple[Float32, ...], horizon: Float32) -> GateWeights:
    """The weights for some queries."""
    return predict_weights(gates, compute_facts(proposals, beliefs, horizon))


def follow_assumptions(weighed: GateWeights, assumed: Int32) -> GateWeights:
    """The weights with every assumed label (int32[B, F], -1 = none) counting in full."""
    return replace(weighed, labels=np.where(assumed >= 0, np.maximum(weighed.labels, 1.0), weighed.labels))


@torch.inference_mode()
def compute_mass(gates: Gates, proposals: Proposals, weighed: GateWeights) -> Float32:
    """float32[B, C]: P(next item) of each item of the pool, 0 for padding.

    The pool as a whole has the probability that the mixture gives it; the products move probability within it.
    """
    shares, ratios = torch.from_numpy(proposals.shares), torch.from_numpy(proposals.ratios)
    w, c, b = (torch.from_numpy(each) for each in (weighed.experts, weighed.agreement, weighed.labels))
    scores = gates.combine(shares, ratios, w, c, b).masked_fill_(~torch.from_numpy(proposals.allowed), -torch.inf)
    inside = torch.einsum("be,bec->b", w, shares).clamp(max=1.0)
    mass = torch.softmax(scores, dim=1).nan_to_num_(0.0)  # a pool of padding alone has no softmax
    return np.asarray(mass.mul_(inside[:, None]).numpy(), np.float32)

"""Steps *weigh* and *decide*: how much each expert and each inferred label counts for this query, and the result.

With p_e(i) the experts' shares, R_f(i) the fields' likelihood ratios and x what is known about the query,

    log score(i) = log sum_e w_e(x) p_e(i)  +  sum_e c_e(x) log(p_e(i) + floor)  +  sum_f b_f(x) log R_f(i)

with w(x) on the simplex and all of w, c, b given by one small network of x. The sum lets one expert who is sure
carry an item; the products reward items that several experts agree on (a product of experts, Hinton, 2002).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

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


@dataclass(frozen=True)
class Gates:
    """The weights as a function of the facts, as `GateNetwork` learned it.

    Attributes:
        kind: ``static`` ignores the facts, ``linear`` and ``hidden`` (one hidden layer) read them.
        experts: E.
        fields: F.
        tensors: parameters by their names in `GateNetwork`.
    """

    kind: GateKind
    experts: int
    fields: int
    tensors: Mapping[str, Float32]

    def __post_init__(self) -> None:
        """Refuse other sizes.

        Raises:
            ValueError: the parameters are of other gates.
        """
        if len(self.tensors["base"]) != 2 * self.experts + self.fields:
            raise ValueError("the gates belong to other experts or fields")

    @property
    def facts(self) -> int:
        """X."""
        return len(self.tensors["mean"])

    @property
    def floor(self) -> np.float32:
        """Least share of an item in the products."""
        return np.float32(self.tensors["floor"])

    def weigh(self, facts: Float32) -> GateWeights:
        """The weights for float32[B, X] facts."""
        tensors, out = self.tensors, np.tile(self.tensors["base"], (len(facts), 1))
        if self.kind != "static":
            read = np.clip((facts - tensors["mean"]) / tensors["spread"], -WIDEST, WIDEST)
            if self.kind == "hidden":
                read = np.tanh(read @ tensors["reader.0.weight"].T + tensors["reader.0.bias"])
            last = "reader.3" if self.kind == "hidden" else "reader.0"
            out += read @ tensors[f"{last}.weight"].T + tensors[f"{last}.bias"]
        mixture = out[:, : self.experts]
        mixture = np.exp(mixture - mixture.max(axis=1, keepdims=True))
        mixture /= mixture.sum(axis=1, keepdims=True)
        return GateWeights(mixture, out[:, self.experts : 2 * self.experts], out[:, 2 * self.experts :])


def weigh_experts(gates: Gates, proposals: Proposals, beliefs: tuple[Float32, ...], horizon: Float32) -> GateWeights:
    """The weights for some queries."""
    return gates.weigh(compute_facts(proposals, beliefs, horizon))


def follow_assumptions(weighed: GateWeights, assumed: Int32) -> GateWeights:
    """The weights with every assumed label (int32[B, F], -1 = none) counting in full."""
    return replace(weighed, labels=np.where(assumed >= 0, np.maximum(weighed.labels, 1.0), weighed.labels))


def compute_mass(gates: Gates, proposals: Proposals, weighed: GateWeights) -> Float32:
    """float32[B, C]: P(next item) of each item of the pool, 0 for padding.

    The pool as a whole has the probability that the mixture gives it; the products move probability within it.
    """
    shares, mixed = proposals.shares, _sum(weighed.experts, proposals.shares)
    inside = np.minimum(mixed.sum(axis=1), np.float32(1))
    scores = np.log(mixed + np.float32(TINY))
    scores += _sum(weighed.agreement, np.log(shares + gates.floor))
    scores += _sum(weighed.labels, proposals.ratios)
    scores[~proposals.allowed] = -np.inf
    top = scores.max(axis=1, initial=-np.inf, keepdims=True)
    mass = np.exp(scores - np.where(np.isfinite(top), top, np.float32(0)))
    total = mass.sum(axis=1, keepdims=True)  # a pool of padding alone has no mass
    mass *= np.divide(inside[:, None], total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(mass, np.float32)


def _sum(weights: Float32, values: Float32) -> Float32:
    """float32[B, C], the sums over E of float32[B, E] times float32[B, E, C]."""
    return np.asarray((weights[:, None, :] @ values)[:, 0], np.float32)

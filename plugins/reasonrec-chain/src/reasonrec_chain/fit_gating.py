"""Fitting the gates to validation targets: pairs that no expert has seen.

The experts were fitted on the training part, so what they say about validation targets is what they will say about
new ones; weighed on training pairs, an expert that remembers them would look better than it is. The figure that is
reported, and that chooses among kinds of gates, comes from pairs that the gates in question were not fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from reasonrec_profile.api import cut_gains
from reasonrec_torch.optimiser import falling_line, minimise

from reasonrec_chain.config import GateConfig
from reasonrec_chain.gate_network import GateNetwork
from reasonrec_chain.gating import GateKind, compute_facts
from reasonrec_chain.propose import Proposals
from reasonrec_core.types import Bool, Float32, Int32

Gains = np.ndarray[tuple[int], np.dtype[np.float64]]
BATCH = 512
CERTAIN = 1.96
"""Standard errors."""
SLACK = 1.001
"""A richer kind of gate must gain this much on unseen pairs to be chosen."""


@dataclass(frozen=True)
class GatePairs:
    """P validation targets with the pools that were proposed for them.

    Attributes:
        shares: float32[P, E, C].
        ratios: float32[P, F, C].
        facts: float32[P, X].
        allowed: bool[P, C]: no padding, and no further target of the same query.
        target: int64[P], the target's column; -1 where it is not in the pool.
    """

    shares: torch.Tensor
    ratios: torch.Tensor
    facts: torch.Tensor
    allowed: torch.Tensor
    target: torch.Tensor

    def __len__(self) -> int:
        return len(self.target)

    def take(self, index: torch.Tensor) -> GatePairs:
        """The pairs at ``index``."""
        return GatePairs(
            self.shares[index], self.ratios[index], self.facts[index], self.allowed[index], self.target[index]
        )


def make_pairs(
    proposals: Proposals, beliefs: tuple[Float32, ...], horizon: Float32, targets: Int32, others: Int32
) -> GatePairs:
    """One chunk of pairs.

    Args:
        proposals, beliefs, horizon: for B queries.
        targets: int32[B].
        others: int32[B, T], further targets of the same query, which are no wrong answers; -1 pads.
    """
    same = proposals.items == targets[:, None]
    column = np.where(same.any(axis=1), same.argmax(axis=1), -1)
    wrong = (proposals.items[:, :, None] == others[:, None, :]).any(axis=2)
    allowed: Bool = proposals.allowed & ~wrong
    return GatePairs(
        torch.from_numpy(proposals.shares),
        torch.from_numpy(proposals.ratios),
        torch.from_numpy(compute_facts(proposals, beliefs, horizon)),
        torch.from_numpy(allowed),
        torch.from_numpy(column.astype(np.int64)),
    )


def join_pairs(parts: list[GatePairs]) -> GatePairs:
    """All chunks, padded to the widest pool."""
    width = max(p.allowed.shape[1] for p in parts)

    def wide(tensor: torch.Tensor) -> torch.Tensor:
        return F.pad(tensor, (0, width - tensor.shape[-1]))

    return GatePairs(
        torch.cat([wide(p.shares) for p in parts]),
        torch.cat([wide(p.ratios) for p in parts]),
        torch.cat([p.facts for p in parts]),
        torch.cat([wide(p.allowed) for p in parts]),
        torch.cat([p.target for p in parts]),
    )


@dataclass(frozen=True)
class FittedGates:
    """What came out.

    Attributes:
        gates: fitted on all pairs.
        unseen: float64[P], ``1 / log2(1 + rank)`` of each pair under gates that were fitted on other pairs, 0 where
            the target is not in the pool.
        report: mean NDCG@10 on unseen pairs for each kind of gate tried, and how often the pool held the target.
    """

    gates: GateNetwork
    unseen: Gains
    report: dict[str, float]

    @property
    def ndcg(self) -> float:
        """Mean NDCG@10 on unseen pairs."""
        return _ndcg(self.unseen)

    def better_than(self, other: FittedGates) -> bool:
        """Whether NDCG@10 on the same unseen pairs is higher by more than chance (paired, 95 %, two-sided)."""
        gained = cut_gains(self.unseen, 10) - cut_gains(other.unseen, 10)
        return len(gained) > 0 and bool(gained.mean() > CERTAIN * gained.std() / np.sqrt(len(gained)))


def fit_gates(
    pairs: GatePairs, config: GateConfig, n_items: int, seed: int, progress: Callable[[int, int], None]
) -> FittedGates:
    """Fit every kind of gates on all folds but one, judge it on that one, and fit the best kind on everything."""
    kinds: tuple[GateKind, ...] = ("static", "linear", "hidden") if config.hidden else ("static", "linear")
    rng = np.random.default_rng(seed)
    folds = min(config.folds, max(2, len(pairs)))
    fold = torch.from_numpy(rng.permutation(len(pairs)) % folds)
    steps, done = len(kinds) * folds + 1, 0
    gains: dict[GateKind, Gains] = {}
    for kind in kinds:
        gains[kind] = np.zeros(len(pairs))
        for f in range(folds):
            gates = train_gates(pairs.take((fold != f).nonzero()[:, 0]), config, kind, n_items, seed)
            rows = (fold == f).nonzero()[:, 0]
            gains[kind][rows.numpy()] = compute_gains(gates, pairs.take(rows))
            done += 1
            progress(done, steps)
    best = kinds[0]
    for kind in kinds[1:]:
        if _ndcg(gains[kind]) > _ndcg(gains[best]) * SLACK:
            best = kind
    report = {f"NDCG@10 on unseen pairs, {kind} gates": _ndcg(gains[kind]) for kind in kinds}
    report["targets in the pool"] = float((pairs.target >= 0).float().mean())
    gates = train_gates(pairs, config, best, n_items, seed)
    progress(steps, steps)
    return FittedGates(gates, gains[best], report)


def train_gates(pairs: GatePairs, config: GateConfig, kind: GateKind, n_items: int, seed: int) -> GateNetwork:
    """Lower `compute_ranking_loss` of the targets within their pools, by AdamW with a rate that falls to 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shape = pairs.shares.shape[1], pairs.ratios.shape[1], pairs.facts.shape[1]
        gates = GateNetwork(*shape, kind, config.hidden, config.dropout, 0.1 / max(n_items, 1))
        known = (pairs.target >= 0).nonzero()[:, 0]
        if not len(known):
            return gates.eval()
        with torch.no_grad():
            read = pairs.facts[known]
            gates.mean.copy_(read.mean(dim=0))
            gates.spread.copy_(read.std(dim=0, unbiased=False) + 1e-6)
        each = -(-len(known) // BATCH)
        epochs = max(config.epochs, -(-config.steps // each))
        optimiser = torch.optim.AdamW(
            [
                {"params": [gates.base], "weight_decay": 0.0},
                {"params": gates.reader.parameters() if gates.reader else [], "weight_decay": config.weight_decay},
            ],
            lr=config.learning_rate,
        )

        def batches() -> Iterator[GatePairs]:
            for _ in range(epochs):
                order = known[torch.randperm(len(known))]
                for start in range(0, len(order), BATCH):
                    yield pairs.take(order[start : start + BATCH])

        def loss(some: GatePairs, progress: float) -> torch.Tensor:
            return compute_ranking_loss(_scores(gates, some), some.target, config.softness, config.likelihood)

        minimise(optimiser, batches(), loss, steps=epochs * each, schedule=falling_line)
    return gates.eval()


def compute_ranking_loss(
    scores: torch.Tensor, target: torch.Tensor, softness: float, likelihood: float
) -> torch.Tensor:
    """``1 - mean(1 / log2(1 + rank)) - likelihood * mean(log P(target))`` with a rank that can be differentiated.

    The rank counts the items above the target by ``sigmoid((s_i - s_target) / softness)`` (ApproxNDCG; Qin, Liu and
    Li, 2010, equation 10). Likelihood alone would spend most on targets that no ranking brings near the top.

    Args:
        scores: float[B, C], -inf where there is nothing to rank.
        target: int64[B], columns.
        softness: of the rank, in units of log score.
        likelihood: weight of the second term, which also keeps the probabilities honest.
    """
    own = scores.gather(1, target[:, None])
    above = torch.sigmoid((scores - own) / softness).masked_fill(torch.isinf(scores), 0.0)
    rank = above.sum(dim=1) + 0.5  # the target counts itself with a half
    return 1 - (1 / torch.log2(1 + rank)).mean() + likelihood * F.cross_entropy(scores, target)


@torch.no_grad()
def compute_gains(gates: GateNetwork, pairs: GatePairs) -> Gains:
    """float64[P]: ``1 / log2(1 + rank of the target)``, ties counted against it, 0 where it is not in the pool."""
    found = []
    for start in range(0, len(pairs), BATCH):
        some = pairs.take(torch.arange(start, min(start + BATCH, len(pairs))))
        scores = _scores(gates, some)
        own = scores.gather(1, some.target.clamp(min=0)[:, None])
        rank = (scores >= own).sum(dim=1).clamp(min=1).double()
        found.append(torch.where(some.target >= 0, 1 / torch.log2(1 + rank), 0.0))
    return torch.cat(found).numpy() if found else np.zeros(0)


def _scores(gates: GateNetwork, pairs: GatePairs) -> torch.Tensor:
    own = F.one_hot(pairs.target.clamp(min=0), pairs.allowed.shape[1]).bool() & (pairs.target >= 0)[:, None]
    scores: torch.Tensor = gates(pairs.shares, pairs.ratios, pairs.facts)
    return scores.masked_fill(~(pairs.allowed | own), -torch.inf)


def _ndcg(gains: Gains) -> float:
    return float(cut_gains(gains, 10).mean()) if len(gains) else 0.0

"""One metric space for all kinds of feedback: users reach items by relation vectors out of a memory (MRMN)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from reasonrec_torch.model_protocol import BatchLoss, Trainable
from torch import Tensor, nn

from reasonrec_graph.config import MRMNConfig

CELLS = 1 << 20
"""Attention weights (users x slots x items) that exist at once."""


@dataclass(frozen=True)
class Memory:
    """What relation vectors are made of.

    Attributes:
        kinds: float[K, d], a vector of each kind of feedback.
        keys: float[S, d], of the slots.
        slots: float[S, d].
    """

    kinds: Tensor
    keys: Tensor
    slots: Tensor

    def measure(self, users: Tensor, items: Tensor, kinds: Tensor) -> Tensor:
        """float[...]: squared distances ``|u + r - v|^2``, ``r = sum_s softmax_s(key_s . (u * v + kind)) slot_s``.

        Args:
            users, items: float[..., d].
            kinds: float[..., d], of the kind of feedback.
        """
        relations = ((users * items + kinds) @ self.keys.T).softmax(-1) @ self.slots
        return (users + relations - items).square().sum(-1)

    def measure_all(self, users: Tensor, items: Tensor, kinds: Tensor) -> Tensor:
        """float[B, n]: `measure` of every one of float[B, d] users, with float[B, d] kinds, and float[n, d] items.

        The relation vectors, float[B, n, d], never exist: ``|u - v|^2 + 2 r.(u - v) + |r|^2``, where products with r
        are sums over slots; a few users at a time.
        """
        between, slots_items, lengths = self.slots @ self.slots.T, self.slots @ items.T, items.square().sum(-1)
        size = max(1, CELLS // (len(self.slots) * max(1, len(items))))
        found = []
        for u, kind in zip(torch.split(users, size), torch.split(kinds, size), strict=True):
            sought = (u[:, None] * self.keys) @ items.T + (kind @ self.keys.T)[:, :, None]
            weights = sought.softmax(1)
            ahead = (u @ self.slots.T)[:, :, None] - slots_items
            longer = (weights * (between @ weights + 2 * ahead)).sum(1)
            found.append(u.square().sum(-1)[:, None] - 2 * u @ items.T + lengths + longer)
        return torch.cat(found)


class RelationNetwork(Trainable[Mapping[str, Tensor]]):
    """MRMN (Zhou et al., IJCAI 2019): ``|u + r - v|^2`` is small where a user gave an item feedback.

    Args:
        config: sizes and losses.
        n_users, n_items: sizes.
        n_kinds: kinds of feedback, weakest first.
    """

    margins: Tensor

    def __init__(self, config: MRMNConfig, n_users: int, n_items: int, n_kinds: int) -> None:
        super().__init__()
        self.config, d = config, config.dimensions
        self.users, self.items, self.kinds, self.keys, self.slots = (
            nn.Parameter(torch.randn(rows, d) * scale)
            for rows, scale in (
                (n_users, 0.5 / math.sqrt(d)),
                (n_items, 0.5 / math.sqrt(d)),
                (n_kinds, 1 / math.sqrt(d)),
                (config.slots, 1.0),
                (config.slots, 0.1 / math.sqrt(d)),
            )
        )
        steps = torch.arange(1, n_kinds + 1) / n_kinds
        self.register_buffer("margins", config.training.margin * steps, persistent=False)

    def place(self, vectors: Tensor) -> Tensor:
        """float[..., d]: the vectors, none of them longer than 1."""
        placed: Tensor = vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp(min=1)
        return placed

    @property
    def memory(self) -> Memory:
        """What relation vectors are made of."""
        return Memory(self.kinds, self.keys, self.slots)

    def loss(self, batch: Mapping[str, Tensor], rng: np.random.Generator) -> BatchLoss:
        """The mean over int64[P] users, items and kinds; stronger kinds have wider margins. All share sampled items.

        hinge: ``log(1 + n share) max(0, margin + d - d')`` with the nearest of the sampled items at d', of which
        ``share`` lie within the margin (the weights of CML, Hsieh et al., WWW 2017, equation 3). softmax: cross entropy
        over ``-d / temperature``, where the margin is added to the d of what was chosen; an estimate of that over all.
        """
        training, memory, n = self.config.training, self.memory, len(self.items)
        chosen, users, kinds = batch["items"], self.place(self.users[batch["users"]]), self.kinds[batch["kinds"]]
        right = memory.measure(users, self.place(self.items[chosen]), kinds) + self.margins[batch["kinds"]]
        drawn = torch.randint(n, (training.negatives,), device=users.device)
        wrong = memory.measure_all(users, self.place(self.items[drawn]), kinds)
        wrong = wrong.masked_fill(drawn == chosen[:, None], torch.inf)
        if training.loss == "hinge":
            inside = right[:, None] - wrong
            ranks = torch.log1p(n * (inside.detach() > 0).float().mean(1))
            return BatchLoss((ranks * F.relu(inside.amax(1))).mean())
        own, others = -right / training.temperature, -wrong / training.temperature
        everything = others.logsumexp(1) - math.log(training.negatives / n)
        return BatchLoss((torch.logaddexp(own, everything) - own).mean())

"""The model that all delegates share: where vectors start, passing them over the graph, losses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from reasonrec_torch.devices import exact
from reasonrec_torch.interactions import TensorPairs
from reasonrec_torch.losses import SampledSoftmax, bpr_loss
from reasonrec_torch.model_protocol import BatchLoss, Trainable
from reasonrec_torch.parameters import to_array
from scipy import sparse
from torch import Tensor, nn

from reasonrec_core.types import Float32
from reasonrec_graph.alignment import contrast, draw_nodes
from reasonrec_graph.config import GraphConfig, LightGCNConfig, SGLConfig
from reasonrec_graph.graph import Blocks, Graph, find_spectrum, propagate

TINY = 1e-12
"""Length of a vector at least, to divide by."""
T = TypeVar("T")
Agreements = dict[str, tuple[float, Tensor]]
"""By name, what else is made small: weight and loss."""


@dataclass(frozen=True)
class Passed:
    """What answers are made of.

    Attributes:
        items: float32[n, d], the mean of the items' layers.
        to_users: float32[n, d], the sum of the items' layers 0 to L - 1: what they pass on to users.
        degrees: float32[n], users of each item.
    """

    items: Float32
    to_users: Float32
    degrees: Float32

    def query_vectors(self, start: Float32, rows: sparse.csr_matrix, layers: int) -> Float32:
        """float32[B, d]: the mean of the layers of users who start as float32[B, d] and chose CSR[B, n] of ones."""
        counts, weights = np.diff(rows.indptr), rows.copy()
        weights.data = 1 / np.sqrt(np.maximum(np.repeat(counts, counts) * self.degrees[rows.indices], 1))
        return np.asarray((start + weights @ self.to_users) / (layers + 1), np.float32)


class GraphNetwork(Trainable[TensorPairs]):
    """Vectors passed over a graph. A subclass says where they start.

    Args:
        config: sizes and losses.
        graph: who chose what.
    """

    def __init__(self, config: GraphConfig, graph: Graph) -> None:
        super().__init__()
        self.config, self.graph = config, graph
        training = config.training
        counts = graph.degrees.numpy().astype(np.int64) if training.popularity else None
        self.softmax = SampledSoftmax(training.negatives, counts, training.popularity)
        self._made: dict[str, Any] = {}
        self._passed: Passed | None = None

    @abstractmethod
    def start(self) -> tuple[Tensor, Tensor]:
        """float[n_users, d] and float[n_items, d]: layer 0."""

    def weights_changed(self) -> None:
        """Answers must be worked out anew."""
        self._passed = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the graph along with the parameters."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._made, self._passed = {}, None
        return self

    def make_once(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` gives, which depends on the graph and not on weights; kept for the device that it is on."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    @property
    def blocks(self) -> Blocks:
        """The whole graph's adjacency."""
        return self.make_once("blocks", self.graph.blocks)

    @property
    def means(self) -> Blocks:
        """Averages over what a user chose."""
        return self.make_once("means", self.graph.average_items)

    @property
    def passed(self) -> Passed:
        """What answers are made of; worked out once for the same weights."""
        if self._passed is None:
            with torch.no_grad():
                self._passed = self.make_passed()
        return self._passed

    def make_passed(self) -> Passed:
        """Work it out, without gradients."""
        layers = self.config.layers
        items = self.pass_vectors(layers)[1]
        fewer = self.pass_vectors(layers - 1)[1] * layers if layers else torch.zeros_like(items)
        return Passed(*(to_array(part) for part in (items, fewer, self.graph.degrees)))

    def pass_vectors(self, layers: int) -> tuple[Tensor, Tensor]:
        """float[n_users, d] and float[n_items, d] after so many layers."""
        return propagate(*self.start(), self.blocks, layers)

    def ask(self, users: Tensor, batch: TensorPairs) -> Tensor:
        """float[P, d]: what is compared with the items; ``users``: float[n_users, d]."""
        return users[batch.users]

    @exact
    def loss(self, batch: TensorPairs, rng: np.random.Generator) -> BatchLoss:
        """BPR, or a softmax over cosines, and what `compare` adds."""
        users, items = self.pass_vectors(self.config.layers)
        if self.config.training.loss == "bpr":
            asked = self.ask(users, batch)
            right = (asked * items[batch.items]).sum(-1)
            wrong = torch.einsum("pd,pmd->pm", asked, items[batch.negatives])
            parts = {"choice": bpr_loss(right, wrong)}
        else:
            parts = {"choice": self._choose(users, items, batch)}
        total = parts["choice"]
        for name, (weight, loss) in self.compare((users, items), batch).items():
            parts[name], total = loss, total + weight * loss
        return BatchLoss(total, parts)

    def _choose(self, users: Tensor, items: Tensor, batch: TensorPairs) -> Tensor:
        """The softmax over cosines with the items, of all users float[n_users, d] and items float[n_items, d]."""
        training, table = self.config.training, F.normalize(items, dim=-1)
        if training.item_length:
            table = table * items.norm(dim=-1, keepdim=True).clamp_min(TINY) ** training.item_length
        bias = table.new_zeros(len(table))
        if training.by_user:
            rows, groups = torch.unique(batch.users, return_inverse=True)
            states = F.normalize(users[rows], dim=-1) / training.temperature
            return self.softmax.loss_of_groups(states, groups, table, bias, batch.items)
        states = F.normalize(self.ask(users, batch), dim=-1) / training.temperature
        return self.softmax.loss(states, table, bias, batch.items)

    def compare(self, passed: tuple[Tensor, Tensor], batch: TensorPairs) -> Agreements:
        """Losses beside the choice, for float[n_users, d] and float[n_items, d] of a step; none by default."""
        return {}


class IdNetwork(GraphNetwork):
    """A vector for each user and item (LightGCN)."""

    def __init__(self, config: LightGCNConfig, graph: Graph) -> None:
        super().__init__(config, graph)
        sides = [torch.randn(size, config.dimensions) * 0.1 for size in graph.shape]
        if config.start == "spectral":
            for side, vectors in zip(sides, find_spectrum(self.blocks, config.dimensions), strict=True):
                length = 0.1 * config.dimensions**0.5  # of random vectors
                side[:, : vectors.shape[1]] = vectors * (length / vectors.norm(dim=1).mean())
        self.users, self.items = (nn.Parameter(side) for side in sides)

    def start(self) -> tuple[Tensor, Tensor]:
        """The vectors."""
        return self.users, self.items


class SGLNetwork(IdNetwork):
    """The same, whose vectors must agree between two views of the graph (SGL, Wu et al., SIGIR 2021)."""

    def __init__(self, config: SGLConfig, graph: Graph) -> None:
        super().__init__(config, graph)
        self.settings = config

    def compare(self, passed: tuple[Tensor, Tensor], batch: TensorPairs) -> Agreements:
        """InfoNCE between two views, users and items apart (equations 10 and 11)."""
        config = self.settings
        if not config.contrast:
            return {}
        dropping = config.views == "edge-drop"
        views = [
            propagate(
                *self.start(),
                self.graph.drop_edges(config.drop) if dropping else self.blocks,
                config.layers,
                0.0 if dropping else config.noise,
            )
            for _ in range(2)
        ]
        losses = []
        for side, nodes in enumerate((batch.users, batch.items)):
            rows = draw_nodes(nodes, config.compared)
            losses.append(contrast(views[0][side][rows], views[1][side][rows], config.contrast_temperature))
        return {"agreement": (config.contrast, torch.stack(losses).sum())}


class FeatureMap(nn.Module):
    """From features to vectors: ``w -> w / 2 -> d``, or one linear map (AlphaRec, Sheng et al., ICLR 2025)."""

    def __init__(self, width: int, dimensions: int, linear: bool) -> None:
        super().__init__()
        hidden = max(dimensions, width // 2)
        self.layers = (
            nn.Sequential(nn.Linear(width, dimensions))
            if linear
            else nn.Sequential(nn.Linear(width, hidden), nn.LeakyReLU(), nn.Linear(hidden, dimensions))
        )

    def forward(self, x: Tensor) -> Tensor:
        """float[..., d] for float[..., w]."""
        mapped: Tensor = self.layers(x)
        return mapped


class FeatureNetwork(GraphNetwork):
    """What items read or look like, mapped; users are the mean of their items (AlphaRec).

    Args:
        config: sizes and losses.
        graph: who chose what.
        features: float[n_items, w], 0 where an item has none.
        linear: whether the map is linear.
    """

    features: Tensor
    tastes: Tensor

    def __init__(self, config: GraphConfig, graph: Graph, features: Tensor, linear: bool) -> None:
        super().__init__(config, graph)
        self.map = FeatureMap(features.shape[1], config.dimensions, linear)
        sums = torch.zeros(graph.shape[0], features.shape[1]).index_add_(0, graph.rows, features[graph.user_items])
        counts = torch.bincount(graph.rows, minlength=graph.shape[0]).clamp(min=1)
        self.add_inputs(features=features.numpy())
        self.register_buffer("tastes", sums / counts[:, None], persistent=False)

    def start(self) -> tuple[Tensor, Tensor]:
        """The mapped features."""
        return self.map(self.tastes), self.map(self.features)

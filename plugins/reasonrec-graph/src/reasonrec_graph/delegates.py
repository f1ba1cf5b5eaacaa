"""The delegates: what they learn from, answers, files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import torch
from reasonrec_torch.answering import find_user_rows, rank_unknown_last
from reasonrec_torch.catalog_cache import CatalogCache
from reasonrec_torch.devices import find_device
from reasonrec_torch.interactions import TrainingPairs
from reasonrec_torch.item_features import choose_modalities, join_unit_features, read_unit_features
from reasonrec_torch.learning_delegate import LearningDelegate, TrainingPlan
from reasonrec_torch.parameters import to_array
from reasonrec_torch.storage import make_filled, put_module, read_tensors, write_tensors
from scipy import sparse

from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.types import Bool, Float32, Observation, QueryBatch
from reasonrec_graph.config import AlphaRecConfig, GraphConfig, LightGCNConfig, SGLConfig
from reasonrec_graph.graph import Graph
from reasonrec_graph.histories import average_chosen, list_chosen
from reasonrec_graph.network import TINY, FeatureMap, FeatureNetwork, GraphNetwork, IdNetwork, Passed, SGLNetwork

C = TypeVar("C", bound=GraphConfig)
L = TypeVar("L", bound=LightGCNConfig)
MAP = "map.safetensors"


@dataclass(frozen=True)
class SeenItems:
    """The n items of the catalogue as they can be seen now.

    Attributes:
        passed: what users are worked out from.
        vectors: float32[n, d], what users are compared with; 0 where nothing is known.
        unknown: bool[n], items of which nothing is known.
    """

    passed: Passed
    vectors: Float32
    unknown: Bool


class GraphDelegate(LearningDelegate[C, GraphNetwork]):
    """Vectors passed over the graph of the training part. A subclass gives `make_network` and `start_users`.

    A user is worked out from the history of the request: layer 0 as trained (or, for somebody whom training did not
    see, the mean of all), the others from the items of the history. Who has done nothing since training gets the
    published answer, exactly. An item that nobody chose, and of which nothing else is known, is ranked last.
    """

    _passed: Passed
    _cache: CatalogCache[SeenItems]

    @abstractmethod
    def make_network(self, data: FitData, graph: Graph) -> GraphNetwork:
        """A new network."""

    @abstractmethod
    def start_users(self, batch: QueryBatch, rows: sparse.csr_matrix, observation: Observation) -> Float32:
        """float32[B, d]: layer 0 of users who chose CSR[B, n] of ones."""

    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[GraphNetwork]:
        """All pairs of users and items."""
        training, n_items = self.config.training, self._n_items
        graph = Graph(data.train.users, data.train.items, data.n_users, n_items)
        bpr = training.loss == "bpr"
        rows = TrainingPairs(
            graph.rows.numpy(),
            graph.user_items.numpy(),
            n_items,
            batch=training.batch,
            negatives=training.negatives if bpr else 0,
            by_user=training.by_user and not bpr,
        )
        return TrainingPlan(
            lambda: self.make_network(data, graph),
            rows,
            training,
            self.judge_answers(data, training.validation_queries),
            label=f"train {type(self).__name__}",
        )

    def keep(self, network: GraphNetwork) -> None:
        """Take the vectors; a subclass also what its `start_users` needs."""
        self._passed, self._cache = network.passed, CatalogCache()

    @property
    def modalities(self) -> tuple[str, ...]:
        """Features that vectors of items depend on; none by default."""
        return ()

    def see_items(self, observation: Observation) -> SeenItems:
        """All items as they can be seen now; worked out once for the same features."""

        def make() -> SeenItems:
            passed, vectors = self.pass_items(observation)
            vectors = self._scale(grown(vectors, self._n_items), self.config.training.item_length)
            return SeenItems(passed, vectors, np.logical_not(vectors.any(1)))

        return self._cache.get(self._n_items, observation, self.modalities, make)

    def pass_items(self, observation: Observation) -> tuple[Passed, Float32]:
        """What users are worked out from, and float32[m, d] items as they are compared; items from m on are unknown."""
        return self._passed, self._passed.items * (self._passed.degrees > 0)[:, None]

    def item_vectors(self, observation: Observation) -> Float32:
        """float32[n_items, d]: of length 1 where cosines alone are compared; 0 for items of which nothing is known."""
        return self.see_items(observation).vectors

    def query_vectors(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, d]: of length 1 where cosines are compared."""
        passed = self.see_items(observation).passed
        rows = list_chosen(batch.history, np.ones(len(passed.items), np.bool_))
        start = self.start_users(batch, rows, observation)
        return self._scale(passed.query_vectors(start, rows, self.config.layers))

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: inner products, or cosines."""
        items = self.see_items(observation)
        scores: Float32 = self.query_vectors(batch, observation) @ items.vectors.T
        return rank_unknown_last(scores, items.unknown, batch)

    def _scale(self, vectors: Float32, length: float = 0.0) -> Float32:
        """The vectors with their length to a power, for the softmax; BPR compares them as they are."""
        if self.config.training.loss == "bpr":
            return vectors
        norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY)
        return np.asarray(vectors / norms ** (1 - length), np.float32)

    def save(self, folder: Path) -> None:
        """Write the vectors."""
        super().save(folder)
        write_arrays(folder / "vectors.npz", asdict(self._passed))

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the vectors, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self._passed, self._cache = Passed(**read_arrays(folder / "vectors.npz")), CatalogCache()
        return self


class LightGCN(GraphDelegate[L]):
    """LightGCN (He et al., SIGIR 2020); by default with a softmax over cosines instead of BPR."""

    Config = LightGCNConfig
    _users: Float32

    def make_network(self, data: FitData, graph: Graph) -> GraphNetwork:
        """A vector for each user and item."""
        return IdNetwork(self.config, graph)

    def keep(self, network: GraphNetwork) -> None:
        """Layer 0 of the users, and its mean, too."""
        super().keep(network)
        assert isinstance(network, IdNetwork)
        users = to_array(network.users)
        self._users = np.concatenate([users, users.mean(0, keepdims=True)])

    def start_users(self, batch: QueryBatch, rows: sparse.csr_matrix, observation: Observation) -> Float32:
        """The trained vectors; the mean for unknown users."""
        start: Float32 = self._users[find_user_rows(batch.users, len(self._users) - 1)]
        return start

    def save(self, folder: Path) -> None:
        """Write the users' vectors too."""
        super().save(folder)
        write_arrays(folder / "users.npz", {"users": self._users})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read them."""
        self = super().load(folder, catalog)
        self._users = read_arrays(folder / "users.npz")["users"]
        return self


class SGL(LightGCN[SGLConfig]):
    """Self-supervised graph learning (Wu et al., SIGIR 2021): two perturbed graphs must agree on every node."""

    Config = SGLConfig

    def make_network(self, data: FitData, graph: Graph) -> GraphNetwork:
        """The same vectors, and two views."""
        return SGLNetwork(self.config, graph)


class AlphaRec(GraphDelegate[AlphaRecConfig]):
    """Language representations in place of ids (Sheng et al., ICLR 2025).

    Items that nobody chose yet are what they read or look like, and so are users: no part of it belongs to a
    catalogue but the graph, so that a fitted map serves another catalogue (``pretrained``).
    """

    Config = AlphaRecConfig
    _map: FeatureMap
    _modalities: tuple[str, ...]

    def make_network(self, data: FitData, graph: Graph) -> GraphNetwork:
        """Features, mapped."""
        seen, config = data.observation, self.config
        self._modalities = choose_modalities(config.modalities, seen, where="alpharec")
        features = torch.from_numpy(read_unit_features(seen, self._modalities, np.arange(len(data.catalog))))
        network = FeatureNetwork(config, graph, features, config.map == "linear")
        if config.pretrained is not None:
            path = config.pretrained / MAP
            put_module(network.map, read_tensors(path), path)
            network.map.requires_grad_(False)
        return network

    def keep(self, network: GraphNetwork) -> None:
        """The map, too."""
        super().keep(network)
        assert isinstance(network, FeatureNetwork)
        self._map = network.map

    @torch.no_grad()
    def start_users(self, batch: QueryBatch, rows: sparse.csr_matrix, observation: Observation) -> Float32:
        """The mapped mean of what the items of the history read or look like."""
        return self._apply_map(average_chosen(rows, lambda at: read_unit_features(observation, self._modalities, at)))

    @torch.no_grad()
    def _apply_map(self, features: Float32) -> Float32:
        read = torch.from_numpy(np.asarray(features, np.float32)).to(find_device(self._map))
        mapped: Float32 = self._map(read).cpu().numpy()
        return mapped

    @property
    def modalities(self) -> tuple[str, ...]:
        """Whose features are read."""
        return self._modalities

    def feature_vectors(self, features: Mapping[str, Float32], observation: Observation) -> Float32:
        """float32[B, d]: query vectors of what has these features (modality -> float32[B, w]), such as an encoded text.

        Nothing but the map is asked, so that words work in any catalogue (the paper's section on intention).
        """
        size = len(next(iter(features.values())))
        parts = [
            np.asarray(features.get(name, np.zeros((size, observation.features[name].shape[1]))), np.float32)
            for name in self._modalities
        ]
        return self._scale(self._apply_map(join_unit_features(parts)))

    def pass_items(self, observation: Observation) -> tuple[Passed, Float32]:
        """As of `GraphDelegate`; items that nobody chose yet are what they read or look like."""
        items = grown(self._passed.items, self._n_items).copy()
        cold = np.flatnonzero(grown(self._passed.degrees, self._n_items) == 0)
        features = read_unit_features(observation, self._modalities, cold)
        items[cold] = self._apply_map(features) * features.any(1, keepdims=True)
        return self._passed, items

    def save(self, folder: Path) -> None:
        """Write the map too."""
        super().save(folder)
        write_tensors(folder / MAP, self._map.state_dict())
        write_json(folder / "modalities.json", list(self._modalities))

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read it."""
        self = super().load(folder, catalog)
        self._modalities, tensors = tuple(read_json(folder / "modalities.json")), read_tensors(folder / MAP)
        size = tensors["layers.0.weight"].shape[1], self.config.dimensions
        self._map = make_filled(lambda: FeatureMap(*size, self.config.map == "linear"), tensors, folder / MAP)
        return self

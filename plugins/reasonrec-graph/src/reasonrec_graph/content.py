"""Items with pictures and texts: what models of them share, from features to answers.

A module (`ContentModule`) is given projected features of all items and turns them into a vector for each; a network
(`ContentNetwork`) passes these over the graph beside vectors of their own; a delegate (`ContentDelegate`) learns that
and answers. Items of which neither picture nor text is known get 0. Items that came after the fit read from those
before, not the other way round.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from reasonrec_torch.interactions import TensorPairs
from reasonrec_torch.item_features import (
    FeatureProjection,
    choose_modalities,
    fit_projections,
    name_projections,
    read_projections,
)
from reasonrec_torch.parameters import to_array
from reasonrec_torch.storage import make_filled, read_tensors, write_tensors
from scipy import sparse
from torch import Tensor, nn

from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.types import Float32, Int64, Observation, QueryBatch
from reasonrec_graph.config import ContentConfig
from reasonrec_graph.delegates import LightGCN
from reasonrec_graph.graph import Graph, multiply
from reasonrec_graph.histories import average_chosen
from reasonrec_graph.network import Agreements, GraphNetwork, IdNetwork, Passed

S = TypeVar("S", bound=ContentConfig)
M = TypeVar("M", bound="ContentModule[Any]")
CONTENT, VIEW = "content.safetensors", "{part}-{at}"


class ContentModule(nn.Module, Generic[S]):
    """Vectors of items from their features; each model has its own.

    Args:
        config: sizes.
        widths: of each modality's projected features.
    """

    def __init__(self, config: S, widths: Sequence[int]) -> None:
        super().__init__()
        self.config, self.widths = config, tuple(widths)

    @abstractmethod
    def prepare(self, features: Sequence[Float32], n_known: int) -> list[np.ndarray[Any, Any]]:
        """Arrays that `forward` takes, worked out once.

        Args:
            features: per modality float32[n, w], 0 where an item has none.
            n_known: items of the fit; the others came later.
        """

    @abstractmethod
    def forward(self, prepared: Sequence[Tensor], ids: Tensor) -> Tensor:
        """float[n, d].

        Args:
            prepared: what `prepare` gave.
            ids: float[n, d], the items' own vectors; 0 for those without.
        """


class ContentNetwork(IdNetwork, Generic[S, M]):
    """Items start as their own vector and what they read or look like; users as theirs and the mean of their items.

    Args:
        config: sizes and losses.
        graph: who chose what.
        content: makes vectors of features.
        features: per modality float32[n_items, w], 0 where an item has none.
    """

    def __init__(self, config: S, graph: Graph, content: M, features: Sequence[Float32]) -> None:
        super().__init__(config, graph)
        self.settings, self.content = config, content
        if not config.ids:
            self.users.requires_grad_(False).zero_()
            self.items.requires_grad_(False).zero_()
        prepared = content.prepare(features, graph.shape[1])
        self._names = [f"prepared_{at}" for at in range(len(prepared))]
        self.add_inputs(**dict(zip(self._names, prepared, strict=True)))
        self.register_buffer("chosen", (graph.degrees > 0).float()[:, None], persistent=False)

    @property
    def prepared(self) -> list[Tensor]:
        """What the content is worked out from."""
        return [self.get_buffer(name) for name in self._names]

    @property
    def ids(self) -> Tensor:
        """float[n_items, d]: the items' own vectors; 0 where nobody chose one, and for some while it trains."""
        ids: Tensor = self.items * self.get_buffer("chosen")
        if self.training and torch.is_grad_enabled() and self.settings.hidden_ids:
            ids = ids * (torch.rand(len(ids), 1, device=ids.device) >= self.settings.hidden_ids)
        return ids

    def start(self) -> tuple[Tensor, Tensor]:
        """Own vectors plus content."""
        return self.start_with(self.ids)

    def start_with(self, ids: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same, of these own vectors; with bool[bands] of these bands alone."""
        more = () if kept is None else (kept,)
        content: Tensor = self.content(self.prepared, ids, *more)
        return self.users + multiply(*self.means, content), ids + content

    @abstractmethod
    def compare(self, passed: tuple[Tensor, Tensor], batch: TensorPairs) -> Agreements:
        """The alignments that the settings ask for."""


class ContentDelegate(LightGCN[S]):
    """Users and items start as vectors of their own and what items read or look like.

    An item that nobody chose, of the catalogue of the fit or later, is what its features say, and its neighbours by
    features; one without features is ranked last. A user is worked out from the history of the request.

    Attributes:
        Content: makes vectors of features.
        Network: the network around it.
    """

    Content: ClassVar[type[ContentModule[Any]]]
    Network: ClassVar[type[ContentNetwork[Any, Any]]]
    _views: tuple[FeatureProjection, ...]
    _content: ContentModule[Any]
    _ids: Float32
    _starts: Float32

    def make_network(self, data: FitData, graph: Graph) -> GraphNetwork:
        """Features, projected, and the network."""
        seen, config = data.observation, self.config
        names = choose_modalities(config.modalities, seen, where=type(self).__name__.lower())
        self._views = fit_projections(seen, names, config.components)
        return self.Network(config, graph, self._make_content(), [view(seen)[0] for view in self._views])

    def _make_content(self) -> ContentModule[Any]:
        return self.Content(self.config, [view.basis.shape[1] for view in self._views])

    @torch.no_grad()
    def keep(self, network: GraphNetwork) -> None:
        """Own vectors of items, and the content, too."""
        super().keep(network)
        assert isinstance(network, ContentNetwork)
        self._content = network.content
        self._ids, self._starts = to_array(network.ids), to_array(network.start()[1])

    def start_users(self, batch: QueryBatch, rows: sparse.csr_matrix, observation: Observation) -> Float32:
        """Own vectors (the mean for unknown users) plus the mean content of the history."""
        passed, known = self.see_items(observation).passed, len(self._ids)

        def read(at: Int64) -> Float32:
            content = passed.items[at] * np.float32(self.config.layers + 1)
            old = at < known
            content[old] = self._starts[at[old]] - self._ids[at[old]]
            return content

        own = super().start_users(batch, rows, observation)
        return np.asarray(own + average_chosen(rows, read), np.float32)

    @torch.no_grad()
    def pass_items(self, observation: Observation) -> tuple[Passed, Float32]:
        """Items that nobody chose are what they read or look like; nobody passes anything to new ones."""
        passed, known, layers = self._passed, len(self._ids), self.config.layers
        if self._n_items == known:
            return passed, passed.items
        features = [grown(view(observation)[0], self._n_items) for view in self._views]
        content = self._content.to("cpu").eval()
        prepared = [torch.from_numpy(np.ascontiguousarray(each)) for each in content.prepare(features, known)]
        new = content(prepared, torch.from_numpy(grown(self._ids, self._n_items)))[known:].numpy()
        items = np.concatenate([passed.items, new / (layers + 1)])
        to_users = np.concatenate([passed.to_users, new * bool(layers)])
        return Passed(items, to_users, grown(passed.degrees, self._n_items)), items

    @property
    def modalities(self) -> tuple[str, ...]:
        """Whose features are read."""
        return tuple(view.modality for view in self._views)

    def save(self, folder: Path) -> None:
        """Write the content too."""
        super().save(folder)
        write_tensors(folder / CONTENT, self._content.state_dict())
        write_arrays(folder / "starts.npz", {"ids": self._ids, "starts": self._starts})
        write_json(folder / "modalities.json", self.modalities)
        write_arrays(folder / "views.npz", name_projections(self._views, VIEW))

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read it."""
        self = super().load(folder, catalog)
        starts, names = read_arrays(folder / "starts.npz"), read_json(folder / "modalities.json")
        self._ids, self._starts = starts["ids"], starts["starts"]
        self._views = read_projections(names, read_arrays(folder / "views.npz"), VIEW)
        self._content = make_filled(self._make_content, read_tensors(folder / CONTENT), folder / CONTENT)
        return self

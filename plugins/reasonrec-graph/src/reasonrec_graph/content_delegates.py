"""Delegates for items with pictures and texts: RecGOAT and SSR."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from reasonrec_torch.item_features import FeatureProjection
from reasonrec_torch.storage import put_module, read_tensors, write_tensors
from scipy import sparse

from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.types import Float32, Int64, Observation, QueryBatch
from reasonrec_graph.config import ContentConfig, RecGOATConfig, SSRConfig
from reasonrec_graph.content import AttentiveContent, ContentModule, SpectralContent
from reasonrec_graph.content_network import ContentNetwork, RecGOATNetwork, SSRNetwork
from reasonrec_graph.delegates import GraphDelegate, LightGCN, average_chosen
from reasonrec_graph.graph import Graph
from reasonrec_graph.item_features import choose_modalities
from reasonrec_graph.network import GraphNetwork, Passed

C = TypeVar("C", bound=ContentConfig)
CONTENT = "content.safetensors"


class ContentDelegate(LightGCN[C]):
    """Users and items start as vectors of their own and what items read or look like.

    An item that nobody chose, of the catalogue of the fit or later, is what its features say, and its neighbours by
    features; one without features is ranked last. A user is worked out from the history of the request.
    """

    _views: tuple[FeatureProjection, ...]
    _content: ContentModule[Any]
    _ids: Float32
    _starts: Float32

    @abstractmethod
    def make_content(self, widths: Sequence[int]) -> ContentModule[Any]:
        """The module that makes vectors of features of these widths."""

    @abstractmethod
    def join(self, graph: Graph, content: Any, features: list[Float32]) -> ContentNetwork[Any, Any]:
        """The network around it."""

    def make_network(self, data: FitData, graph: Graph) -> GraphNetwork:
        """Features, projected, and the network."""
        seen, config = data.observation, self.config
        names = choose_modalities(config.modalities, seen, type(self).__name__.lower())
        self._views = tuple(
            FeatureProjection.of(name, seen.features[name], np.asarray(seen.present[name]), config.components)
            for name in names
        )
        return self.join(graph, self.make_content(self._widths), [view(seen)[0] for view in self._views])

    @property
    def _widths(self) -> list[int]:
        return [view.basis.shape[1] for view in self._views]

    @torch.no_grad()
    def keep(self, network: GraphNetwork) -> None:
        """Own vectors of users and their mean, of items, and the content."""
        GraphDelegate.keep(self, network)
        assert isinstance(network, ContentNetwork)
        users, self._ids = (part.detach().float().cpu().numpy() for part in (network.users, network.ids))
        self._users = np.concatenate([users, users.mean(0, keepdims=True)])
        self._content = network.content
        self._starts = network.start()[1].float().cpu().numpy()

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
        write_json(folder / "modalities.json", [view.modality for view in self._views])
        arrays = {f"{part}-{at}": getattr(v, part) for at, v in enumerate(self._views) for part in ("mean", "basis")}
        write_arrays(folder / "views.npz", arrays)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read it."""
        self = super().load(folder, catalog)
        arrays, starts = read_arrays(folder / "views.npz"), read_arrays(folder / "starts.npz")
        names = [str(name) for name in read_json(folder / "modalities.json")]
        self._views = tuple(
            FeatureProjection(name, arrays[f"mean-{at}"], arrays[f"basis-{at}"]) for at, name in enumerate(names)
        )
        self._ids, self._starts = starts["ids"], starts["starts"]
        self._content = self.make_content(self._widths)
        put_module(self._content, read_tensors(folder / CONTENT), folder / CONTENT)
        return self


class RecGOAT(ContentDelegate[RecGOATConfig]):
    """Content aligned with ids item by item and as distributions, over item graphs (after arXiv 2602.00682)."""

    Config = RecGOATConfig

    def make_content(self, widths: Sequence[int]) -> AttentiveContent:
        """Attention over the items that read or look alike."""
        return AttentiveContent(self.config, widths)

    def join(self, graph: Graph, content: AttentiveContent, features: list[Float32]) -> RecGOATNetwork:
        """Aligned."""
        return RecGOATNetwork(self.config, graph, content, features)


class SSR(ContentDelegate[SSRConfig]):
    """Features in frequency bands over item graphs by modality, some hidden in training (after SSR, NeurIPS 2025)."""

    Config = SSRConfig

    def make_content(self, widths: Sequence[int]) -> SpectralContent:
        """Frequency bands."""
        return SpectralContent(self.config, widths)

    def join(self, graph: Graph, content: SpectralContent, features: list[Float32]) -> SSRNetwork:
        """Aligned."""
        return SSRNetwork(self.config, graph, content, features)

"""The delegate gcm: who chose what, and in which context."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Self

import numpy as np
from reasonrec_torch.answering import find_user_rows
from reasonrec_torch.parameters import to_array
from scipy import sparse

from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Float32, Observation, QueryBatch
from reasonrec_graph.config import GCMConfig
from reasonrec_graph.delegates import LightGCN
from reasonrec_graph.edge_context import ContextNetwork, ContextReader
from reasonrec_graph.graph import Graph, find_last_rows
from reasonrec_graph.network import GraphNetwork


class GCM(LightGCN[GCMConfig]):
    """A graph convolution machine (after Wu et al., 2020): contexts on the edges, a factorisation machine on top.

    The score of an item is the part of a factorisation machine over user, item and contexts that depends on the item,
    ``<user + contexts, item>``, its user and item passed over the graph with what is known of each choice; trained as
    the other delegates of the graph are. Without layers it is a factorisation machine, without context LightGCN. Of
    choices after the training the usual context of their items is taken; a pair of user and item stands once, in its
    last context.
    """

    Config = GCMConfig
    _reader: ContextReader
    _contexts: Float32
    _unusual: Float32

    def make_network(self, data: FitData, graph: Graph) -> GraphNetwork:
        """Vectors for users, items and contexts."""
        self._reader, log = ContextReader.of(self.config, data), data.train
        codes = self._reader.read_log(log)[find_last_rows(log, len(data.catalog))]
        return ContextNetwork(self.config, graph, codes, self._reader.size)

    def keep(self, network: GraphNetwork) -> None:
        """Contexts, too, and how those of each user differ from the usual ones."""
        super().keep(network)
        assert isinstance(network, ContextNetwork)
        self._contexts = to_array(network.vectors)
        unusual = network.average_edges()[1]
        self._unusual = np.concatenate([unusual, np.zeros_like(unusual[:1])])

    def start_users(self, batch: QueryBatch, rows: sparse.csr_matrix, observation: Observation) -> Float32:
        """Layer 0, and what contexts add to the layers and to their mean (`Passed.query_vectors` divides by it)."""
        start, layers = super().start_users(batch, rows, observation), self.config.layers
        users, counts = find_user_rows(batch.users, len(self._unusual) - 1), np.diff(rows.indptr)[:, None]
        unusual = self._unusual[users] * (counts > 0) / np.sqrt(np.maximum(counts, 1))
        request = self._contexts[self._reader.read_batch(batch)].sum(1)
        return np.asarray(start + layers * unusual + (layers + 1) * request, np.float32)

    def save(self, folder: Path) -> None:
        """Write the contexts too."""
        super().save(folder)
        vectors = {"contexts": self._contexts, "unusual": self._unusual}
        write_arrays(folder / "contexts.npz", asdict(self._reader) | vectors)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read them."""
        self = super().load(folder, catalog)
        found = read_arrays(folder / "contexts.npz")
        self._contexts, self._unusual = found.pop("contexts"), found.pop("unusual")
        size, items, n_items = (int(found[name]) for name in ("size", "items", "n_items"))
        self._reader = ContextReader(found["columns"], found["starts"], size, items, n_items)
        return self

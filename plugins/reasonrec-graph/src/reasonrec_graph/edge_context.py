"""What is known of the moment in which somebody chose something: codes of pairs and of requests, vectors on edges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from reasonrec_torch.interactions import TensorPairs
from reasonrec_torch.parameters import to_array
from scipy import sparse
from torch import Tensor, nn

from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32, History, Int32, Int64, Interactions, QueryBatch
from reasonrec_graph.config import GCMConfig
from reasonrec_graph.graph import Graph, Pair, multiply, propagate
from reasonrec_graph.network import IdNetwork, Passed


@dataclass(frozen=True)
class ContextReader:
    """Rows of one table of vectors for what is known of a request. Row 0 is "not known".

    Attributes:
        columns: int64[X], which columns of the context are read.
        starts: int64[X], where the values of each begin; code 1 is the row after.
        size: rows of the table.
        items: where the items begin, as last ones of a history; -1: these are not read.
        n_items: how many items there are.
    """

    columns: Int64
    starts: Int64
    size: int
    items: int
    n_items: int

    @classmethod
    def of(cls, config: GCMConfig, data: FitData) -> Self:
        """As the settings say.

        Raises:
            ConfigError: a context that the data do not have.
        """
        names = list(data.context)
        wanted = names if config.context is None else list(config.context)
        if missing := [name for name in wanted if name not in names]:
            what = f"the data have no context {missing[0]!r}"
            raise ConfigError(what, where="gcm", fix=f'Name it where the data are: [data] context = ["{missing[0]}"].')
        sizes = [len(data.context[name]) for name in wanted]
        starts = np.cumsum([0, *sizes])
        size, n_items = int(starts[-1]) + 1, len(data.catalog)
        columns = np.array([names.index(name) for name in wanted], np.int64)
        items = size if config.last_item else -1
        return cls(columns, starts[:-1], size + n_items * config.last_item, items, n_items)

    def read(self, context: Int32 | None, last: Int64) -> Int64:
        """int64[N, F]: rows of the table; of int32[N, C] codes and int64[N] last items (-1: none)."""
        nothing = np.zeros((len(last), len(self.columns)), np.int64)
        codes = nothing if context is None else context[:, self.columns].astype(np.int64)
        rows = np.where(codes > 0, codes + self.starts, 0)
        if self.items < 0:
            return rows
        known = (last >= 0) & (last < self.n_items)
        return np.column_stack([rows, np.where(known, last + self.items, 0)])

    def read_log(self, log: Interactions) -> Int64:
        """int64[N, F]: of a log sorted by user and time; the last item is the one of the row before."""
        last = np.full(len(log), -1, np.int64)
        last[1:] = np.where(log.users[1:] == log.users[:-1], log.items[:-1], -1)
        return self.read(log.context, last)

    def read_batch(self, batch: QueryBatch) -> Int64:
        """int64[B, F]: of requests."""
        return self.read(batch.context, find_last(batch.history))


def find_last(history: History) -> Int64:
    """int64[B]: the newest item of each row, -1 where there is none."""
    last, newest = np.full(len(history), -1, np.int64), history.ages == 0
    last[history.rows[newest]] = history.items[newest]
    return last


class ContextNetwork(IdNetwork):
    """Vectors of users, items and contexts; a neighbour brings along the context of the choice (GCM).

    Args:
        config: sizes and losses.
        graph: who chose what.
        codes: int64[E, F], rows of the table that say what is known of each of the graph's edges, in their order.
        size: rows of the table.
    """

    codes: Tensor
    seen: Tensor

    def __init__(self, config: GCMConfig, graph: Graph, codes: Int64, size: int) -> None:
        super().__init__(config, graph)
        self.table = nn.Parameter(torch.randn(size, config.dimensions) * 0.1)
        seen = np.isin(np.arange(size), codes) & (np.arange(size) > 0)
        self.add_inputs(codes=codes, seen=seen[:, None].astype(np.float32))

    @property
    def vectors(self) -> Tensor:
        """float[V, d]: of contexts; 0 for what is not known, and what training did not see."""
        return self.seen * self.table

    def sum_edges(self, weights: Float32, by_item: bool = False) -> sparse.csr_matrix:
        """CSR[n_users, V], or of items: a node's edges by what is known of them, float32[E] ``weights`` added up."""
        return self.graph.sum_labels(self.codes.cpu().numpy(), len(self.seen), weights, by_item=by_item)

    @property
    def edges(self) -> tuple[Pair, Pair]:
        """What users' and items' edges bring along, each with its transpose, to be multiplied with the vectors."""

        def make() -> tuple[Pair, Pair]:
            weights = to_array(self.blocks.to_users.values())
            users, items = (Pair.of(self.sum_edges(weights, by_item), self.seen.device) for by_item in (False, True))
            return users, items

        return self.make_once("edges", make)

    def pass_vectors(self, layers: int) -> tuple[Tensor, Tensor]:
        """As of `GraphNetwork`; in each layer the edges bring their contexts along."""
        users, items = (multiply(*pair, self.vectors) for pair in self.edges)
        return propagate(*self.start(), self.blocks, layers, edges=(users, items))

    def ask(self, users: Tensor, batch: TensorPairs) -> Tensor:
        """The users in the contexts of their choices."""
        codes = self.codes[self.graph.find_edges(batch.users, batch.items)]
        return users[batch.users] + nn.functional.embedding(codes, self.vectors).sum(1)

    @torch.no_grad()
    def average_edges(self) -> tuple[Float32, Float32]:
        """What a history is worked out from that is known less well than the training part.

        Returns:
            float32[n_items, d]: the mean context vector of each item's edges, for choices whose context is not known;
            float32[n_users, d]: how the contexts of a user's edges differ from these, by the items' part of the weight.
        """
        vectors, degrees = to_array(self.vectors), to_array(self.graph.degrees)
        items, rows = self.graph.user_items.cpu().numpy(), self.graph.rows.cpu().numpy()
        means = np.asarray(self.sum_edges(1 / degrees[items], by_item=True) @ vectors, np.float32)
        weights = 1 / np.sqrt(degrees[items])
        usual = sparse.csr_matrix((weights, (rows, items)), self.graph.shape) @ means
        return means, np.asarray(self.sum_edges(weights) @ vectors - usual, np.float32)

    def make_passed(self) -> Passed:
        """As of `GraphNetwork`; items pass the contexts on that are usual for them."""
        passed = super().make_passed()
        return replace(passed, to_users=passed.to_users + self.config.layers * self.average_edges()[0])

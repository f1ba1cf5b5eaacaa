"""The graph of users and items, and passing vectors over it."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from reasonrec_core.types import Float32, Int32, Int64, Interactions, indptr_of


class Blocks(NamedTuple):
    """The symmetrically normalised adjacency ``D^-1/2 A D^-1/2``, by its two blocks, each the other's transpose.

    Attributes:
        to_users: CSR float[n_users, n_items].
        to_items: CSR float[n_items, n_users].
    """

    to_users: Tensor
    to_items: Tensor


class Pair(NamedTuple):
    """Any sparse matrix, and its transpose for the gradient of a product (see `multiply`).

    Attributes:
        matrix: CSR float[n, m].
        transposed: CSR float[m, n].
    """

    matrix: Tensor
    transposed: Tensor

    @classmethod
    def of(cls, matrix: sparse.csr_matrix, device: torch.device) -> Self:
        """On a device."""

        def move(rows: sparse.csr_matrix) -> Tensor:
            indptr, columns, values = (torch.from_numpy(p).to(device) for p in (rows.indptr, rows.indices, rows.data))
            return make_csr(indptr, columns, values, rows.shape)

        return cls(move(matrix), move(matrix.T.tocsr()))


class Graph(nn.Module):
    """Who chose what; how often does not matter.

    Args:
        users: int[T].
        items: int[T].
        n_users, n_items: sizes.

    Attributes:
        degrees: float[n_items], users of each item.
    """

    user_ptr: Tensor
    user_items: Tensor
    item_ptr: Tensor
    item_users: Tensor
    rows: Tensor
    by_item: Tensor
    degrees: Tensor

    def __init__(self, users: Int32 | Int64, items: Int32 | Int64, n_users: int, n_items: int) -> None:
        super().__init__()
        pairs = np.unique(np.asarray(users, np.int64) * n_items + items)
        rows, columns = np.divmod(pairs, n_items)
        by_item = np.argsort(columns, kind="stable")
        counts = np.bincount(columns, minlength=n_items)
        arrays = {
            "user_ptr": indptr_of(np.bincount(rows, minlength=n_users)),
            "user_items": columns,
            "item_ptr": indptr_of(counts),
            "item_users": rows[by_item],
            "rows": rows,
            "by_item": by_item,
            "degrees": counts.astype(np.float32),
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)
        self.shape = (n_users, n_items)
        self._keys: Tensor | None = None

    @torch.no_grad()
    def blocks(self, kept: Tensor | None = None) -> Blocks:
        """The adjacency; with bool[E], of those edges alone, normalised anew."""
        edges = torch.ones(len(self.rows), device=self.rows.device) if kept is None else kept.float()
        users = edges.new_zeros(self.shape[0]).index_add_(0, self.rows, edges)
        items = edges.new_zeros(self.shape[1]).index_add_(0, self.user_items, edges)
        weights = edges * (users[self.rows] * items[self.user_items]).clamp(min=1).rsqrt()
        return Blocks(
            make_csr(self.user_ptr, self.user_items, weights, self.shape),
            make_csr(self.item_ptr, self.item_users, weights[self.by_item], self.shape[::-1]),
        )

    @torch.no_grad()
    def average_items(self) -> Blocks:
        """``D_U^-1 A``: what a user chose, averaged; and its transpose."""
        weights = torch.diff(self.user_ptr).clamp(min=1).float().reciprocal()[self.rows]
        return Blocks(
            make_csr(self.user_ptr, self.user_items, weights, self.shape),
            make_csr(self.item_ptr, self.item_users, weights[self.by_item], self.shape[::-1]),
        )

    def find_edges(self, users: Tensor, items: Tensor) -> Tensor:
        """int64[P]: which of the E edges join int64[P] users and items, who chose them."""
        if self._keys is None or self._keys.device != self.rows.device:
            self._keys = self.rows * self.shape[1] + self.user_items
        return torch.searchsorted(self._keys, users * self.shape[1] + items)

    def sum_labels(self, labels: Int64, size: int, weights: Float32, *, by_item: bool = False) -> sparse.csr_matrix:
        """CSR[n_users, size], or of items: the weights of a node's edges, added up by what these carry.

        Args:
            labels: int64[E, F] below ``size``, F of each edge.
            size: how many there are.
            weights: float32[E], of the edges.
            by_item: for items instead of users.
        """
        nodes = (self.user_items if by_item else self.rows).cpu().numpy()
        rows, values = (np.repeat(each, labels.shape[1]) for each in (nodes, weights))
        return sparse.csr_matrix((values, (rows, labels.ravel())), (self.shape[by_item], size))

    def drop_edges(self, share: float) -> Blocks:
        """The adjacency without a random share of the edges."""
        return self.blocks(torch.rand(len(self.rows), device=self.rows.device) >= share)


def find_last_rows(log: Interactions, n_items: int) -> Int64:
    """int64[E]: where a log has each edge of its `Graph` for the last time, in their order."""
    keys = log.users.astype(np.int64) * n_items + log.items
    newest_first: Int64 = np.unique(keys[::-1], return_index=True)[1].astype(np.int64)
    return len(log) - 1 - newest_first


def propagate(
    users: Tensor,
    items: Tensor,
    blocks: Blocks,
    layers: int,
    noise: float = 0.0,
    edges: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean over layers 0 to ``layers`` (LightGCN, He et al., SIGIR 2020, equations 7 and 8).

    Args:
        users: float[n_users, d], layer 0.
        items: float[n_items, d], layer 0.
        blocks: the adjacency.
        layers: steps.
        noise: length of a random vector, in the orthant of the vector that it is added to, in each layer (after
            SimGCL, Yu et al., SIGIR 2022, equation 7).
        edges: float[n_users, d] and float[n_items, d], what a node's edges bring along in each layer: the sum of
            their vectors by their weights (after GCM, Wu et al., 2020).

    Returns:
        float[n_users, d] and float[n_items, d].
    """
    all_users, all_items = users, items
    for _ in range(layers):
        users, items = (
            multiply(blocks.to_users, blocks.to_items, items),
            multiply(blocks.to_items, blocks.to_users, users),
        )
        if edges is not None:
            users, items = users + edges[0], items + edges[1]
        if noise:
            users, items = _add_noise(users, noise), _add_noise(items, noise)
        all_users, all_items = all_users + users, all_items + items
    return all_users / (layers + 1), all_items / (layers + 1)


SPARE, PASSES = 32, 4
"""Columns beyond those that are wanted, and passes, in search of singular vectors."""


@torch.no_grad()
def find_spectrum(blocks: Blocks, dimensions: int) -> tuple[Tensor, Tensor]:
    """The leading singular vectors of the adjacency, each times the root of its value.

    By subspace iteration from random columns (Halko, Martinsson and Tropp, 2011, algorithm 4.4).

    Args:
        blocks: the adjacency.
        dimensions: d, most that are wanted.

    Returns:
        float[n_users, e] and float[n_items, e], e = min(d, n_users, n_items); the largest first. Their product is the
        nearest matrix of that rank to ``blocks.to_users``.
    """
    n_users, n_items = blocks.to_users.shape
    wanted = min(dimensions, n_users, n_items)
    columns = torch.randn(n_items, min(wanted + SPARE, n_users, n_items), device=blocks.to_users.device)
    for _ in range(PASSES):
        columns = torch.linalg.qr(blocks.to_items @ (blocks.to_users @ columns)).Q
    left, values, right = torch.linalg.svd(blocks.to_users @ columns, full_matrices=False)
    roots = values[:wanted].sqrt()
    return left[:, :wanted] * roots, (columns @ right[:wanted].T) * roots


def multiply(matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
    """CSR float[n, m] times float[m, d]; the gradient is a product with the transpose, which is at hand."""
    product: Tensor = _Product.apply(matrix, transposed, x)
    return product


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transposed @ grad


def _add_noise(x: Tensor, length: float) -> Tensor:
    return x + torch.sign(x) * nn.functional.normalize(torch.rand_like(x), dim=-1) * length


def make_csr(indptr: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A sparse matrix of its parts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(indptr, columns, values, shape, check_invariants=False)

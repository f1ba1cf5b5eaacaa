"""How alike items are by what is known of them: encoded text and pictures, else the labels of their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Int32

LENGTH = np.float32(1e-12)
"""Vectors that are shorter have no direction."""


@dataclass(frozen=True)
class ItemLikeness:
    """What items are compared by, with a cosine in [-1, 1] for each kind; the likeness of two is the mean of these.

    Attributes:
        features: modality -> float32[n_items, d], rows of NaN where an item has none (memory-mapped).
        labels: float32 CSR[n_items, labels], rows of length 1 or empty: each label by how rare it is. Used where there
            are no features.
    """

    features: Mapping[str, Float32]
    labels: sparse.csr_matrix | None = None

    @classmethod
    def of(cls, features: Mapping[str, Float32], catalog: Catalog) -> ItemLikeness:
        """The features, where the run encoded some; labels otherwise."""
        return cls(dict(features), None if features else weigh_labels(catalog))

    def __bool__(self) -> bool:
        return bool(self.features) or (self.labels is not None and self.labels.nnz > 0)

    def gather(self, items: Int32) -> GatheredItems:
        """What is compared of int32[B, P] items (-1 pads)."""
        at = np.maximum(items, 0)
        parts = [_unit(np.asarray(vectors[at], np.float32)) for vectors in self.features.values()]
        rows = None if self.labels is None else self.labels[at.ravel()]
        return GatheredItems(parts, rows, items.shape)

    def compare_all(self, item: int) -> Mapping[str, Float32]:
        """Per modality (or "labels") float32[n_items]: the cosine of every item with one."""
        if self.labels is not None:
            return {"labels": (self.labels @ self.labels[[item]].T).toarray()[:, 0]}
        return {
            name: _unit(np.asarray(vectors, np.float32)) @ _unit(np.asarray(vectors[item], np.float32))
            for name, vectors in self.features.items()
        }

    def compare_some(self, item: int, others: Sequence[int]) -> Mapping[str, Float32]:
        """Per modality float32[N]: the cosine of N others with one item; 0 where either has none."""
        at = list(others)
        return {
            name: _unit(np.asarray(vectors[at], np.float32)) @ _unit(np.asarray(vectors[item], np.float32))
            for name, vectors in self.features.items()
        }


@dataclass(frozen=True)
class GatheredItems:
    """What is compared of [B, P] items: unit vectors float32[B, P, d] by modality, or rows of labels."""

    parts: list[Float32]
    rows: sparse.csr_matrix | None
    shape: tuple[int, ...]

    def compare(self, chosen: Int32) -> Float32:
        """float32[B, P]: how alike each row's items are to the one in its column ``chosen`` int32[B]."""
        size, width = self.shape
        at = np.arange(size)
        if self.rows is not None:
            twins = self.rows[np.repeat(at * width + chosen, width)]
            return np.asarray(self.rows.multiply(twins).sum(axis=1), np.float32).reshape(self.shape)
        alike = np.zeros(self.shape, np.float32)
        for vectors in self.parts:
            alike += np.einsum("bpd,bd->bp", vectors, vectors[at, chosen])
        return alike / np.float32(max(len(self.parts), 1))


def weigh_labels(catalog: Catalog) -> sparse.csr_matrix:
    """float32 CSR[n_items, L] of the labels of all text fields but the title, ``log(n / items with it)`` each."""
    numbers: dict[tuple[str, str], int] = {}
    rows, columns = list[int](), list[int]()
    for field in catalog.text_fields:
        if field in {"title", "description"}:
            continue
        for item, labels in enumerate(catalog.labels(field)):
            for label in dict.fromkeys(label.casefold() for label in labels):
                rows.append(item)
                columns.append(numbers.setdefault((field, label), len(numbers)))
    n = len(catalog)
    weights = np.log(np.float32(max(n, 1)) / np.bincount(columns, minlength=len(numbers)).astype(np.float32))
    made = sparse.csr_matrix(
        (weights[np.array(columns, np.int64)], (rows, columns)), shape=(n, len(numbers)), dtype=np.float32
    )
    made.eliminate_zeros()
    lengths = np.sqrt(np.asarray(made.multiply(made).sum(axis=1), np.float32).ravel())
    scale = np.divide(np.float32(1), lengths, out=np.zeros_like(lengths), where=lengths > LENGTH)
    return (sparse.diags(scale) @ made).tocsr().astype(np.float32)


def _unit(vectors: Float32) -> Float32:
    """The vectors (last axis) with length 1; 0 where there is none."""
    filled = np.where(np.isnan(vectors), np.float32(0), vectors)
    return np.asarray(filled / np.maximum(np.linalg.norm(filled, axis=-1, keepdims=True), LENGTH), np.float32)

"""Which history items bear on a target: shared labels and similar features, in whole arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from reasonrec_core.data.catalog import TEXT_ORDER, Catalog
from reasonrec_core.types import Bool, Float32, History, Int32

LABEL_FIELDS = tuple(name for name in TEXT_ORDER if name not in {"title", "description"})
CHUNK = 16_384
"""History entries whose features are held at once."""


class Relevance:
    """How much each history entry has to do with an item: the mean of cosines, one per label field and per modality.

    Labels weigh by how rare they are, ``log(n_items / items with the label)``: to share "Drama" says less than to
    share a director. What an item lacks counts as 0.

    Args:
        catalog: the items.
        features: per modality float32[n_items, d], as in `Observation`.
        present: per modality bool[n_items].
        fields: label fields; by default the usual ones that the items have.
    """

    def __init__(
        self,
        catalog: Catalog,
        features: Mapping[str, Float32] | None = None,
        present: Mapping[str, Bool] | None = None,
        fields: tuple[str, ...] | None = None,
    ) -> None:
        names = fields if fields is not None else tuple(f for f in LABEL_FIELDS if f in catalog.fields)
        self.fields = names
        self._labels = [_membership(catalog.labels(name)) for name in names]
        self._features, self._present = dict(features or {}), dict(present or {})

    def score(self, history: History, targets: Int32) -> Float32:
        """float32[L] in [-1, 1], one per history entry.

        Args:
            history: B rows.
            targets: int32[B], the item that each row's entries are compared with.
        """
        total = np.zeros(len(history.items), np.float32)
        asked = targets[history.rows]
        for start in range(0, len(total), CHUNK):
            part = slice(start, start + CHUNK)
            ours, theirs = history.items[part], asked[part]
            for matrix in self._labels:
                total[part] += np.asarray(matrix[ours].multiply(matrix[theirs]).sum(axis=1), np.float32).ravel()
            for name, values in self._features.items():
                there = self._present[name][ours] & self._present[name][theirs]
                total[part] += np.where(there, _cosines(values[ours], values[theirs]), 0)
        return total / np.float32(max(len(self._labels) + len(self._features), 1))


def prune(history: History, scores: Float32, most: int) -> Bool:
    """bool[L]: the ``most`` entries of each row with the highest positive score, of equal ones the newer."""
    order = np.lexsort((history.ages, -scores, history.rows))
    place = np.arange(len(order)) - np.repeat(history.indptr[:-1] - history.indptr[0], history.lengths)
    kept = np.zeros(len(order), np.bool_)
    kept[order] = place < most
    return kept & (scores > 0)


def _membership(labels: list[tuple[str, ...]]) -> sparse.csr_matrix:
    """float32 CSR[n_items, labels]: rarity of each label an item has, rows of length 1 (or empty)."""
    known = {label: column for column, label in enumerate(sorted({label for row in labels for label in row}))}
    pairs = [(item, known[label]) for item, row in enumerate(labels) for label in dict.fromkeys(row)]
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    counts = np.bincount(columns, minlength=len(known)).clip(min=1)
    rarity = np.log(len(labels) / counts).astype(np.float32)[columns]
    length = np.sqrt(np.bincount(rows, rarity**2, minlength=len(labels))).astype(np.float32)
    values = rarity / np.maximum(length[rows], np.float32(1e-12))
    return sparse.csr_matrix((values, (rows, columns)), shape=(len(labels), len(known)), dtype=np.float32)


def _cosines(ours: Float32, theirs: Float32) -> Float32:
    ours, theirs = np.nan_to_num(ours), np.nan_to_num(theirs)
    length = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.asarray(np.einsum("ld,ld->l", ours, theirs) / np.maximum(length, 1e-12), np.float32)

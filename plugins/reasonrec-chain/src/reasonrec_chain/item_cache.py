"""What the experts hold of the items as far as they can be seen now, kept from request to request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import local

import numpy as np
from reasonrec_profile.api import Expert
from scipy import sparse

from reasonrec_core.types import Bool, Float32, Int32, Observation, indptr_of


@dataclass
class Workspace:
    """Memory for one chunk of B queries over n items, used again by the next: making it anew costs more than filling.

    Attributes:
        scores: float32[arrays, >= B * n], holds anything.
        marks: bool[>= B * n], all False between uses.
    """

    scores: Float32
    marks: Bool

    @classmethod
    def of(cls, arrays: int, cells: int) -> Workspace:
        """For so many arrays of ``cells`` = B * n."""
        return cls(np.empty((arrays, cells), np.float32), np.zeros(cells, np.bool_))

    def array(self, which: int, rows: int, n_items: int) -> Float32:
        """float32[rows, n_items], one of the arrays."""
        return self.scores[which, : rows * n_items].reshape(rows, n_items)


@dataclass(frozen=True)
class ItemCache:
    """The items under one observation.

    Attributes:
        tables: per network float32[n, d], item vectors.
        vectors: float32[M d + 1, n], see `SequenceModel.tables`.
        links: per item-to-item expert float32 CSR[n, n], without items that cannot be seen now.
        sets: per inferred field int32[n], the set of labels that each item shows (`LabelSets.members`).
        popular: int32[n], all items, the most popular first.
        observation: what was seen of them.
    """

    tables: tuple[Float32, ...]
    vectors: Float32
    links: tuple[sparse.csr_matrix, ...]
    sets: tuple[Int32, ...]
    popular: Int32
    observation: Observation
    _own: local = field(default_factory=local, repr=False, compare=False)

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return int(self.vectors.shape[1])

    def observe(self, horizon: Float32) -> Observation:
        """The same items, for queries of float32[B] horizon."""
        return replace(self.observation, horizon=horizon)

    @contextmanager
    def workspace(self, rows: int) -> Iterator[Workspace]:
        """Memory for ``rows`` queries, this thread's own; thrown away where its user fails half-way."""
        workspace: Workspace | None = getattr(self._own, "workspace", None)
        self._own.workspace = None
        if workspace is None or len(workspace.marks) < rows * self.n_items:
            workspace = Workspace.of(1 + len(self.links), rows * self.n_items)
        yield workspace
        self._own.workspace = workspace

    def logits(self, states: Float32, out: Float32) -> Float32:
        """float32[B, n] for float32[B, M d] states, in ``out``."""
        rows = np.concatenate([states, np.ones((len(states), 1), np.float32)], axis=1)
        return np.matmul(rows, self.vectors, out=out)


def keep_visible(link: Expert, observation: Observation) -> sparse.csr_matrix:
    """The expert's links between items that can be seen now."""
    present = link.present(observation)
    if present is None or present.all():
        return link.matrix
    lengths = np.diff(link.matrix.indptr)
    kept = np.repeat(present, lengths) & present[link.matrix.indices]
    rows = np.repeat(np.arange(len(lengths)), lengths)[kept]
    indptr = indptr_of(np.bincount(rows, minlength=len(lengths)))
    parts = (link.matrix.data[kept], link.matrix.indices[kept], indptr.astype(link.matrix.indptr.dtype))
    return sparse.csr_matrix(parts, shape=link.matrix.shape)

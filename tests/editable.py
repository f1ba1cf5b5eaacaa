"""`Echo`: the smallest policy whose steps can be edited, for tests of whatever asks such a policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy import sparse

from reasonrec_core.components import EditablePolicy, Empty, FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.ranking import rank
from reasonrec_core.types import Deliberation, Edits, Float32, LazySteps, Observation, QueryBatch, Step, StepKind

DECAY, CITED = 0.8, 2


class Echo(EditablePolicy[Empty]):
    """Recommends what followed the history's items in training, of the assumed brand."""

    follows: Float32
    brands: tuple[str, ...]
    member: Float32

    def fit(self, data: FitData) -> None:
        """Count what follows what, and who is of which brand."""
        n, train = len(data.catalog), data.train
        self.follows = np.full((n, n), 0.02, np.float32)
        same = train.users[1:] == train.users[:-1]
        np.add.at(self.follows, (train.items[:-1][same], train.items[1:][same]), 1)
        self._read(data.catalog, n)

    def _read(self, catalog: Catalog, fitted: int) -> None:
        labels = catalog.labels("brand")
        self.brands = tuple(sorted({label for row in labels[:fitted] for label in row}))
        self.member = np.array([[brand in row for brand in self.brands] for row in labels], np.float32)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The brands."""
        return {"brand": self.brands}

    def membership(self, field: str) -> sparse.csr_matrix:
        """Who is of which brand."""
        return sparse.csr_matrix(self.member)

    def infer_labels(self, batch: QueryBatch, observation: Observation) -> Mapping[str, Float32]:
        """The brands of the history."""
        counts = np.ones((len(batch), len(self.brands)), np.float32)
        np.add.at(counts, batch.history.rows, self.member[batch.history.items])
        return {"brand": counts / counts.sum(axis=1, keepdims=True)}

    def votes(self, batch: QueryBatch, edits: Edits | None) -> Float32:
        """float32[L, n_items]: what each history entry says."""
        weights = (DECAY**batch.history.ages).astype(np.float32)
        if edits and edits.relevance is not None:
            weights = weights * edits.relevance
        return np.asarray(self.follows[batch.history.items] * weights[:, None], dtype=np.float32)

    def deliberate(self, batch: QueryBatch, observation: Observation, edits: Edits | None = None) -> Deliberation:
        """Add up what the history's items say."""
        scores = np.full((len(batch), len(self.follows)), 0.1, np.float32)
        np.add.at(scores, batch.history.rows, self.votes(batch, edits))
        assumed = np.full(len(batch), -1, np.int32)
        if edits and "brand" in edits.assume:
            assumed = edits.assume["brand"]
        off = (assumed >= 0)[:, None] & (self.member.T[assumed] == 0)
        scores = np.where(off, np.float32(1e-3) * scores, scores)
        if batch.candidates is None:
            scores[batch.history.rows, batch.history.items] = 0
        else:
            scores = np.take_along_axis(scores, np.maximum(batch.candidates, 0), axis=1)
            scores[batch.candidates < 0] = 0
        mass = scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-30)
        ranking = rank(np.where(mass > 0, mass, -np.inf).astype(np.float32), batch)
        shown = np.where(ranking.items >= 0, ranking.scores, 0).astype(np.float32)
        ignored = np.zeros(len(batch), np.bool_)
        if edits and edits.relevance is not None:
            ignored[batch.history.rows[edits.relevance != 1]] = True
        cause = self._cause(batch, ranking.items, edits)

        def steps(row: int) -> tuple[Step, ...]:
            mine = cause[batch.history.rows == row]
            cited = tuple(int(p) for p in np.argsort(-mine, kind="stable")[:CITED] if mine[p] > 0)
            brand = f"assumed {self.brands[assumed[row]]}" if assumed[row] >= 0 else "any"
            return (
                Step(StepKind.OBSERVE, "the history", cited, edited=bool(ignored[row])),
                Step(StepKind.INFER, f"brand: {brand}", edited=bool(assumed[row] >= 0)),
                Step(StepKind.DECIDE, "what followed", cited),
            )

        return Deliberation(LazySteps(len(batch), steps), shown[:, :1].sum(axis=1), ranking, shown)

    def attribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """What each entry says for the best item."""
        found = self.deliberate(batch, observation).ranking
        assert found is not None
        return self._cause(batch, found.items, None)

    def _cause(self, batch: QueryBatch, items: np.ndarray[Any, Any], edits: Edits | None) -> Float32:
        best = items[batch.history.rows, 0] if items.shape[1] else np.full(len(batch.history.items), -1)
        said = np.take_along_axis(self.votes(batch, edits), np.maximum(best, 0)[:, None], axis=1)[:, 0]
        return np.asarray(np.where(best >= 0, said, 0), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Keep the counts."""
        super().save(folder)
        np.save(folder / "follows.npy", self.follows)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the counts."""
        self = super().load(folder, catalog)
        follows = np.load(folder / "follows.npy", allow_pickle=False)
        more = len(catalog) - len(follows)
        self.follows = np.pad(follows, (0, more), constant_values=0.02)
        self._read(catalog, len(follows))
        return self

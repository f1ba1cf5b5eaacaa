"""The smallest policy whose steps can be edited: for tests of whatever asks such a policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.components import EditablePolicy, FitData, Settings
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import whole_file
from reasonrec_core.ranking import rank
from reasonrec_core.types import (
    NO_EDITS,
    Bool,
    Deliberation,
    Edits,
    Float32,
    Int32,
    LazySteps,
    Observation,
    QueryBatch,
    Ranking,
    Step,
    StepKind,
)

CITED = 2
VOTE = np.float32(9)
"""Of a delegate for the first item of its list."""
UNSEEN, FLOOR, OFF = np.float32(0.02), np.float32(0.1), np.float32(1e-3)


class ToyPolicyConfig(Settings):
    """Settings of `ToyPolicy`."""

    decay: float = Field(
        default=0.8, gt=0, le=1, description="Factor by which a history item's weight falls with each step of age."
    )
    fields: tuple[str, ...] = Field(default=("brand", "categories"), description="Item fields that can be assumed.")


class ToyPolicy(EditablePolicy[ToyPolicyConfig]):
    """Recommends what followed the history's items in training, of the assumed labels.

    An item's label in a field is the last of its path. Every array is dense: for catalogues of a test's size.

    Attributes:
        follows: float32[n_items, n_items], how often the column followed the row, and a little for every pair.
    """

    Config = ToyPolicyConfig
    follows: Float32
    _labels: dict[str, tuple[str, ...]]
    _member: dict[str, Float32]
    _titles: list[str]

    def fit(self, data: FitData) -> None:
        """Count what follows what, and read who carries which label."""
        n, train = len(data.catalog), data.train
        self.follows = np.full((n, n), UNSEEN, np.float32)
        same = train.users[1:] == train.users[:-1]
        np.add.at(self.follows, (train.items[:-1][same], train.items[1:][same]), 1)
        self._read(data.catalog, n)

    def _read(self, catalog: Catalog, fitted: int) -> None:
        self._titles, self._labels, self._member = catalog.titles, {}, {}
        for field in self.config.fields:
            if field not in catalog.fields:
                continue
            rows = [row[-1:] for row in catalog.labels(field)]
            labels = tuple(sorted({label for row in rows[:fitted] for label in row}))
            self._labels[field] = labels
            self._member[field] = np.array([[label in row for label in labels] for row in rows], np.float32)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The labels of each field."""
        return self._labels

    def membership(self, field: str) -> sparse.csr_matrix:
        """Who carries which label."""
        return sparse.csr_matrix(self._member[field])

    def infer_labels(self, batch: QueryBatch, observation: Observation) -> Mapping[str, Float32]:
        """How often each label occurs in the history, each once more."""
        found: dict[str, Float32] = {}
        for field, member in self._member.items():
            counts = np.ones((len(batch), member.shape[1]), np.float32)
            np.add.at(counts, batch.history.rows, member[batch.history.items])
            found[field] = counts / counts.sum(axis=1, keepdims=True)
        return found

    def distribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items or C]: P(next item), 0 for what may not be recommended."""
        return self._mass(batch, NO_EDITS)

    def _votes(self, batch: QueryBatch, edits: Edits) -> Float32:
        """float32[L, n_items]: what each history entry says."""
        weights = (self.config.decay**batch.history.ages).astype(np.float32)
        if edits.relevance is not None:
            weights = weights * edits.relevance
        return np.asarray(self.follows[batch.history.items] * weights[:, None], dtype=np.float32)

    def _mass(self, batch: QueryBatch, edits: Edits) -> Float32:
        scores = np.full((len(batch), len(self.follows)), FLOOR, np.float32)
        np.add.at(scores, batch.history.rows, self._votes(batch, edits))
        for field, assumed in edits.assume.items():
            off = (assumed >= 0)[:, None] & (self._member[field].T[assumed] == 0)
            scores = np.where(off, OFF * scores, scores)
        if batch.candidates is None:
            scores[batch.history.rows, batch.history.items] = 0
        else:
            scores = np.take_along_axis(scores, np.maximum(batch.candidates, 0), axis=1)
            scores[batch.candidates < 0] = 0
        return np.asarray(scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-30), dtype=np.float32)

    def deliberate(self, batch: QueryBatch, observation: Observation, edits: Edits | None = None) -> Deliberation:
        """Add up what the history's items say."""
        edits = NO_EDITS if edits is None else edits
        return self._decide(batch, observation, edits, self._mass(batch, edits))

    def _decide(self, batch: QueryBatch, observation: Observation, edits: Edits, mass: Float32) -> Deliberation:
        """The answer by float32[B, n_items or C] mass."""
        ranking = rank(np.where(mass > 0, mass, -np.inf).astype(np.float32), batch)
        shown = np.where(ranking.items >= 0, ranking.scores, 0).astype(np.float32)
        causes, beliefs = self._causes(batch, ranking.items, edits), self.infer_labels(batch, observation)

        def steps(row: int) -> tuple[Step, ...]:
            mine = batch.history.rows == row
            relevance = np.ones(int(mine.sum())) if edits.relevance is None else edits.relevance[mine]
            votes = causes[mine]
            cited = tuple(int(p) for p in np.argsort(-votes, kind="stable")[:CITED] if votes[p] > 0)
            belief = {field: values[row] for field, values in beliefs.items()}
            assumed = {field: int(values[row]) for field, values in edits.assume.items()}
            return self._steps(batch.history.items[mine], relevance != 1, cited, belief, assumed)

        return Deliberation(LazySteps(len(batch), steps), shown[:, :1].sum(axis=1), ranking, shown)

    def _steps(
        self,
        history: Int32,
        ignored: Bool,
        cited: tuple[int, ...],
        belief: Mapping[str, Float32],
        assumed: Mapping[str, int],
    ) -> tuple[Step, ...]:
        names = ", ".join(f"“{self._titles[item]}”" for item in dict.fromkeys(history[ignored].tolist()))
        steps = [Step(StepKind.OBSERVE, f"you ignored {names}" if names else "the history", cited, edited=bool(names))]
        for field, values in belief.items():
            at = assumed.get(field, -1)
            label = self._labels[field][at if at >= 0 else int(values.argmax())]
            claim = f"you assumed {field} is “{label}”" if at >= 0 else f"{field} is likely “{label}”"
            others = tuple((self._labels[field][i], float(values[i])) for i in np.argsort(-values)[:CITED].tolist())
            sure = float(values.max())
            steps.append(Step(StepKind.INFER, claim, cited, sure, others, edited=at >= 0, about=(field, label)))
        return (*steps, Step(StepKind.DECIDE, "what followed", cited))

    def attribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[L]: what each entry says for the best item."""
        found = self.deliberate(batch, observation).ranking
        assert found is not None
        return self._causes(batch, found.items, NO_EDITS)

    def _causes(self, batch: QueryBatch, items: Int32, edits: Edits) -> Float32:
        best = items[batch.history.rows, 0] if items.shape[1] else np.full(len(batch.history.items), -1)
        votes = np.take_along_axis(self._votes(batch, edits), np.maximum(best, 0)[:, None], axis=1)[:, 0]
        return np.asarray(np.where(best >= 0, votes, 0), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Keep the counts."""
        super().save(folder)
        with whole_file(folder / "follows.npy") as aside, aside.open("wb") as stream:
            np.save(stream, self.follows, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the counts; items that came after the fit followed nothing yet."""
        self = super().load(folder, catalog)
        follows = np.load(folder / "follows.npy", allow_pickle=False)
        self.follows = np.pad(follows, (0, len(catalog) - len(follows)), constant_values=UNSEEN)
        self._read(catalog, len(follows))
        return self


class ConsultingToyPolicy(ToyPolicy):
    """The same, which lets delegates vote for items: the higher they list them the more."""

    consults = True

    def consult(self, batch: QueryBatch, observation: Observation, answers: Mapping[str, Ranking]) -> Deliberation:
        """Its own distribution, times one more than what delegates say of each item."""
        own = self._mass(batch, NO_EDITS)
        items = np.arange(own.shape[1])[None] if batch.candidates is None else batch.candidates
        said = np.ones_like(own)
        for ranking in answers.values():
            for place, named in enumerate(ranking.items.T):
                said += np.where((items == named[:, None]) & (items >= 0), VOTE / np.float32(1 + place), np.float32(0))
        mass = own * said
        return self._decide(batch, observation, NO_EDITS, mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-30))

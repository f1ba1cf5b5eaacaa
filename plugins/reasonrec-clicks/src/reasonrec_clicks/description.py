"""Rows of a click task as numbers, from labels that were known before them.

Nothing that a row is described by knows its own label or a later one. Training rows are described block by block
of time: what the labels before a block teach (`ItemStatistics`) describes the rows in it, as the whole training part
describes the rows of validation and test.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from reasonrec_clicks.click_features import ClickRequests, compute_click_features
from reasonrec_clicks.item_content import GrowingContent, ItemContent
from reasonrec_clicks.item_statistics import ItemStatistics
from reasonrec_clicks.labelled_rows import LabelledRows, RaggedRows, check_labels
from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.types import Bool, Cases, Float32, Int64, Observation, Progress, QueryBatch, no_progress

END = np.iinfo(np.int64).max


@dataclass(frozen=True)
class TrainingTable:
    """Training rows, described.

    Attributes:
        table: float32[N, F], NaN where unknown.
        rows: int64[N], which of `ClickDescriber.labels` each is.
        history: of each, the rows of what the user liked before; ``index`` points into `ClickDescriber.labels`.
    """

    table: Float32
    rows: Int64
    history: RaggedRows


class ClickDescriber:
    """What the training part teaches about later rows.

    Args:
        labels: the training rows.
        n_users: users have indices below this.
        content: of the items.
        knowledge: what all labels teach; worked out if None.

    Attributes:
        names: of the columns, after the first description.
    """

    names: list[str]

    def __init__(
        self, labels: LabelledRows, n_users: int, content: GrowingContent, knowledge: ItemStatistics | None = None
    ) -> None:
        self.labels, self._n_users, self._content = labels, n_users, content
        self._knowledge = knowledge or self._learn(labels, content.fitted)
        self._grown: tuple[ItemContent, ItemStatistics] | None = None
        self.names = []

    @classmethod
    def of(cls, data: FitData, dimensions: int, without: Collection[str], where: str) -> Self:
        """Learn from the training part.

        Args:
            data: all there is.
            dimensions: numbers that each modality's vectors are compressed to.
            without: item fields not to look at.
            where: who wants to learn, for messages.

        Raises:
            DataError: there are no labels to learn from.
        """
        check_labels(data.train.values, where)
        content = ItemContent.of(data.catalog, data.observation, dimensions, without)
        return cls(LabelledRows.of(data.train), data.n_users, GrowingContent(content, data.catalog))

    def describe_training(
        self, blocks: int, prequential: bool = False, progress: Progress = no_progress, label: str = "features"
    ) -> TrainingTable:
        """Every training row but those of the first block, which nothing is known before.

        Args:
            blocks: parts of time.
            prequential: a user's own labels are known up to each row, rather than up to its block.
            progress: see `FitData.progress`.
            label: what is done, for progress.
        """
        labels, content = self.labels, self._content.fitted
        liked = labels.earlier_positives()
        edges = _block_edges(labels.times, blocks)
        parts, rows = [], []
        for number, (low, high) in enumerate(zip(edges, [*edges[1:], END], strict=True)):
            inside = np.flatnonzero((labels.times >= low) & (labels.times < high))
            known = self._learn(labels.take(labels.times < low), content)
            history = liked.take(inside)
            cuts = labels.times[inside] if prequential else np.full(len(inside), low)
            own = labels.before(labels.users[inside], cuts)
            items = RaggedRows(history.indptr, labels.items[history.index].astype(np.int64), history.rows)
            asked = ClickRequests(labels.users[inside], labels.items[inside], items, own, labels.times[inside])
            parts.append(self._table(asked, known, labels, content))
            rows.append(inside)
            progress(number + 1, len(edges), label)
        found = np.concatenate(rows)
        return TrainingTable(np.concatenate(parts), found, liked.take(found))

    def describe_batch(self, batch: QueryBatch, observation: Observation) -> tuple[Float32, Bool]:
        """A row per candidate that is one (of the whole catalogue where there are none), and bool[B, C] which are."""
        content, known = self.observe(observation)
        candidates = list_candidates(batch, len(known.item_bias))
        real = candidates >= 0
        asked = self._requests(batch, candidates, real, self.labels, END)
        return self._table(asked, known, self.labels, content), real

    def describe_prequential(self, cases: Cases, observation: Observation, refresh: float) -> tuple[Float32, Int64]:
        """A row per candidate of labelled cases, and its place among all candidates; labels are known to later rows.

        Args:
            cases: labelled queries with times.
            observation: what can be seen of the items.
            refresh: item statistics are learnt anew after so long; a user's own labels are known at once.

        Raises:
            DataError: the rows have no times.
        """
        batch, content = cases.queries, self.observe(observation)[0]
        assert batch.candidates is not None
        assert cases.labels is not None
        if batch.times is None:
            raise DataError("rows without times cannot be sorted", where="prequential")
        real = batch.candidates >= 0
        query = np.nonzero(real)[0]
        new = LabelledRows.sorted(
            batch.users[query], batch.candidates[real], batch.times[query], cases.labels[real].astype(np.float32)
        )
        labels = self.labels.merge(new.take(new.users >= 0))
        periods = ((batch.times - batch.times.min()) // refresh).astype(np.int64)
        table = np.empty((len(query), len(self.names)), dtype=np.float32)
        for period in np.unique(periods):
            rows = np.flatnonzero(periods == period)
            known = self._learn(labels.take(labels.times < batch.times[rows].min()), content)
            some = batch.take(rows)
            assert some.candidates is not None
            asked = self._requests(some, some.candidates, real[rows], labels, None)
            table[np.isin(query, rows)] = self._table(asked, known, labels, content)
        return table, np.flatnonzero(real.ravel())

    def observe(self, observation: Observation) -> tuple[ItemContent, ItemStatistics]:
        """Content and knowledge of all items; of those that came after the fit, what their content says."""
        content = self._content.observe(observation)
        if content is self._content.fitted:
            return content, self._knowledge
        found = self._grown
        if found is None or found[0] is not content:
            found = self._grown = (content, self._knowledge.grow(content.design()))
        return found

    def save(self, folder: Path) -> None:
        """Write statistics, content and labels as arrays."""
        write_json(folder / "features.json", {"names": self.names, "n_users": self._n_users})
        parts: dict[str, dict[str, npt.NDArray[Any]]] = {
            "knowledge": self._knowledge.arrays(),
            "content": self._content.fitted.arrays(),
            "labels": {n: getattr(self.labels, n) for n in ("users", "items", "times", "values")},
        }
        for name, arrays in parts.items():
            write_arrays(folder / f"{name}.npz", arrays)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        stored = read_json(folder / "features.json")
        arrays = {name: read_arrays(folder / f"{name}.npz") for name in ("knowledge", "content", "labels")}
        found = cls(
            LabelledRows(**arrays["labels"]),
            stored["n_users"],
            GrowingContent(ItemContent.from_arrays(arrays["content"]), catalog),
            ItemStatistics.from_arrays(arrays["knowledge"]),
        )
        found.names = stored["names"]
        return found

    def _learn(self, labels: LabelledRows, content: ItemContent) -> ItemStatistics:
        return ItemStatistics.learn(labels, self._n_users, len(content.year), content.design())

    def _requests(
        self, batch: QueryBatch, candidates: Any, real: Bool, labels: LabelledRows, cut: int | None
    ) -> ClickRequests:
        """One request per real candidate; its user's labels before ``cut`` (None: before its own time) are known."""
        query = np.nonzero(real)[0]
        users = batch.users[query]
        history = batch.history
        starts = history.indptr[:-1] - history.indptr[0]
        liked = RaggedRows.between(starts[query], (starts + history.lengths)[query])
        items = RaggedRows(liked.indptr, history.items[liked.index].astype(np.int64), liked.rows)
        times = None if batch.times is None else batch.times[query]
        cuts = np.full(len(query), cut) if cut is not None else times
        assert cuts is not None
        return ClickRequests(users, candidates[real], items, labels.before(users, cuts), times)

    def _table(
        self, asked: ClickRequests, known: ItemStatistics, labels: LabelledRows, content: ItemContent
    ) -> Float32:
        columns = compute_click_features(asked, known, labels, content)
        self.names = list(columns)
        return np.stack([columns[name] for name in self.names], axis=1).astype(np.float32)


def list_candidates(batch: QueryBatch, n_items: int) -> npt.NDArray[np.int32]:
    """int32[B, C]: the batch's candidates, or the whole catalogue for each."""
    if batch.candidates is not None:
        return batch.candidates
    return np.tile(np.arange(n_items, dtype=np.int32), (len(batch), 1))


def _block_edges(times: Int64, blocks: int) -> list[int]:
    """Start times of the blocks after the first; each holds about as many rows."""
    edges = np.unique(np.quantile(times, np.arange(1, blocks) / blocks, method="higher"))
    return [int(edge) for edge in edges if edge > times.min()] or [int(times.max())]

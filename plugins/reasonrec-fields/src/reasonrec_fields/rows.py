"""Requests as arrays of fields: how numbers and ids are read is settled on the training part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from reasonrec_clicks.categories import RowCategories, code_frequent
from reasonrec_clicks.description import ClickDescriber, TrainingTable, list_candidates
from reasonrec_clicks.labelled_rows import RaggedRows

from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import FitData
from reasonrec_core.types import Bool, Float32, Int32, Int64, Observation, QueryBatch
from reasonrec_fields.config import FieldConfig

Arrays = dict[str, Float32 | Int64]


@dataclass(frozen=True)
class FieldReader:
    """Codes of ids and quantiles of numbers. Code 0 is "not known".

    Attributes:
        users: int32[n_users], the code of each user.
        items: int32[n_items].
        quantiles: float32[F, bins], of each number, ascending.
        categories: codes of what is known of users and of the moment.
    """

    users: Int32
    items: Int32
    quantiles: Float32
    categories: RowCategories

    @classmethod
    def of(cls, data: FitData, config: FieldConfig, table: Float32) -> FieldReader:
        """Settle how to read, on the training part; ``table``: float32[N, F], its numbers."""
        users = code_frequent(np.bincount(data.train.users, minlength=data.n_users), config.least)
        items = code_frequent(np.bincount(data.train.items, minlength=len(data.catalog)), config.least)
        shares = np.linspace(0, 1, config.bins)
        columns = [column[np.isfinite(column)] for column in table.T]
        quantiles = [np.quantile(column if len(column) else np.zeros(1), shares) for column in columns]
        numbers = np.array(quantiles, np.float32).reshape(table.shape[1], config.bins)
        return cls(users, items, numbers, RowCategories.of(data, config.least))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> FieldReader:
        """What `arrays` gave."""
        categories = RowCategories(arrays["user_fields"], arrays["context"])
        return cls(arrays["users"], arrays["items"], arrays["quantiles"], categories)

    @property
    def sizes(self) -> Mapping[str, int | list[int]]:
        """How many codes there are: users, items, each user field and context column."""
        users, items = (int(codes.max(initial=0)) + 1 for codes in (self.users, self.items))
        return {"users": users, "items": items, "fields": self.categories.sizes}

    def grow(self, n_items: int) -> FieldReader:
        """For a catalogue that has grown: new items are not known."""
        return replace(self, items=grown(self.items, n_items))

    def read(
        self, users: Int32, items: Int32, history: Int32, numbers: Float32, labels: Float32, context: Int32 | None
    ) -> Arrays:
        """A row per request.

        Args:
            users: int32[N], -1 where unknown.
            items: int32[N].
            history: int32[N, L] items, -1 pads.
            numbers: float32[N, F], NaN where unknown.
            labels: float32[N, G], which labels each item carries.
            context: int32[N, X], as of `QueryBatch`; None where nothing of it is known.
        """
        known = np.where((users >= 0) & (users < len(self.users)), users, 0)
        unknown = known != users
        place, between = self._place(numbers)
        return {
            "user": np.where(unknown, 0, self.users[known]).astype(np.int64),
            "item": self.items[items].astype(np.int64),
            "fields": self.categories.read(users, context),
            "history": np.where(history >= 0, self.items[np.maximum(history, 0)], -1).astype(np.int64),
            "place": place,
            "between": between,
            "labels": np.asarray(labels, np.float32),
        }

    def _place(self, numbers: Float32) -> tuple[Int64, Float32]:
        """Of each number the quantile below (``bins`` where it is unknown), and how far it is to the next."""
        bins = self.quantiles.shape[1]
        place, between = np.full(numbers.shape, bins, np.int64), np.zeros(numbers.shape, np.float32)
        for f, edges in enumerate(self.quantiles):
            known = np.isfinite(numbers[:, f])
            values = numbers[known, f]
            low = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 2)
            width = edges[low + 1] - edges[low]
            share = np.divide(values - edges[low], width, out=np.zeros(len(values), np.float32), where=width > 0)
            place[known, f], between[known, f] = low, np.clip(share, 0, 1)
        return place, between

    def arrays(self) -> dict[str, Int32 | Float32]:
        """For saving."""
        return {"users": self.users, "items": self.items, "quantiles": self.quantiles, **self.categories.arrays()}


def read_training(
    reader: FieldReader,
    rows: ClickDescriber,
    found: TrainingTable,
    config: FieldConfig,
    labels: Float32,
    context: Int32 | None,
) -> Arrays:
    """The training rows, with their ``label``; ``labels``: float32[n_items, G]; ``context``: of all rows there are."""
    items, at = rows.labels.items, found.rows
    history = pad_newest(found.history, items, config.max_history)
    moment = None if context is None else context[at]
    arrays = reader.read(rows.labels.users[at], items[at], history, found.table, labels[items[at]], moment)
    return arrays | {"label": rows.labels.values[at].astype(np.float32)}


def read_batch(
    reader: FieldReader, rows: ClickDescriber, batch: QueryBatch, observation: Observation, config: FieldConfig
) -> tuple[Arrays, Bool]:
    """A row per candidate that is one, and bool[B, C] which are."""
    table, real = rows.describe_batch(batch, observation)
    content, _ = rows.observe(observation)
    candidates = list_candidates(batch, len(content.labels))
    query = np.nonzero(real)[0]
    past = batch.history
    starts = past.indptr[:-1] - past.indptr[0]
    histories = pad_newest(RaggedRows.between(starts, starts + past.lengths), past.items, config.max_history)
    chosen = candidates[real]
    moment = None if batch.context is None else batch.context[query]
    return reader.read(batch.users[query], chosen, histories[query], table, content.labels[chosen], moment), real


def pad_newest(rows: RaggedRows, items: Int32, most: int) -> Int32:
    """int32[N, L]: of each row the ``most`` newest items, -1 pads."""
    ages = rows.ages
    kept = ages < most
    matrix = np.full((len(rows), max(1, int(np.minimum(rows.lengths, most).max(initial=1)))), -1, np.int32)
    matrix[rows.rows[kept], ages[kept]] = items[rows.index[kept]]
    return matrix

"""Delegate `lightgbm-ctr`: the probability of a click, from labels that were known before it.

Nothing that a row is described by knows its own label or a later one. Training rows are described block by block
of time: what the labels before a block teach (`ItemStatistics`) describes the rows in it, as the whole training part
describes the rows of validation and test.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import lightgbm
import numpy as np
import numpy.typing as npt
from pydantic import Field

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError, PluginError
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.types import Bool, Cases, Float32, Int64, Observation, QueryBatch, Task
from reasonrec_lightgbm.boosting import (
    BoostingConfig,
    FeatureTable,
    load_models,
    predict_mean,
    save_models,
    train_models,
)
from reasonrec_lightgbm.click_features import ClickRequests, compute_click_features
from reasonrec_lightgbm.evidence import EvidentialObjective, click_loss, compute_probability, predict_evidence
from reasonrec_lightgbm.item_content import WITHOUT, WITHOUT_HELP, GrowingContent, ItemContent
from reasonrec_lightgbm.item_statistics import ItemStatistics
from reasonrec_lightgbm.labelled_rows import LabelledRows, RaggedRows, check_labels

TASK = {"objective": "binary", "metric": ["auc", "binary_logloss"]}
END = np.iinfo(np.int64).max


class CTRConfig(BoostingConfig):
    """Settings of `LightGBMCTR`."""

    blocks: int = Field(default=12, ge=2, le=1000, description="Blocks of time that training rows are described in.")
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="Shrinkage of each tree.")
    extra_trees: bool = Field(default=True, description="Try one random threshold per feature: less overfitting.")
    dimensions: int = Field(default=16, ge=1, description="Each modality's vectors are compressed to so many numbers.")
    without: tuple[str, ...] = Field(default=WITHOUT, description=WITHOUT_HELP)
    prequential: bool = Field(
        default=False,
        description="Train for labels that become known at once, row by row, and answer so with score_prequential.",
    )
    refresh: float = Field(
        default=7 * 86_400.0, gt=0, description="Prequential: relearn item statistics after so long (the log's unit)."
    )
    evidence: str = Field(
        default="",
        description="An installed evidential loss (dirichlet-mse of reasonrec-evidential): each row gets a Beta"
        " distribution, and `evidence` says how much is known. Empty: log loss.",
    )
    divergence: float = Field(default=0.01, ge=0, description="Evidence: weight of the divergence from none.")


class LightGBMCTR(Delegate[CTRConfig]):
    """Boosted trees over counts, shrunken means, collaborative and content similarities.

    Serves unknown users through their history (items they clicked before, oldest first). Learns from
    ``data.train`` alone; ``data.valid`` stops the trees.
    """

    Config = CTRConfig
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.CTR})
    names: list[str]
    _models: list[lightgbm.Booster]
    _labels: LabelledRows
    _knowledge: ItemStatistics
    _content: GrowingContent
    _grown: tuple[ItemContent, ItemStatistics] | None = None
    _n_users: int

    def fit(self, data: FitData) -> None:
        """Describe the training rows, train, keep what describes later rows."""
        self._fit(data, ())

    def refit(self, data: FitData) -> Self:
        """The same with the rows of ``data.train``, with as many trees as validation chose."""
        again = type(self)(self.config)
        again._fit(data, self._models)
        return again

    def _fit(self, data: FitData, chosen: Sequence[lightgbm.Booster]) -> None:
        check_labels(data.train.values, "lightgbm-ctr")
        self._n_users = data.n_users
        self._labels = LabelledRows.of(data.train)
        content = ItemContent.of(data.catalog, data.observation, self.config.dimensions, self.config.without)
        self._content, self._grown = GrowingContent(content, data.catalog), None
        task, figure = TASK, None
        if self.config.evidence:
            task = EvidentialObjective(self.config.evidence, self.config.divergence, self.config.rounds).task
            figure = click_loss
        table, values = self._training_table(data, content)
        self._knowledge = self._learn(self._labels, content)
        learn = lightgbm.Dataset(table, values, feature_name=self.names, free_raw_data=False)
        check = None
        if data.valid is not None and data.valid.labels is not None and len(np.unique(data.valid.labels)) > 1:
            described, rows = self._describe_cases(data.valid, data.observation)
            check = lightgbm.Dataset(described, data.valid.labels.ravel()[rows], reference=learn)
        self._models = train_models(
            self.config,
            task,
            learn,
            check,
            seed=data.seed,
            progress=lambda done, total: data.progress(done, total, "lightgbm-ctr: trees"),
            figure=figure,
            chosen=chosen,
        )

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, C]: click probabilities of the candidates; of the whole catalogue where there are none."""
        table, real = self._describe_batch(batch, observation)
        out = np.zeros(real.shape, dtype=np.float32)
        out[real] = self._clicks(table)
        return out

    def evidence(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, C, 2]: evidence for a click and against it, 0 for padding; a Beta's parameters less 1.

        Raises:
            PluginError: it was not trained with ``evidence``.
        """
        if not self.config.evidence:
            raise PluginError("lightgbm-ctr was not trained to say how much evidence it has", fix="Set `evidence`.")
        table, real = self._describe_batch(batch, observation)
        out = np.zeros((*real.shape, 2), dtype=np.float32)
        out[real] = predict_evidence(self._models, table)
        return out

    def _describe_batch(self, batch: QueryBatch, observation: Observation) -> tuple[FeatureTable, Bool]:
        """A row of features per candidate that is one, and bool[B, C] which those are."""
        candidates, (content, known) = batch.candidates, self._observe(observation)
        if candidates is None:
            everything = np.arange(len(known.item_bias), dtype=np.int32)
            candidates = np.tile(everything, (len(batch), 1))
        real = candidates >= 0
        asked = self._requests(batch, candidates, real, self._labels, END)
        return self._table(asked, known, self._labels, content), real

    def _clicks(self, table: FeatureTable) -> Float32:
        if self.config.evidence:
            return compute_probability(predict_evidence(self._models, table)).astype(np.float32)
        return _apply_sigmoid(predict_mean(self._models, table))

    def score_prequential(self, cases: Cases, observation: Observation) -> Float32:
        """float32[B, C]: like `score`, but every label of ``cases`` is known to all strictly later rows.

        A protocol of its own, easier than that of `score`: report its metrics as prequential.
        """
        if not self.config.prequential:
            raise DataError("not trained for labels that become known", where="lightgbm-ctr", fix="Set prequential.")
        assert cases.queries.candidates is not None
        table, rows = self._describe_cases(cases, observation)
        out = np.zeros(cases.queries.candidates.size, dtype=np.float32)
        out[rows] = self._clicks(table)
        return out.reshape(cases.queries.candidates.shape)

    def save(self, folder: Path) -> None:
        """Write the trees as text, the statistics and labels as arrays."""
        super().save(folder)
        save_models(folder, self._models)
        write_json(folder / "features.json", {"names": self.names, "n_users": self._n_users})
        parts: dict[str, dict[str, npt.NDArray[Any]]] = {
            "knowledge": self._knowledge.arrays(),
            "content": self._content.fitted.arrays(),
            "labels": {n: getattr(self._labels, n) for n in ("users", "items", "times", "values")},
        }
        for name, arrays in parts.items():
            write_arrays(folder / f"{name}.npz", arrays)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        self = super().load(folder, catalog)
        self._models = load_models(folder)
        stored = read_json(folder / "features.json")
        self.names, self._n_users = stored["names"], stored["n_users"]
        arrays = {name: read_arrays(folder / f"{name}.npz") for name in ("knowledge", "content", "labels")}
        self._knowledge = ItemStatistics.from_arrays(arrays["knowledge"])
        self._content = GrowingContent(ItemContent.from_arrays(arrays["content"]), catalog)
        self._labels = LabelledRows(**arrays["labels"])
        return self

    def _observe(self, observation: Observation) -> tuple[ItemContent, ItemStatistics]:
        """Content and knowledge of all items; of those that came after the fit, what their content says."""
        content = self._content.observe(observation)
        if content is self._content.fitted:
            return content, self._knowledge
        found = self._grown
        if found is None or found[0] is not content:
            found = self._grown = (content, self._knowledge.grow(content.design()))
        return found

    def _learn(self, labels: LabelledRows, content: ItemContent) -> ItemStatistics:
        return ItemStatistics.learn(labels, self._n_users, len(content.year), content.design())

    def _training_table(self, data: FitData, content: ItemContent) -> tuple[FeatureTable, Float32]:
        """Features and labels of every training row but those of the first block, which nothing is known before."""
        labels = self._labels
        liked = labels.earlier_positives()
        edges = _block_edges(labels.times, self.config.blocks)
        parts, values = [], []
        for number, (low, high) in enumerate(zip(edges, [*edges[1:], END], strict=True)):
            inside = np.flatnonzero((labels.times >= low) & (labels.times < high))
            known = self._learn(labels.take(labels.times < low), content)
            history = liked.take(inside)
            cuts = labels.times[inside] if self.config.prequential else np.full(len(inside), low)
            own = labels.before(labels.users[inside], cuts)
            items = RaggedRows(history.indptr, labels.items[history.index].astype(np.int64), history.rows)
            asked = ClickRequests(labels.users[inside], labels.items[inside], items, own, labels.times[inside])
            parts.append(self._table(asked, known, labels, content))
            values.append(labels.values[inside])
            data.progress(number + 1, len(edges), "lightgbm-ctr: features")
        return np.concatenate(parts), np.concatenate(values)

    def _describe_cases(self, cases: Cases, observation: Observation) -> tuple[FeatureTable, Int64]:
        """Features of the real candidates of labelled cases, and their positions in the flattened array."""
        batch, (content, known) = cases.queries, self._observe(observation)
        assert batch.candidates is not None
        assert cases.labels is not None
        real = batch.candidates >= 0
        rows = np.flatnonzero(real.ravel())
        if not self.config.prequential:
            asked = self._requests(batch, batch.candidates, real, self._labels, END)
            return self._table(asked, known, self._labels, content), rows
        if batch.times is None:
            raise DataError("rows without times cannot be put in order", where="lightgbm-ctr: prequential")
        query = np.nonzero(real)[0]
        new = LabelledRows.sorted(
            batch.users[query], batch.candidates[real], batch.times[query], cases.labels[real].astype(np.float32)
        )
        labels = self._labels.merge(new.take(new.users >= 0))
        return self._prequential_table(batch, labels, query, real, content), rows

    def _prequential_table(
        self,
        batch: QueryBatch,
        labels: LabelledRows,
        query: npt.NDArray[np.intp],
        real: npt.NDArray[np.bool_],
        content: ItemContent,
    ) -> FeatureTable:
        """Item statistics are relearnt every ``refresh``; the user's own labels are known at once."""
        assert batch.candidates is not None
        assert batch.times is not None
        periods = ((batch.times - batch.times.min()) // self.config.refresh).astype(np.int64)
        table = np.empty((len(query), len(self.names)), dtype=np.float32)
        for period in np.unique(periods):
            rows = np.flatnonzero(periods == period)
            known = self._learn(labels.take(labels.times < batch.times[rows].min()), content)
            some = batch.take(rows)
            assert some.candidates is not None
            asked = self._requests(some, some.candidates, real[rows], labels, None)
            table[np.isin(query, rows)] = self._table(asked, known, labels, content)
        return table

    def _requests(
        self, batch: QueryBatch, candidates: Any, real: npt.NDArray[np.bool_], labels: LabelledRows, cut: int | None
    ) -> ClickRequests:
        """One request per real candidate; its user's labels before ``cut`` (None: before its own time) are known."""
        query = np.nonzero(real)[0]
        users = batch.users[query]
        history = batch.history
        starts = history.indptr[:-1] - history.indptr[0]
        lengths = history.lengths
        liked = RaggedRows.between(starts[query], (starts + lengths)[query])
        items = RaggedRows(liked.indptr, history.items[liked.index].astype(np.int64), liked.rows)
        times = None if batch.times is None else batch.times[query]
        cuts = np.full(len(query), cut) if cut is not None else times
        assert cuts is not None
        return ClickRequests(users, candidates[real], items, labels.before(users, cuts), times)

    def _table(
        self, asked: ClickRequests, known: ItemStatistics, labels: LabelledRows, content: ItemContent
    ) -> FeatureTable:
        columns = compute_click_features(asked, known, labels, content)
        self.names = list(columns)
        return np.stack([columns[name] for name in self.names], axis=1).astype(np.float32)


def _apply_sigmoid(raw: Float32) -> Float32:
    return (1.0 / (1.0 + np.exp(-raw.astype(np.float64)))).astype(np.float32)


def _block_edges(times: Int64, blocks: int) -> list[int]:
    """Start times of the blocks after the first; each holds about as many rows."""
    edges = np.unique(np.quantile(times, np.arange(1, blocks) / blocks, method="higher"))
    return [int(edge) for edge in edges if edge > times.min()] or [int(times.max())]

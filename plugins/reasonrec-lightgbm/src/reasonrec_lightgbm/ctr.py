"""Delegate `lightgbm-ctr`: the probability of a click, from labels that were known before it (`reasonrec_clicks`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import lightgbm
import numpy as np
from pydantic import Field
from reasonrec_clicks.categories import RowCategories
from reasonrec_clicks.description import ClickDescriber
from reasonrec_clicks.evidence import compute_probability
from reasonrec_clicks.item_content import WITHOUT, WITHOUT_HELP

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError, PluginError
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Bool, Cases, Float32, Int32, Int64, Observation, QueryBatch, Task
from reasonrec_lightgbm.boosting import (
    BoostingConfig,
    FeatureTable,
    load_models,
    predict_mean,
    save_models,
    train_models,
)
from reasonrec_lightgbm.evidence import EvidentialObjective, click_loss, predict_evidence

CATEGORIES = "categories.npz"
TASK = {"objective": "binary", "metric": ["auc", "binary_logloss"]}


class CTRConfig(BoostingConfig):
    """Settings of `LightGBMCTR`."""

    blocks: int = Field(
        default=12,
        ge=2,
        le=1000,
        description="Number of time blocks; a training row is described by the blocks before it.",
    )
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="Learning rate (shrinkage of each tree).")
    extra_trees: bool = Field(
        default=True, description="Try only one random threshold per feature, against overfitting."
    )
    dimensions: int = Field(default=16, ge=1, description="To how many numbers each modality's vectors are compressed.")
    without: tuple[str, ...] = Field(default=WITHOUT, description=WITHOUT_HELP)
    prequential: bool = Field(
        default=False,
        description="Train for labels that become known immediately, row by row; answer with score_prequential.",
    )
    refresh: float = Field(
        default=7 * 86_400.0,
        gt=0,
        description="Prequential: how often item statistics are learned again (in the log's unit of time).",
    )
    evidence: str = Field(
        default="",
        description="An installed evidential loss (dirichlet-mse of reasonrec-evidential): each row gets a "
        "Beta distribution, and `evidence` tells how much is known. Empty: log loss.",
    )
    divergence: float = Field(
        default=0.01, ge=0, description="With evidence: weight of the divergence from no evidence."
    )


class LightGBMCTR(Delegate[CTRConfig]):
    """Boosted trees over counts, shrunken means, similarities by log and content, fields of users, and context.

    Serves unknown users through their history (items they clicked before, oldest first). Learns from
    ``data.train`` alone; ``data.valid`` stops the trees.
    """

    Config = CTRConfig
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.CTR})
    _models: list[lightgbm.Booster]
    _rows: ClickDescriber
    _categories: RowCategories

    @property
    def names(self) -> list[str]:
        """What a row is described by: numbers, then categories."""
        return [*self._rows.names, *(f"category_{number}" for number in range(len(self._categories.sizes)))]

    def fit(self, data: FitData) -> None:
        """Describe the training rows, train, keep what describes later rows."""
        self._fit(data, ())

    def refit(self, data: FitData) -> Self:
        """The same with the rows of ``data.train``, with as many trees as validation chose."""
        again = type(self)(self.config)
        again._fit(data, self._models)
        return again

    def _fit(self, data: FitData, chosen: Sequence[lightgbm.Booster]) -> None:
        config = self.config
        self._rows = ClickDescriber.of(data, config.dimensions, config.without, "lightgbm-ctr")
        self._categories = RowCategories.of(data, least=1)  # LightGBM itself puts rare ones together
        task, figure = TASK, None
        if config.evidence:
            task = EvidentialObjective(config.evidence, config.divergence, config.rounds).task
            figure = click_loss
        found = self._rows.describe_training(config.blocks, config.prequential, data.progress, "lightgbm-ctr: features")
        values = self._rows.labels.values[found.rows]
        moment = None if data.train.context is None else data.train.context[found.rows]
        table = self._add_categories(found.table, self._rows.labels.users[found.rows], moment)
        categorical = list(range(found.table.shape[1], table.shape[1]))
        learn = lightgbm.Dataset(
            table, values, feature_name=self.names, categorical_feature=categorical, free_raw_data=False
        )
        check = None
        if data.valid is not None and data.valid.labels is not None and len(np.unique(data.valid.labels)) > 1:
            described, rows = self._describe_cases(data.valid, data.observation)
            check = lightgbm.Dataset(described, data.valid.labels.ravel()[rows], reference=learn)
        self._models = train_models(
            config,
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
            raise PluginError("lightgbm-ctr was not trained to state its evidence", fix="Set `evidence`.")
        table, real = self._describe_batch(batch, observation)
        out = np.zeros((*real.shape, 2), dtype=np.float32)
        out[real] = predict_evidence(self._models, table)
        return out

    def _describe_cases(self, cases: Cases, observation: Observation) -> tuple[FeatureTable, Int64]:
        if not self.config.prequential:
            table, real = self._describe_batch(cases.queries, observation)
            return table, np.flatnonzero(real.ravel())
        table, rows = self._rows.describe_prequential(cases, observation, self.config.refresh)
        assert cases.queries.candidates is not None
        return self._categorise(table, cases.queries, rows // cases.queries.candidates.shape[1]), rows

    def _describe_batch(self, batch: QueryBatch, observation: Observation) -> tuple[FeatureTable, Bool]:
        """A row per candidate that is one, and bool[B, C] which are."""
        table, real = self._rows.describe_batch(batch, observation)
        return self._categorise(table, batch, np.nonzero(real)[0]), real

    def _categorise(self, table: FeatureTable, batch: QueryBatch, query: Int64) -> FeatureTable:
        """The same with the categories of int64[N] the query that each row belongs to."""
        moment = None if batch.context is None else batch.context[query]
        return self._add_categories(table, batch.users[query], moment)

    def _add_categories(self, table: FeatureTable, users: Int32, context: Int32 | None) -> FeatureTable:
        codes = self._categories.read(users, context)
        if not codes.shape[1]:
            return table
        return np.hstack([table, np.where(codes > 0, codes, np.nan).astype(np.float32)])

    def _clicks(self, table: FeatureTable) -> Float32:
        if self.config.evidence:
            return compute_probability(predict_evidence(self._models, table)).astype(np.float32)
        return _apply_sigmoid(predict_mean(self._models, table))

    def score_prequential(self, cases: Cases, observation: Observation) -> Float32:
        """float32[B, C]: like `score`, but every label of ``cases`` is known to all strictly later rows.

        A protocol of its own, easier than that of `score`: report its metrics as prequential.
        """
        if not self.config.prequential:
            raise DataError(
                "lightgbm-ctr was not trained for labels that become known",
                where="lightgbm-ctr",
                fix="Set prequential.",
            )
        assert cases.queries.candidates is not None
        table, rows = self._describe_cases(cases, observation)
        out = np.zeros(cases.queries.candidates.size, dtype=np.float32)
        out[rows] = self._clicks(table)
        return out.reshape(cases.queries.candidates.shape)

    def save(self, folder: Path) -> None:
        """Write the trees as text, the statistics and labels as arrays."""
        super().save(folder)
        save_models(folder, self._models)
        self._rows.save(folder)
        write_arrays(folder / CATEGORIES, self._categories.arrays())

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        self = super().load(folder, catalog)
        self._categories = RowCategories(**read_arrays(folder / CATEGORIES))
        self._models, self._rows = load_models(folder), ClickDescriber.load(folder, catalog)
        return self


def _apply_sigmoid(raw: Float32) -> Float32:
    return (1.0 / (1.0 + np.exp(-raw.astype(np.float64)))).astype(np.float32)

"""Delegate `lightgbm-rank`: LambdaRank over the candidates of other delegates (Burges, "From RankNet to LambdaRank
to LambdaMART", 2010).

Cross-fitted: the ranker learns on each user's last training items, from delegates that were fitted without them;
it answers with delegates fitted on the whole training part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import lightgbm
import numpy as np
import numpy.typing as npt
from pydantic import Field
from reasonrec_clicks.item_content import WITHOUT, WITHOUT_HELP, GrowingContent, ItemContent

from reasonrec_core.components import Delegate, FitData, Kind
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, Float32, Observation, QueryBatch, Task
from reasonrec_lightgbm.boosting import BoostingConfig, load_models, predict_mean, save_models, train_models
from reasonrec_lightgbm.candidates import (
    DescribedCandidates,
    ItemHistory,
    add_negatives,
    compute_horizon,
    describe_candidates,
    feature_names,
    hold_out,
)

TASK = {"objective": "lambdarank", "metric": "ndcg", "eval_at": [10], "lambdarank_truncation_level": 20}
CHUNK = 256
WIDTH = 100
MOST_HELD_OUT = 5


class RankConfig(BoostingConfig):
    """Settings of `LightGBMRank`."""

    candidates: tuple[str, ...] = Field(
        default=("transitions",), min_length=1, description="Delegates whose best items are ranked again."
    )
    depth: int = Field(default=100, ge=1, description="How many items each of them proposes.")
    held_out: int | None = Field(
        default=None,
        ge=1,
        description="How many of each user's last training items the ranker learns from; empty: as many as "
        "``queries`` needs, at most five.",
    )
    queries: int = Field(
        default=8000, ge=1, description="Most held-out items to learn from, and most validation requests."
    )
    list_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of the held-out items that are also learned among random candidates, so that "
        "given lists can be ranked too.",
    )
    dimensions: int = Field(default=64, ge=1, description="To how many numbers each modality's vectors are compressed.")
    without: tuple[str, ...] = Field(default=WITHOUT, description=WITHOUT_HELP)
    bags: int = Field(
        default=1, ge=1, le=100, description="Number of models with different seeds whose answers are averaged."
    )
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="Learning rate (shrinkage of each tree).")
    patience: int = Field(
        default=50, ge=1, description="Training stops after this many trees without improvement on validation."
    )


class LightGBMRank(Delegate[RankConfig]):
    """A ranker over candidates: scores and ranks that delegates give them, popularity, age, content, horizon.

    Items that nobody proposes follow in the first delegate's order. Items that came after the fit are described by
    their content, and stand where the delegates' opinions of them and the trees put them.
    """

    Config = RankConfig
    delegates: dict[str, Delegate[Any]]
    _models: list[lightgbm.Booster]
    _items: ItemHistory
    _content: GrowingContent

    def fit(self, data: FitData) -> None:
        """Fit delegates without the held-out items, learn to rank on these, fit the delegates on everything."""
        self._learn(data, None)

    def refit(self, data: FitData) -> Self:
        """The same in ``data.train``, with as many trees as validation chose, from delegates with their choices."""
        again = type(self)(self.config)
        again._learn(data, self)
        return again

    def _learn(self, data: FitData, chosen: LightGBMRank | None) -> None:
        make = self._maker(data)

        def fitted(name: str, some: FitData) -> Delegate[Any]:
            if chosen is not None:
                return chosen.delegates[name].refit(some)
            made: Delegate[Any] = make(name)
            made.fit(some)
            return made

        last = self.config.held_out or min(MOST_HELD_OUT, -(-self.config.queries // max(data.n_users, 1)))
        rest, cases = hold_out(data, last, self.config.queries)
        content = ItemContent.of(data.catalog, data.observation, self.config.dimensions, self.config.without)
        self._content = GrowingContent(content, data.catalog)
        n_items = len(data.catalog)
        inner = {name: fitted(name, replace(data, train=rest, workdir=None)) for name in self.config.candidates}
        lists = self._add_lists(cases, n_items, data)
        learn = self._dataset(inner, lists, ItemHistory.of(rest, n_items), data, None)
        if learn is None:
            raise DataError(
                f"{', '.join(self.config.candidates)} proposed none of the held-out items",
                where="lightgbm-rank",
                fix="Raise depth, or name other delegates under candidates.",
            )
        self._items = ItemHistory.of(data.train, n_items)
        self.delegates = {name: fitted(name, replace(data, workdir=None)) for name in self.config.candidates}
        check = None
        if data.valid is not None and data.valid.labels is None and len(data.valid.targets):
            valid = data.valid.sample(self.config.queries, data.seed + 1)
            check = self._dataset(self.delegates, [valid], self._items, data, learn)
        self._models = train_models(
            self.config,
            TASK,
            learn,
            check,
            seed=data.seed,
            progress=lambda done, total: data.progress(done, total, "lightgbm-rank: trees"),
            chosen=chosen._models if chosen else (),
        )

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: the ranker's score; below it, the first delegate's order."""
        found = self._describe(self.delegates, batch, observation, self._items)
        raw = predict_mean(self._models, found.table)
        scores = _squash(found.rest)
        if len(raw):
            least = np.full(len(batch), np.inf, dtype=np.float32)
            np.minimum.at(least, found.rows, raw)
            scores += np.where(np.isfinite(least), least - 3, 0)[:, None].astype(np.float32)
        scores[found.rows, found.items] = raw
        if batch.candidates is None:
            return scores
        picked = np.take_along_axis(scores, np.maximum(batch.candidates, 0), axis=1)
        return np.where(batch.candidates < 0, np.float32(-np.inf), picked)

    def importance(self) -> dict[str, float]:
        """Mean gain of each feature over the models."""
        gains = np.mean([m.feature_importance("gain") for m in self._models], axis=0)
        return dict(zip(feature_names(self.config.candidates, self._content.fitted), map(float, gains), strict=True))

    def save(self, folder: Path) -> None:
        """Write the trees as text, item statistics as arrays, each inner delegate into a folder of its own."""
        super().save(folder)
        save_models(folder, self._models)
        registry = Registry.discover()
        names = [[label, registry.find_name(delegate)] for label, delegate in self.delegates.items()]
        write_json(folder / "delegates.json", names)
        for number, delegate in enumerate(self.delegates.values()):
            inner = folder / f"delegate-{number}"
            inner.mkdir()
            delegate.save(inner)
        arrays = {n: getattr(self._items, n) for n in ("count", "first", "last")}
        for name, part in (("items", arrays), ("content", self._content.fitted.arrays())):
            write_arrays(folder / f"{name}.npz", part)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote; the inner delegates' classes are found by name."""
        self = super().load(folder, catalog)
        self._models = load_models(folder)
        registry = Registry.discover()
        self.delegates = {}
        for number, each in enumerate(read_json(folder / "delegates.json")):
            label, name = (each, each) if isinstance(each, str) else each  # earlier versions took labels for names
            loaded = registry.load(Kind.DELEGATE, name).load(folder / f"delegate-{number}", catalog)
            assert isinstance(loaded, Delegate)
            self.delegates[label] = loaded
        self._items = ItemHistory(**read_arrays(folder / "items.npz")).grow(len(catalog))
        self._content = GrowingContent(ItemContent.from_arrays(read_arrays(folder / "content.npz")), catalog)
        return self

    def _maker(self, data: FitData) -> Any:
        names = self.config.candidates
        if len(set(names)) < len(names) or "lightgbm-rank" in names:
            raise ConfigError(
                f"candidates contains a delegate twice, or itself: {', '.join(names)}", where="lightgbm-rank.candidates"
            )
        if data.delegate is None:
            raise DataError("the pipeline has no delegates that could propose candidates", where="lightgbm-rank")
        return data.delegate

    def _describe(
        self, delegates: Mapping[str, Delegate[Any]], batch: QueryBatch, observation: Observation, items: ItemHistory
    ) -> DescribedCandidates:
        return describe_candidates(
            delegates, batch, observation, items, self._content.observe(observation), self.config.depth
        )

    def _add_lists(self, cases: Cases, n_items: int, data: FitData) -> list[Cases]:
        """The held-out cases as they will be asked; for the whole catalogue, some of them with given lists too."""
        if data.task is Task.DIRECT:
            return [add_negatives(cases, n_items, _width(data.valid), data.seed)]
        some = cases.sample(int(self.config.list_share * len(cases)), data.seed + 2)
        return [cases, add_negatives(some, n_items, min(WIDTH, n_items), data.seed)] if len(some) else [cases]

    def _dataset(
        self,
        delegates: Mapping[str, Delegate[Any]],
        parts: Sequence[Cases],
        items: ItemHistory,
        data: FitData,
        reference: lightgbm.Dataset | None,
    ) -> lightgbm.Dataset | None:
        """Groups of candidates with at least one target among them; None if there are none."""
        found = [self._groups(delegates, cases, items, data) for cases in parts]
        table, label, group = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        if not len(group):
            return None
        names = [n.replace(" ", "_") for n in feature_names(self.config.candidates, self._content.fitted)]
        return lightgbm.Dataset(table, label, group=group, feature_name=names, reference=reference)

    def _groups(
        self, delegates: Mapping[str, Delegate[Any]], cases: Cases, items: ItemHistory, data: FitData
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """Features, labels and group sizes of the queries with a target among their candidates."""
        tables, labels, groups = [], [], []
        n_items = len(items.count)
        for start, batch in cases.queries.chunks(CHUNK):
            observation = replace(data.observation, horizon=compute_horizon(data, batch))
            found = self._describe(delegates, batch, observation, items)
            bounds = cases.target_indptr[start : start + len(batch) + 1]
            rows = np.repeat(np.arange(len(batch)), np.diff(bounds))
            wanted = rows * n_items + cases.targets[bounds[0] : bounds[-1]]
            label = np.isin(found.rows * n_items + found.items, wanted)
            kept = np.bincount(found.rows, weights=label, minlength=len(batch)) > 0
            inside = kept[found.rows]
            tables.append(found.table[inside])
            labels.append(label[inside])
            groups.append(np.bincount(found.rows, minlength=len(batch))[kept])
            data.progress(start + len(batch), len(cases), "lightgbm-rank: candidates")
        return np.concatenate(tables), np.concatenate(labels), np.concatenate(groups)


def _squash(scores: Float32) -> Float32:
    """Any scores into (-1, 1), order kept; -inf stays."""
    finite = np.isfinite(scores)
    safe = np.where(finite, scores, 0)
    return np.where(finite, safe / (1 + np.abs(safe)), np.float32(-np.inf)).astype(np.float32)


def _width(valid: Cases | None) -> int:
    """How many candidates a direct query has."""
    return WIDTH if valid is None or valid.queries.candidates is None else valid.queries.candidates.shape[1]

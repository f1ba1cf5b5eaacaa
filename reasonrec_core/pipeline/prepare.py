"""The first half of a run: data, split, item features, evidence horizon."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import Encoder, FitData, Kind
from reasonrec_core.config import PipelineConfig, load_config
from reasonrec_core.data import draw_click_split, draw_direct_split, make_split, open_or_import, open_split, save_split
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.reviews import find_visible_reviews, make_review_cases
from reasonrec_core.data.split import Split
from reasonrec_core.data.storage import CONTEXT
from reasonrec_core.errors import ConfigError
from reasonrec_core.io import cache_folder, content_hash, hash_folder
from reasonrec_core.observe import ObservedItems, observe_items
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.pipeline.component_key import component_key, hash_source
from reasonrec_core.pipeline.run_folder import LOG, RunFolder
from reasonrec_core.pipeline.stage_stamp import STAMP
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, Int64, Observation, Progress, Task


@dataclass(frozen=True)
class Prepared:
    """What every component of a run is fitted on and asked about.

    Attributes:
        dataset: the data.
        split: its division.
        splits: the same division as each task asks it (direct and drawn clicks: with candidates, drawn once and kept).
        items: item features.
        horizon: fitted on the training histories.
        data: identity of the stage that holds the data.
        encoders: the encoders that made the features, by the pipeline's names.
        key: hash of data, split and features.
    """

    config: PipelineConfig
    registry: Registry
    run: RunFolder
    dataset: Dataset
    split: Split
    splits: Mapping[Task, Split]
    items: ObservedItems
    horizon: EvidenceHorizonScale
    encoders: Mapping[str, Encoder[Any]]
    key: str
    progress: Progress
    data: str = ""

    @property
    def item_counts(self) -> Int64:
        """int64[n_items]: training interactions per item."""
        return np.bincount(self.split.train.items, minlength=self.dataset.n_items).astype(np.int64)

    def cases(self, task: Task, part: str) -> Cases:
        """Validation or test cases as the task asks them; ``part`` is "valid" or "test"."""
        if task is Task.EXPLAIN:
            asked = make_review_cases(self.dataset, self.split, part).queries
            assert asked.candidates is not None
            return Cases(asked, np.arange(len(asked) + 1, dtype=np.int64), asked.candidates[:, 0])
        cases: Cases = getattr(self.splits[task], part)
        return cases

    def observation(self, cases: Cases | None) -> Observation:
        """Item features, and the horizon of the cases' queries."""
        horizon = self.horizon(cases.queries) if cases is not None else np.empty(0, np.float32)
        return Observation(self.items.features, self.items.present, horizon)

    def fit_data(self, work: str, **more: Any) -> FitData:
        """What a component may learn from. ``work`` names its folder for checkpoints."""
        valid = self.split.valid if len(self.split.valid) else None
        return FitData(
            catalog=self.dataset.catalog,
            n_users=self.dataset.n_users,
            train=self.split.train,
            valid=valid,
            observation=self.observation(valid),
            task=self.config.fitted_for,
            seed=self.config.seed,
            horizon=self.horizon,
            progress=self.progress,
            workdir=self.run.work(work),
            cache=cache_folder() / "features",
            user_fields=self.dataset.user_fields,
            context=self.dataset.context,
            reviews=partial(find_visible_reviews, self.dataset, self.split) if self.dataset.has_reviews else None,
            **more,
        )


def prepare(
    config: PipelineConfig, registry: Registry, run: RunFolder, progress: Progress, source: Dataset | None = None
) -> Prepared:
    """Open or import the data, split it, and make the item features (each once, cached by content).

    ``source`` is taken for the data that the settings name. What cannot work fails before the run is touched.
    """
    source = open_source(config, registry, run) if source is None else source
    encoders = make_encoders(config, registry)
    split = make_split(source, config.split, registry)
    if config.fitted_for is Task.CTR and split.test.labels is None:
        fix = 'Give train, valid and test parts with a column label, or draw clicks: tasks = ["sequential", "ctr"].'
        raise ConfigError("ctr alone needs labelled rows that come in parts", where="evaluate.tasks", fix=fix)
    dataset, data = store_dataset(run, source)
    run.keep_settings(config)
    lengths = np.bincount(split.train.users, minlength=dataset.n_users)
    horizon = EvidenceHorizonScale.fit(lengths, config.horizon)
    splits = {task: store_split(config, run, dataset, split, task) for task in config.tasks}
    nothing = ObservedItems({}, {})
    bare = Prepared(
        config, registry, run, dataset, split, splits, nothing, horizon, encoders, split.hash, progress, data
    )
    fit_encoders(bare)
    state = hash_encoders(config, registry, run, encoders)
    items = observe_items(dataset.catalog, encoders, cache_folder() / "features", progress=progress, state=state)
    key = content_hash(dataset.hash, split.hash, config.horizon.model_dump(), items.digests)
    return replace(bare, items=items, key=key)


def store_split(config: PipelineConfig, run: RunFolder, dataset: Dataset, split: Split, task: Task) -> Split:
    """The split as a task asks it, kept in the run: candidates are drawn once."""

    def make(folder: Path) -> None:
        asked = split
        if task is Task.DIRECT:
            asked = draw_direct_split(split, dataset, negatives=split.config["negatives"], seed=split.config["seed"])
        if task is Task.CTR and config.draws_clicks:
            asked = draw_click_split(split, dataset, seed=split.config["seed"])
        save_split(asked, folder / "split", dataset)

    stage = run.stage(f"split-{task}", content_hash(split.hash, dict(split.config)), make)
    return open_split(stage.folder / "split", dataset)


def open_source(config: PipelineConfig, registry: Registry, run: RunFolder) -> Dataset:
    """The data that the settings name; where it is gone, the run's own copy of it."""
    data, kept = config.data, run.path / "config.toml"
    if not Path(data.path).exists() and kept.is_file():
        fitted = load_config(kept).data
        if fitted.model_copy(update={"path": data.path}) == data and Path(fitted.path).name == Path(data.path).name:
            LOG.warning("%s no longer exists, so the run's own copy is used", data.path)
            return Dataset.open(run.require_whole("data") / "dataset")
    columns = data.columns | {f"{CONTEXT}{name}": name for name in data.context}
    how = {"format": data.format, "columns": columns, "options": data.options, "seed": data.seed}
    dataset = open_or_import(Path(data.path), registry=registry, **how)  # type: ignore[arg-type]
    if missing := [name for name in data.context if name not in dataset.context]:
        fix = f"Import it again, with --column {CONTEXT}{missing[0]}=COLUMN."
        raise ConfigError(f"{dataset.name} has no context {missing[0]!r}", where="data.context", fix=fix)
    return dataset


def store_dataset(run: RunFolder, source: Dataset) -> tuple[Dataset, str]:
    """The run's own copy of the data, with which it answers wherever it is taken; and the identity of its stage."""

    def copy(folder: Path) -> None:
        source.verify()
        shutil.copytree(source.folder, folder / "dataset", copy_function=_link_or_copy)

    stage = run.stage("data", content_hash(source.hash, source.manifest), copy)
    return Dataset.open(stage.folder / "dataset"), stage.stamp.identity


def make_encoders(config: PipelineConfig, registry: Registry) -> dict[str, Encoder[Any]]:
    """The configured encoders by feature name, in the order of the file."""
    return {name: registry.create(Kind.ENCODER, each.encoder, each.settings) for name, each in config.observe.items()}


def fit_encoders(prepared: Prepared) -> None:
    """Fit those encoders that learn from the catalogue; the others are ready as they are."""
    for name, encoder in prepared.encoders.items():
        if not is_learned(encoder):
            continue
        named = prepared.config.observe[name]
        key = {
            "data": [prepared.dataset.hash, prepared.split.hash],
            **component_key(prepared.registry, Kind.ENCODER, named.encoder, named.settings),
            "seed": prepared.config.seed,
        }

        def fit(folder: Path, encoder: Encoder[Any] = encoder, plugin: str = named.encoder, name: str = name) -> None:
            with prepared.registry.guard(Kind.ENCODER, plugin, "fit"):
                encoder.fit(prepared.fit_data(f"encoder-{name}"))
            with prepared.registry.guard(Kind.ENCODER, plugin, "save"):
                encoder.save(folder)

        stage = prepared.run.stage(f"encoder-{name}", key, fit)
        if stage.reused:
            load, catalog = prepared.run.load_part, prepared.dataset.catalog
            prepared.encoders[name] = load(prepared.registry, Kind.ENCODER, named.encoder, stage.folder, catalog)  # type: ignore[index]


def is_learned(encoder: Encoder[Any]) -> bool:
    """Whether an encoder learns from the catalogue."""
    return type(encoder).fit is not Encoder.fit


def hash_encoders(
    config: PipelineConfig, registry: Registry, run: RunFolder, encoders: Mapping[str, Encoder[Any]]
) -> dict[str, str]:
    """What each encoder's vectors depend on besides its fingerprint: code that is edited in place, and its fit.

    A fingerprint may forget what was learned; what was saved does not. Encoders with neither are left out.
    """
    found = {}
    for name, encoder in encoders.items():
        code = hash_source(registry.spec(Kind.ENCODER, config.observe[name].encoder))
        fitted = hash_folder(run.path / "stages" / f"encoder-{name}", [STAMP]) if is_learned(encoder) else None
        if code or fitted:
            found[name] = content_hash(code, fitted)
    return found


def _link_or_copy(source: str, target: str) -> None:
    """A hard link where the file system allows it: the files are never changed in place."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

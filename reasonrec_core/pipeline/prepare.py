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
from reasonrec_core.config import PipelineConfig
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.importers import open_or_import
from reasonrec_core.data.reviews import review_cases, visible_reviews
from reasonrec_core.data.split import Split
from reasonrec_core.data.splits import click_split, direct_split, make_split, open_split, save_split
from reasonrec_core.io import content_hash
from reasonrec_core.observe import ObservedItems, observe_items
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, Observation, Progress, Task


def cache_folder() -> Path:
    """Where imported data sets and item features are kept: ``REASONREC_CACHE``, else the user's cache folder."""
    named = os.environ.get("REASONREC_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reasonrec"


@dataclass(frozen=True)
class Prepared:
    """What every component of a run is fitted on and asked about.

    Attributes:
        dataset: the data.
        split: its division.
        splits: the same division as each task asks it (direct and drawn clicks: with candidates, drawn once and kept).
        items: item features.
        horizon: fitted on the training histories.
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

    def cases(self, task: Task, part: str) -> Cases:
        """Validation or test cases as the task asks them; ``part`` is "valid" or "test"."""
        if task is Task.EXPLAIN:
            asked = review_cases(self.dataset, self.split, part).queries
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
            reviews=partial(visible_reviews, self.dataset, self.split) if self.dataset.has_reviews else None,
            **more,
        )


def prepare(config: PipelineConfig, registry: Registry, run: RunFolder, progress: Progress) -> Prepared:
    """Open or import the data, split it, and make the item features (each once, cached by content)."""
    dataset = keep_dataset(config, run)
    split = make_split(dataset, config.split)
    lengths = np.bincount(split.train.users, minlength=dataset.n_users)
    horizon = EvidenceHorizonScale(config.horizon.kind, cap=config.horizon.cap)
    horizon.fit(lengths[lengths > 0])
    encoders = make_encoders(config, registry)
    splits = {task: keep_split(config, run, dataset, split, task) for task in config.tasks}
    nothing = ObservedItems({}, {})
    bare = Prepared(config, registry, run, dataset, split, splits, nothing, horizon, encoders, split.hash, progress)
    fit_encoders(bare)
    items = observe_items(dataset.catalog, encoders, cache_folder() / "features", progress=progress)
    key = content_hash(dataset.hash, split.hash, config.horizon.model_dump(), items.digests)
    return replace(bare, items=items, key=key)


def keep_split(config: PipelineConfig, run: RunFolder, dataset: Dataset, split: Split, task: Task) -> Split:
    """The split as a task asks it, kept in the run: candidates are drawn once."""

    def make(folder: Path) -> None:
        asked = split
        if task is Task.DIRECT:
            asked = direct_split(split, dataset, negatives=config.split.negatives, seed=config.split.seed)
        if task is Task.CTR and config.draws_clicks:
            asked = click_split(split, dataset, seed=config.split.seed)
        save_split(asked, folder / "split", dataset)

    stage = run.stage(f"split-{task}", content_hash(split.hash, config.split.model_dump(mode="json")), make)
    return open_split(stage.folder / "split", dataset)


def keep_dataset(config: PipelineConfig, run: RunFolder) -> Dataset:
    """The run's own copy of the data, so that the run answers requests wherever it is taken."""
    data = config.data
    source = open_or_import(
        Path(data.path), cache_folder() / "datasets", format=data.format, columns=data.columns, seed=data.seed
    )

    def copy(folder: Path) -> None:
        shutil.copytree(source.folder, folder / "dataset", copy_function=_link_or_copy)

    stage = run.stage("data", content_hash(source.hash, source.manifest), copy)
    return Dataset.open(stage.folder / "dataset")


def make_encoders(config: PipelineConfig, registry: Registry) -> dict[str, Encoder[Any]]:
    """The configured encoders by feature name, in the order of the file."""
    return {name: registry.create(Kind.ENCODER, each.encoder, each.settings) for name, each in config.observe.items()}


def fit_encoders(prepared: Prepared) -> None:
    """Fit those encoders that learn from the catalogue; the others are ready as they are."""
    for name, encoder in prepared.encoders.items():
        if type(encoder).fit is Encoder.fit:
            continue
        named = prepared.config.observe[name]
        key = content_hash(prepared.dataset.hash, prepared.split.hash, named.encoder, named.settings)

        def fit(folder: Path, encoder: Encoder[Any] = encoder, plugin: str = named.encoder, name: str = name) -> None:
            with prepared.registry.guard(Kind.ENCODER, plugin, "fit"):
                encoder.fit(prepared.fit_data(f"encoder-{name}"))
            with prepared.registry.guard(Kind.ENCODER, plugin, "save"):
                encoder.save(folder)

        stage = prepared.run.stage(f"encoder-{name}", key, fit)
        if stage.reused:
            with prepared.registry.guard(Kind.ENCODER, named.encoder, "load"):
                prepared.encoders[name] = type(encoder).load(stage.folder, prepared.dataset.catalog)  # type: ignore[index]


def _link_or_copy(source: str, target: str) -> None:
    """A hard link where the file system allows it: the files are never changed in place."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

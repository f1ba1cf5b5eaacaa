"""Items that are added to a finished run: nothing is fitted again, and from then on they can be recommended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import DistributionPolicy, Kind
from reasonrec_core.config import PipelineConfig, load_config
from reasonrec_core.data import Catalog
from reasonrec_core.io import cache_folder, content_hash, read_array, whole_folder
from reasonrec_core.observe import ObservedItems, RefusedImage, observe_items
from reasonrec_core.pipeline import (
    Agent,
    RunFolder,
    ServingCatalog,
    load_agent,
    stamp_folder,
)
from reasonrec_core.registry import Registry
from reasonrec_core.types import Float32, History, Progress, QueryBatch, Task
from reasonrec_core.validation import check_distribution, check_scores
from reasonrec_datasets.importing.index import extend_items
from reasonrec_datasets.new_items import NewItems
from reasonrec_datasets.run_encoders import load_encoders, refuse_changed


@dataclass(frozen=True)
class ImportedItems:
    """What was done.

    Attributes:
        items: how many were added.
        total: how many the run now recommends from.
        n_fitted: how many it was fitted on.
        present: per feature, how many of the new items have it.
        refused: images of new items that were not used.
        notes: sentences for the user.
        ranked_last: labels of the models that rank every new item behind all others, until the next fit.
    """

    items: int
    total: int
    n_fitted: int
    present: dict[str, int]
    refused: list[RefusedImage]
    notes: tuple[str, ...]
    ranked_last: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        refused = [{"image": image.path, "reason": image.reason} for image in self.refused]
        return {**asdict(self), "refused": refused}


def add_items(path: Path, new: NewItems, progress: Progress, registry: Registry | None = None) -> ImportedItems:
    """Add items to the run in ``path``; whole or not at all.

    Their features are made by the run's own encoders and settings (rows that are cached by content are taken from
    there). Before the run answers from the longer catalogue, every component has answered requests that name a new
    item.

    Raises:
        DataError: an id, column or type that does not fit the run's catalogue.
        RunError: the run is not finished, or its encoders are not what they were.
        PluginError: a component cannot serve the longer catalogue. Nothing has changed then.
    """
    registry = registry or Registry.discover()
    with RunFolder.open(path).locked():
        return _add_items(path, new, progress, registry)


def _add_items(path: Path, new: NewItems, progress: Progress, registry: Registry) -> ImportedItems:
    served, config = ServingCatalog.open(path), load_config(path / "config.toml")
    old = served.dataset
    fitting = new.match(old.catalog)
    folder = content_hash(old.hash, old.n_items, *fitting.table.column("item_id").to_pylist())[:16]
    with whole_folder(served.folder(folder), "dataset") as aside:
        longer = extend_items(old, fitting.table, aside / "dataset", fitting.images, fitting.place)
        items = _observe(served, config, registry, longer.catalog.slice(old.n_items), progress)
        (aside / "features").mkdir()
        for name, more in items.features.items():
            _append(served.features / f"{name}.npy", more, aside / "features" / f"{name}.npy")
        last = _try(replace(served, dataset=longer, features=aside / "features"), registry, old.n_items)
        stamp_folder(aside, served.key)
    served.switch(folder)
    present = {name: int(here.sum()) for name, here in items.present.items()}
    return ImportedItems(len(new), longer.n_items, served.n_fitted, present, items.refused, fitting.notes, last)


def _observe(
    served: ServingCatalog, config: PipelineConfig, registry: Registry, new: Catalog, progress: Progress
) -> ObservedItems:
    """The new items as the run's encoders see them; the same names and widths as the run's features."""
    encoders, state = load_encoders(served, config, registry)
    made = observe_items(new, encoders, cache_folder() / "features", progress=progress, some=False, state=state)
    old = served.items().features
    for name, values in made.features.items():
        width = old[name].shape[1]
        if not made.present[name].any():
            made.features[name] = np.full((len(new), width), np.nan, dtype=np.float32)
        elif values.shape[1] != width:
            raise refuse_changed(served, name)
    return made


def _append(path: Path, more: Float32, target: Path) -> None:
    """The rows of the file ``path``, then ``more``, as the file ``target``; neither file is held in memory."""
    rows = read_array(path, mapped=True)
    shape = (len(rows) + len(more), rows.shape[1])
    out = np.lib.format.open_memmap(target, mode="w+", dtype=np.float32, shape=shape)
    out[: len(rows)], out[len(rows) :] = rows, more
    out.flush()


def _try(served: ServingCatalog, registry: Registry, n_old: int) -> tuple[str, ...]:
    """Load every component for the longer catalogue and let each answer requests that name its last, new item.

    Returns:
        labels of those that rank all items from ``n_old`` on behind the others, whatever is asked.
    """
    agent, last = load_agent(served, registry), served.dataset.n_items - 1
    nobody, past = np.full(2, -1, np.int32), History.of([[last], []])
    asked = {
        Task.SEQUENTIAL: QueryBatch(Task.SEQUENTIAL, nobody, past, agent.width),
        Task.DIRECT: QueryBatch(Task.DIRECT, nobody, past, agent.width, np.array([[0, last]] * 2, np.int32)),
    }
    for task, batch in asked.items():
        observation = agent.observe(batch)
        for label, named in agent.delegates.items():
            if task in named.part.tasks:
                agent.delegate(label, batch, observation)
        if agent.policy is not None and task in agent.policy.part.tasks:
            agent.estimate(None, batch, observation, agent.deliberate(batch, observation))
    return tuple(label for label, scores in _score(agent, asked[Task.SEQUENTIAL]) if _ranks_last(scores, n_old))


def _score(agent: Agent, batch: QueryBatch) -> Iterator[tuple[str, Float32]]:
    """What each model that scores a whole catalogue gives its items, float32[B, n_items]."""
    observation = agent.observe(batch)
    for kind, named in agent.parts:
        name, part = named.name, named.part
        if batch.task not in getattr(part, "tasks", ()):
            continue
        if kind is Kind.DELEGATE:
            with agent.registry.guard(kind, name, "score"):
                yield named.label, check_scores(part.score(batch, observation), batch, agent.n_items)
        elif isinstance(part, DistributionPolicy):
            with agent.registry.guard(kind, name, "distribution"):
                yield named.label, check_distribution(part.distribution(batch, observation), batch, agent.n_items)


def _ranks_last(scores: Float32, n_old: int) -> bool:
    """Whether no query finds a new item better than its worst old one."""
    return not (scores[:, n_old:].max(axis=1) > scores[:, :n_old].min(axis=1)).any()

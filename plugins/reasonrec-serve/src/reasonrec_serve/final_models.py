"""Final models: what is served has learned from everything.

A run is evaluated by models that never saw what they are tested on. `fit_final` fits each component again to all
interactions (training, validation and test parts), with everything that validation chose: settings, epochs, the
weights of experts, estimators, router and calibration. The evaluated models stay as they are, and so does every number
that was measured of them: final models have seen the test part, and nothing is measured of them.

```text
RUN/stages/final-<kind>-<label>/   a component that was fitted again; its notes say why where it could not be
RUN/stages/final-agent/            which parts speak, and the fit that they belong to
```
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import ChoosesOnValidation, Component, Delegate, FitData, Kind, WithoutValidation
from reasonrec_core.data import LEFT_OUT, TEST, TRAIN, VALID, Dataset, Split, find_visible_reviews, open_split
from reasonrec_core.errors import PluginError, RunError
from reasonrec_core.io import cache_folder, content_hash, read_json, write_json
from reasonrec_core.pipeline import FinishedRun, Named, RunFolder, ServingCatalog
from reasonrec_core.types import Interactions, Observation, Progress, no_progress

LOG = logging.getLogger("reasonrec.serve")
AGENT, PREFIX = "final-agent", "final-"
POPULARITY = "popularity.npy"
MODELS = ("final", "evaluated")


@dataclass(frozen=True)
class FinalModels:
    """What came of fitting again.

    Attributes:
        fitted: labels of the components that have learned from everything.
        kept: label -> why the evaluated one goes on answering.
        reused: labels among ``fitted`` that were there already.
        interactions: that they have learned from.
        more: how many of these the evaluated models never saw.
    """

    fitted: tuple[str, ...]
    kept: Mapping[str, str]
    reused: tuple[str, ...]
    interactions: int
    more: int

    def describe(self) -> list[str]:
        """In sentences."""
        if not self.fitted:
            return ["Nothing could be fitted again, so the evaluated models still answer.", *self._describe_kept()]
        done = "already there" if len(self.reused) == len(self.fitted) else "fitted"
        count = f"{self.interactions:,} interactions ({self.more:,} more than the evaluated ones saw)"
        return [f"Final models {done}: {', '.join(self.fitted)}, fitted on all {count}.", *self._describe_kept()]

    def _describe_kept(self) -> list[str]:
        return [f"{label} still answers as evaluated: {why}." for label, why in self.kept.items()]


def fit_final(
    path: Path,
    progress: Progress = no_progress,
    *,
    verify: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> FinalModels:
    """Fit the final models of a finished run; what is done already is not done again.

    Args:
        path: the run folder, which nobody else may write meanwhile.
        progress: see `FitData.progress`.
        verify: read every file of a stage before it is used again.
        say: is told what is being done.

    Raises:
        RunError: no finished run, a damaged one, or one that somebody else writes.
    """
    run = RunFolder.open(path, verify=verify, say=say)
    with run.locked():
        return _Fitting(run, progress).fit()


class _Fitting:
    """A finished run whose components are being fitted again, in the order in which they were fitted."""

    def __init__(self, run: RunFolder, progress: Progress) -> None:
        self.run, self.progress = run, progress
        self.key, self.state = "", dict[str, Any]()
        self.evaluated = FinishedRun.load(run.path, choose=self._choose_fit)
        self.dataset, self.agent = self.evaluated.dataset, self.evaluated.agent
        self.registry = self.agent.registry
        task = self.evaluated.config.tasks[0]
        self.split: Split = open_split(run.require_whole(f"split-{task}") / "split", self.dataset)
        self.log: Interactions = self.dataset.interactions.take(self.split.parts != LEFT_OUT)
        self.stages: dict[str, str] = {}
        self.reused: list[str] = []
        self.kept: dict[str, str] = {}

    def _choose_fit(self, served: ServingCatalog) -> ServingCatalog:
        """The catalogue of the fit, without items that were imported since: nothing is known of what they did."""
        self.key, self.state = served.key, served.state
        fitted = Dataset.open(self.run.require_whole("data", served.state["stages"]["data"]) / "dataset")
        return replace(served, dataset=fitted, features=self.run.path / "stages" / "agent")

    def fit(self) -> FinalModels:
        """Fit every component, then name them."""
        policy: Named | None = None
        delegates = list(self.agent.delegates.values())
        for named in (each for each in delegates if not _attaches(each.part)):
            self._fit(Kind.DELEGATE, named, None)
        if self.agent.policy is not None:
            policy = self._fit(Kind.POLICY, self.agent.policy, None)
        for named in (each for each in delegates if _attaches(each.part)):
            self._fit(Kind.DELEGATE, named, policy)
        fitted = tuple(label for label in self._labels() if label not in self.kept)
        found = FinalModels(fitted, self.kept, tuple(self.reused), len(self.log), len(self.log) - len(self.split.train))
        self._write_agent(found)
        return found

    def _labels(self) -> list[str]:
        return [*([self.agent.policy.label] if self.agent.policy else []), *self.agent.delegates]

    def _fit(self, kind: Kind, named: Named, policy: Named | None) -> Named:
        """The component, fitted to everything, where that can be done."""
        name, part = f"{PREFIX}{kind}-{named.label}", named.part
        made: list[Component[Any]] = []

        def make(folder: Path) -> Mapping[str, Any]:
            data = self._fit_data(name)
            try:
                with self.registry.guard(kind, named.name, "refit"):
                    made.append(_refit(part, data, policy))
            except ChoosesOnValidation as error:
                return {"kept": error.what}
            with self.registry.guard(kind, named.name, "save"):
                (folder / "component").mkdir()
                made[0].save(folder / "component")
            return {}

        self.progress(0, 1, f"fit {named.label} to everything")
        asked = {"fit": named.identity, "policy": policy.identity if policy else None}
        stage = self.run.stage(name, asked, make)
        self.progress(1, 1, f"fit {named.label} to everything")
        if "kept" in stage.stamp.notes:
            self.kept[named.label] = str(stage.stamp.notes["kept"])
            return named
        if stage.reused:
            self.reused.append(named.label)
            if kind is Kind.POLICY:  # others are fitted to it
                folder = stage.folder / "component"
                made = [self.run.load_part(self.registry, kind, named.name, folder, self.dataset.catalog)]
        self.stages[name] = stage.stamp.identity
        return replace(named, part=made[0] if made else part, identity=stage.stamp.identity, final=True)

    def _fit_data(self, work: str) -> FitData:
        """All interactions; no validation part."""
        config, agent = self.evaluated.config, self.agent

        def delegate(label: str) -> Delegate[Any]:
            found = next((each for each in config.delegates if each.label == label), None)
            if found is None:
                raise PluginError(f"asked for a delegate {label!r} that the pipeline does not have")
            made: Delegate[Any] = self.registry.create(Kind.DELEGATE, found.name, found.settings)
            return made

        return FitData(
            catalog=self.dataset.catalog,
            n_users=self.dataset.n_users,
            train=self.log,
            valid=None,
            observation=Observation(agent.items.features, agent.items.present, np.empty(0, np.float32)),
            task=config.fitted_for,
            seed=config.seed,
            delegate=delegate,
            horizon=agent.horizon,
            progress=self.progress,
            workdir=self.run.work(work),
            cache=cache_folder() / "features",
            user_fields=self.dataset.user_fields,
            context=self.dataset.context,
            reviews=partial(find_visible_reviews, self.dataset, self.split, (TRAIN, VALID, TEST))
            if self.dataset.has_reviews
            else None,
        )

    def _write_agent(self, found: FinalModels) -> None:
        """Say which parts speak; whatever decides between them is what validation chose."""
        said = {"fitted": list(found.fitted), "kept": dict(found.kept), "interactions": found.interactions}
        state = {**self.state, "stages": {**self.state["stages"], **self.stages}, "fit": self.key, "agent": AGENT}
        state["final"] = said | {"more": found.more}

        def make(folder: Path) -> None:
            if self.agent.popularity is not None:
                # In the unit that the router knows: as many interactions in all as when it was fitted.
                counts = np.bincount(self.log.items, minlength=self.dataset.n_items)
                known = np.rint(counts * (len(self.split.train) / max(len(self.log), 1)))
                np.save(folder / POPULARITY, np.maximum(known, counts > 0).astype(np.int64))
            write_json(folder / "agent.json", state)

        self.run.stage(AGENT, content_hash(state), make)


def _attaches(part: Any) -> bool:
    """Whether a delegate belongs to the policy."""
    return type(part).attach is not Delegate.attach


def _refit(part: Component[Any], data: FitData, policy: Named | None) -> Component[Any]:
    """A component like ``part``, fitted to everything.

    Raises:
        ChoosesOnValidation: its `fit` reads the validation part, and it has no `refit` of its own.
    """
    if policy is None or not isinstance(part, Delegate):
        return part.refit(data)
    part.attach(policy.part)  # what learns from the policy learns from the one that was fitted again
    if type(part).refit is not Component.refit:
        made: Delegate[Any] = part.refit(data)
    else:
        made = type(part)(part.config)
        made.attach(policy.part)
        made.fit(WithoutValidation(**vars(data)))
    made.attach(policy.part)
    return made


def choose_models(models: str | None = None) -> Callable[[ServingCatalog], ServingCatalog]:
    """What makes a run answer with its final models where it has them, or as it was evaluated.

    Args:
        models: "final" or "evaluated"; None for the final ones where there are any.

    Raises:
        RunError: final models are wanted and there are none, or they belong to an earlier fit; when it is called.
    """
    if models is not None and models not in MODELS:
        raise RunError(f"there are no {models!r} models", where="models", fix="Use final or evaluated.")

    def choose(served: ServingCatalog) -> ServingCatalog:
        path, what = served.run.path, "the run has no final models"
        fix = f"reasonrec final {path}"
        if models != "evaluated" and (path / "stages" / AGENT).exists():
            state = read_json(served.run.require_whole(AGENT) / "agent.json")
            if state["fit"] == served.key:
                return replace(served, state=state)
            what = "the run was fitted again after the final models were made"
            if models is None:
                LOG.warning("%s: %s, so the evaluated models answer. To fit the final ones again: %s", path, what, fix)
        if models == "final":
            raise RunError(what, where=str(path), fix=f"Fit them: {fix}.")
        return served

    return choose


def has_final_models(path: Path) -> bool:
    """Whether a run has some; which fit they belong to is seen when it is opened."""
    return (path / "stages" / AGENT).is_dir()

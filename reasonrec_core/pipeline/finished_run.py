"""A finished run, opened to be asked: what it was fitted with, and the catalogue that it answers from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from reasonrec_core.components import Delegate, Kind, UncertaintyEstimator
from reasonrec_core.config import PipelineConfig, load_config
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import RunError
from reasonrec_core.io import read_array
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.pipeline.agent import POPULARITY, Agent, Named
from reasonrec_core.pipeline.run_folder import RunFolder, show_command
from reasonrec_core.pipeline.serving_catalog import ServingCatalog
from reasonrec_core.plugins.checks import described
from reasonrec_core.registry import Registry
from reasonrec_core.routing import read_router
from reasonrec_core.types import Task


@dataclass
class FinishedRun:
    """A run that can answer.

    Attributes:
        run: its folder.
        config: its settings.
        dataset: what it answers from.
        agent: who answers.
    """

    run: RunFolder
    config: PipelineConfig
    dataset: Dataset
    agent: Agent

    @classmethod
    def load(
        cls,
        path: Path,
        registry: Registry | None = None,
        choose: Callable[[ServingCatalog], ServingCatalog] = lambda served: served,
    ) -> Self:
        """Load what the run in ``path`` has fitted, with the state that ``choose`` gives, the evaluated one by default.

        No encoder is loaded, item features are memory-mapped.
        """
        try:
            served = choose(ServingCatalog.open(path))
            agent = load_agent(served, registry or Registry.discover())
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # components are guarded: not theirs
            what = f"a file of the run is not as expected ({described(error)})"
            raise RunError(what, where=str(path), fix=f"Create it again: {show_command(path)} --refit '*'.") from error
        return cls(served.run, load_config(path / "config.toml"), served.dataset, agent)

    @cached_property
    def task(self) -> Task:
        """The task that the run was made for."""
        return self.config.tasks[0]


def load_agent(served: ServingCatalog, registry: Registry) -> Agent:
    """Load every fitted component and the routers of a run."""
    state, catalog = served.state, served.dataset.catalog

    def load(kind: Kind, label: str, name: str) -> Named:
        stage = final if (final := f"final-{kind}-{label}") in state["stages"] else f"{kind}-{label}"
        identity = state["stages"][stage]
        folder = served.run.require_whole(stage, identity) / "component"
        part = served.run.load_part(registry, kind, name, folder, catalog)
        with registry.guard(kind, name, "attach"):
            if isinstance(part, Delegate | UncertaintyEstimator) and policy is not None:
                part.attach(policy.part)
        return Named(label, name, part, identity, final=stage == final)

    policy: Named | None = None
    popularity = served.run.path / "stages" / state.get("agent", "agent") / POPULARITY
    policy = load(Kind.POLICY, *state["policy"]) if state["policy"] else None
    return Agent(
        registry,
        len(catalog),
        int(state["width"]),
        served.items(),
        EvidenceHorizonScale.from_dict(state["horizon"]),
        {label: load(Kind.DELEGATE, label, name) for label, name in state["delegates"]},
        policy,
        {label: load(Kind.UNCERTAINTY, label, name) for label, name in state["estimators"]},
        {Task(task): read_router(each, registry) for task, each in state["routers"].items()},
        read_array(popularity) if popularity.is_file() else None,
        {Task(task): (label, reason) for task, (label, reason) in state["alone"].items()},
    )

"""An evaluated run, as reporters see it: everybody's answers and scores, and everybody there to be asked more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonrec_core.components import Kind
from reasonrec_core.config import PipelineConfig
from reasonrec_core.io import content_hash, read_json, write_json
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.evaluate import EvaluatedTask
from reasonrec_core.pipeline.latency import Latency
from reasonrec_core.pipeline.prepare import Prepared, hash_source

SECTION = "section.json"


@dataclass(frozen=True)
class EvaluatedRun:
    """A run after its test part was answered and scored, before its results are written.

    Attributes:
        prepared: data, split, item features, settings.
        agent: the fitted parts, with their routers.
        tasks: everything found about each task, the first one in full.
        latency: of requests of the first task; None where nothing was timed.
        reporter: the name of the reporter that is asked.
    """

    prepared: Prepared
    agent: Agent
    tasks: tuple[EvaluatedTask, ...]
    latency: Latency | None
    reporter: str = ""

    @property
    def first(self) -> EvaluatedTask:
        """The task that the run is about."""
        return self.tasks[0]

    @property
    def config(self) -> PipelineConfig:
        """The settings."""
        return self.prepared.config

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.prepared.run.path

    def keep(self, name: str, key: object, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What ``make`` gives (JSON values), kept in the run folder: made anew only where something changed.

        Args:
            name: of the stage.
            key: what it depends on beside the code of the reporter.
            make: measures it.
        """
        plugin = self.prepared.registry.spec(Kind.REPORTER, self.reporter)
        whole = content_hash(key, [plugin.distribution, plugin.version, hash_source(plugin)])

        def write(folder: Path) -> None:
            write_json(folder / SECTION, dict(make()))

        return dict(read_json(self.prepared.run.stage(name, whole, write).folder / SECTION))

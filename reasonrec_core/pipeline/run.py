"""The whole pipeline: fit, calibrate, evaluate, report. Each part can be asked for alone."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core import __version__
from reasonrec_core.config import PipelineConfig, load_config
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import ReasonRecError, RunError
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.io import content_hash, write_json
from reasonrec_core.pipeline.agent import POPULARITY, Agent
from reasonrec_core.pipeline.calibrate_router import calibrate_router, choose_delegate
from reasonrec_core.pipeline.evaluate import evaluate_tasks, write_users
from reasonrec_core.pipeline.fit import check_components, fit_components
from reasonrec_core.pipeline.prepare import Prepared, hash_encoders, prepare
from reasonrec_core.pipeline.reports import check_reporters, export_run, write_reports
from reasonrec_core.pipeline.results import collect_results
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry
from reasonrec_core.types import Progress

REPORT = "report"
"""What measuring and writing for the reports is called while it is done."""
LIBRARIES = ("numpy", "scipy", "scikit-learn", "pyarrow", "torch", "transformers", "timm", "open_clip_torch")
"""Whose versions a run notes."""


@dataclass(frozen=True)
class FittedRun:
    """A run that can answer: prepared data, the agent with its routers."""

    prepared: Prepared
    agent: Agent


def run_pipeline(
    config: PipelineConfig, folder: Path, registry: Registry, progress: Progress, **options: Any
) -> Results:
    """Fit, calibrate, evaluate and report; ``options`` are those of `RunFolder`."""
    with start_run(config, folder, registry, progress, **options) as prepared:
        return evaluate_fitted(fit_prepared(prepared))


def evaluate_run(folder: Path, registry: Registry, progress: Progress, **options: Any) -> Results:
    """Evaluate a run folder that `fit_pipeline` made, with the settings and the data that it holds."""
    run = RunFolder.open(folder, **options)
    with run.locked():
        config = load_config(folder / "config.toml")
        check_components(config, registry)
        check_reporters(config, registry)
        try:
            source = Dataset.open(run.require_whole("data") / "dataset")
        except RunError:
            source = None  # it is made anew from what the settings name
        return evaluate_fitted(fit_prepared(prepare(config, registry, run, progress, source)))


def fit_pipeline(
    config: PipelineConfig, folder: Path, registry: Registry, progress: Progress, **options: Any
) -> FittedRun:
    """Everything that needs no test data: components fitted, routers calibrated, the agent saved."""
    with start_run(config, folder, registry, progress, **options) as prepared:
        return fit_prepared(prepared)


@contextmanager
def start_run(
    config: PipelineConfig, folder: Path, registry: Registry, progress: Progress, **options: Any
) -> Iterator[Prepared]:
    """A run with its data and features, which nobody else writes meanwhile; ``options`` are those of `RunFolder`."""
    check_components(config, registry)
    check_reporters(config, registry)
    with ExitStack() as stack:
        with remove_if_refused(folder):
            run = stack.enter_context(RunFolder.create(folder, config, **options))
            prepared = prepare(config, registry, run, progress)
        yield prepared


def fit_prepared(prepared: Prepared) -> FittedRun:
    """Fit the components, calibrate the routers, save the agent."""
    config, folder = prepared.config, prepared.run.path
    write_json(folder / "environment.json", describe_environment())
    agent = fit_components(prepared)
    if config.router is not None:
        agent = replace(agent, popularity=prepared.item_counts)
    routers = {task: router for task in config.tasks if (router := calibrate_router(prepared, agent, task))}
    alone = {task: found for task in config.tasks if (found := choose_delegate(prepared, agent, task))}
    agent = replace(agent, routers=routers, alone=alone)
    save_agent(prepared, agent)
    return FittedRun(prepared, agent)


@contextmanager
def remove_if_refused(folder: Path) -> Iterator[None]:
    """Input that cannot be used leaves no run folder behind, if there was none before."""
    fresh, parent_fresh = not folder.exists(), not folder.parent.exists()
    try:
        yield
    except (ReasonRecError, OSError):
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        if parent_fresh and folder.parent.is_dir() and not any(folder.parent.iterdir()):
            folder.parent.rmdir()
        raise


def save_agent(prepared: Prepared, agent: Agent) -> None:
    """Write what `serve.load_agent` reads: features, horizon, labels, routers, and the stages that go with them."""
    state = {
        "stages": {"data": prepared.data, **{f"{kind}-{each.label}": each.identity for kind, each in agent.parts}},
        "width": agent.width,
        "features": sorted(prepared.items.features),
        "encoders": {name: encoder.fingerprint() for name, encoder in prepared.encoders.items()},
        "encoder_state": hash_encoders(prepared.config, prepared.registry, prepared.run, prepared.encoders),
        "horizon": prepared.horizon.to_dict(),
        "policy": [agent.policy.label, agent.policy.name] if agent.policy else None,
        "delegates": [[named.label, named.name] for named in agent.delegates.values()],
        "estimators": [[named.label, named.name] for named in agent.estimators.values()],
        "alone": {str(task): list(found) for task, found in agent.alone.items()},
        "routers": {str(task): router.to_dict() for task, router in agent.routers.items()},
    }

    def make(folder: Path) -> None:
        for name, values in prepared.items.features.items():
            np.save(folder / f"{name}.npy", values)
        if agent.popularity is not None:
            np.save(folder / POPULARITY, agent.popularity)
        write_json(folder / "agent.json", state)

    prepared.run.stage("agent", content_hash(state, prepared.key), make)


def evaluate_fitted(fitted: FittedRun) -> Results:
    """Test every system on every task, write results and what reporters make of them."""
    run = evaluate_tasks(fitted.prepared, fitted.agent)
    folder, progress = run.folder, fitted.prepared.progress
    progress(0, 1, REPORT)
    results = collect_results(run)
    for each in run.tasks:
        write_users(folder, each)
    export_run(run)
    results.write(folder)
    results = Results.read(folder)  # what every later reader has
    write_reports(results, folder, run.config.report, run.prepared.registry)
    progress(1, 1, REPORT)
    return results


def list_steps(config: PipelineConfig, *, evaluate: bool = True) -> list[str]:
    """The labels under which a run reports its progress, in order; what is there already is passed over."""
    systems = [each.label for each in ((config.policy,) if config.policy else ()) + config.delegates]
    fitted = [*config.delegates, *((config.policy,) if config.policy else ()), *config.estimators]
    steps = [f"observe {name}" for name in config.observe] + [f"fit {each.label}" for each in fitted]
    for part in ("valid", "test") if evaluate else ("valid",):
        steps += [f"evaluate {label}, {part} {task}" for task in config.tasks for label in systems]
    return [*dict.fromkeys(steps), *([REPORT] if evaluate else [])]


def describe_environment() -> dict[str, Any]:
    """What the run was made with."""
    versions = {"reasonrec": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": versions,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }

"""The whole pipeline: fit, calibrate, evaluate, report. Each part can be asked for alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import Kind
from reasonrec_core.config import PipelineConfig, load_config
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import ReasonRecError, RunError
from reasonrec_core.evaluate.routing_schema import Estimate
from reasonrec_core.evaluate.schema import (
    VERSION,
    DatasetFacts,
    DelegationSummary,
    MetricFacts,
    ObservedFeature,
    Results,
    SecondsByPart,
    SystemRoles,
)
from reasonrec_core.io import content_hash, write_json
from reasonrec_core.pipeline.agent import POPULARITY, Agent
from reasonrec_core.pipeline.artifacts import environment, write_cards, write_explanations, write_users
from reasonrec_core.pipeline.calibrate_router import calibrate, item_counts
from reasonrec_core.pipeline.calibration_report import report_abstention, report_confidence
from reasonrec_core.pipeline.cost_report import report_costs
from reasonrec_core.pipeline.delegation_curve import delegation_curve
from reasonrec_core.pipeline.evaluate import (
    assess,
    comparisons,
    slice_rows,
    systems,
)
from reasonrec_core.pipeline.evaluated_run import EvaluatedRun
from reasonrec_core.pipeline.fit import check_components, fit_components
from reasonrec_core.pipeline.latency import measure
from reasonrec_core.pipeline.prepare import Prepared, hash_encoders, prepare
from reasonrec_core.pipeline.reports import check_reporters, export_run, run_analyses, write_reports
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry
from reasonrec_core.types import Progress, Task


@dataclass(frozen=True)
class FittedRun:
    """A run that can answer: prepared data, the agent with its routers, seconds per fit."""

    prepared: Prepared
    agent: Agent
    seconds: Mapping[str, float]


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
    write_json(folder / "environment.json", environment())
    agent, seconds = fit_components(prepared)
    if config.router is not None:
        agent = replace(agent, popularity=item_counts(prepared))
    routers = {task: router for task in config.tasks if (router := calibrate(prepared, agent, task))}
    agent = replace(agent, routers=routers)
    save_agent(prepared, agent)
    return FittedRun(prepared, agent, seconds)


@contextmanager
def remove_if_refused(folder: Path) -> Iterator[None]:
    """Input that cannot be used leaves no run folder behind, if there was none before."""
    fresh, parent_fresh = not folder.exists(), not folder.parent.exists()
    try:
        yield
    except ReasonRecError:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        if parent_fresh and folder.parent.is_dir() and not any(folder.parent.iterdir()):
            folder.parent.rmdir()
        raise


def save_agent(prepared: Prepared, agent: Agent) -> None:
    """Write what `serve.load_agent` reads: features, horizon, labels, routers, and the stages that go with them."""
    named = [(Kind.DELEGATE, each) for each in agent.delegates.values()]
    named += [(Kind.UNCERTAINTY, each) for each in agent.estimators.values()]
    named += [(Kind.POLICY, agent.policy)] if agent.policy else []
    state = {
        "stages": {"data": prepared.data, **{f"{kind}-{each.label}": each.identity for kind, each in named}},
        "width": agent.width,
        "features": sorted(prepared.items.features),
        "encoders": {name: encoder.fingerprint() for name, encoder in prepared.encoders.items()},
        "encoder_state": hash_encoders(prepared.config, prepared.registry, prepared.run, prepared.encoders),
        "horizon": prepared.horizon.to_dict(),
        "policy": [agent.policy.label, agent.policy.name] if agent.policy else None,
        "delegates": [[named.label, named.name] for named in agent.delegates.values()],
        "estimators": [[named.label, named.name] for named in agent.estimators.values()],
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
    """Test every system on every task, write results, cards and what reporters make of them."""
    prepared, agent = fitted.prepared, fitted.agent
    folder, config = prepared.run.path, prepared.config
    found = tuple(assess(prepared, agent, task) for task in config.tasks)
    first = found[0]
    latency = measure(agent, first.cases.queries, config.evaluate.latency_sample, max(config.evaluate.k), config.seed)
    run = EvaluatedRun(prepared, agent, found, latency)
    results = collect_results(run, fitted.seconds)
    for each in found:
        write_users(folder, each)
    if first.task.ranks:
        write_cards(prepared, agent, first, folder / "cards.json")
    for each in (each for each in found if each.task is Task.EXPLAIN):
        write_explanations(prepared, agent, each, folder / "explanations.json")
    export_run(run)
    results.write(folder)
    results = Results.read(folder)  # what every later reader has
    write_reports(results, folder, config.report, prepared.registry)
    return results


def collect_results(run: EvaluatedRun, seconds: Mapping[str, float]) -> Results:
    """Everything that was measured, the first task in full; ``seconds``: of each fit."""
    prepared, agent, found, first, latency = run.prepared, run.agent, run.tasks, run.first, run.latency
    table: dict[str, dict[str, Estimate]] = {}
    for each in found:
        for label, values in systems(prepared, each).items():
            table.setdefault(label, {}).update(values)
    delegation, curve = DelegationSummary(share=0.0, latency_ratio=1.0) if agent.policy else None, None
    if latency is not None and first.routed is not None:
        share = float(first.routed.replaced.mean())
        delegation = DelegationSummary(share=share, latency_ratio=latency.ratio, latency=latency.spent())
        curve = delegation_curve(prepared, agent, first)
    return Results(
        version=VERSION,
        dataset=describe_dataset(prepared),
        protocol=describe_protocols([prepared.splits[each.task].protocol for each in found]),
        systems=table,
        metrics=describe_metrics(prepared),
        delegation=delegation,
        delegation_curve=curve,
        bills=report_costs(agent, first, latency, max(prepared.config.evaluate.k)),
        seconds=SecondsByPart(
            fit=dict(seconds),
            evaluate={f"{each.task} {label}": a.seconds for each in found for label, a in each.answers.items()},
        ),
        comparisons=tuple(row for each in found for row in comparisons(prepared, each)),
        slices=tuple(row for each in found for row in slice_rows(prepared, each)),
        **report_confidence(prepared, agent, first),
        abstention=report_abstention(prepared, agent, first),
        observe=tuple(describe_features(prepared)),
        roles=SystemRoles(
            routed="routed" if agent.routers else None,
            policy=agent.policy.label if agent.policy else None,
            delegates=tuple(agent.delegates),
        ),
        left_out=dict(prepared.split.left_out),
        seed=prepared.config.seed,
        **run_analyses(run),
    )


def describe_metrics(prepared: Prepared) -> dict[str, MetricFacts]:
    """What a reader must know about each metric of the run's tasks."""
    infos = [m for task in prepared.config.tasks for m in prepared.registry.metrics(task)]
    return {m.name: MetricFacts(better=m.better, meaning=m.meaning, order=m.order) for m in infos}


def describe_protocols(protocols: list[str]) -> str:
    """The rules of all tasks; what a later one repeats of the first is said once."""
    first, *others = protocols
    return "; ".join([first, *(other.removeprefix(first).lstrip("; ") for other in others if other != first)])


def describe_dataset(prepared: Prepared) -> DatasetFacts:
    """The data in numbers."""
    dataset = prepared.dataset
    images = dataset.catalog.images
    return DatasetFacts(
        name=dataset.name,
        hash=dataset.hash,
        users=dataset.n_users,
        items=dataset.n_items,
        interactions=len(dataset.interactions),
        images_root=str(images) if images else None,
    )


def describe_features(prepared: Prepared) -> list[ObservedFeature]:
    """Per feature of the items: how many have it, who made it, where the weights came from."""
    rows = []
    for name, encoder in prepared.encoders.items():
        present = int(prepared.items.present[name].sum())
        refused = len(prepared.items.refused) if encoder.modality == "image" else 0
        rows.append(
            ObservedFeature(
                name=name,
                encoder=prepared.config.observe[name].encoder,
                present=present,
                missing=prepared.dataset.n_items - present - refused,
                refused=refused,
                provenance=dict(encoder.provenance()),
            )
        )
    return rows

"""The results of an evaluated run: metrics of every system, comparisons, and what was run."""

from __future__ import annotations

from typing import Any

from reasonrec_core.evaluate import Comparison, compare_all, correct, summarise
from reasonrec_core.evaluate.schema import (
    VERSION,
    DatasetFacts,
    DelegationSummary,
    Estimate,
    MetricFacts,
    ObservedFeature,
    PairedComparison,
    Results,
    RouterReport,
    RoutingResult,
    SecondsByPart,
    SystemRoles,
    finite,
)
from reasonrec_core.pipeline.evaluate import EvaluatedRun, EvaluatedTask, list_primary_metrics
from reasonrec_core.pipeline.latency import compare_seconds, summarise_seconds
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.pipeline.reports import run_analyses
from reasonrec_core.pipeline.router_goal import describe_goal
from reasonrec_core.routing import FEATURE, Decisions, Router


def collect_results(run: EvaluatedRun) -> Results:
    """Everything that was measured, the first task in full."""
    prepared, agent, found, first = run.prepared, run.agent, run.tasks, run.first
    table: dict[str, dict[str, Estimate]] = {}
    chosen = agent.alone.get(first.task, (None,))[0]
    for each in found:
        for label, values in summarise_systems(prepared, each).items():
            table.setdefault(label, {}).update(values)
    return Results(
        version=VERSION,
        dataset=describe_dataset(prepared),
        protocol=describe_protocols([prepared.splits[each.task].protocol for each in found]),
        systems=table,
        metrics=describe_metrics(prepared),
        delegation=describe_delegation(run) if agent.policy else None,
        routing=describe_routing(agent.routers[first.task], first.routed) if first.routed is not None else None,
        seconds=SecondsByPart(
            fit={each.label: each.seconds for _, each in agent.parts},
            evaluate={f"{each.task} {label}": a.seconds for each in found for label, a in each.answers.items()},
        ),
        comparisons=tuple(row for each in found for row in compare_systems(prepared, each, chosen)),
        observe=tuple(describe_features(prepared)),
        roles=SystemRoles(
            routed="routed" if agent.routers else None,
            policy=agent.policy.label if agent.policy else None,
            chosen=chosen,
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


def describe_delegation(run: EvaluatedRun) -> DelegationSummary:
    """How much was delegated, and what that saved; there is a policy."""
    agent, timed, routed = run.agent, run.latency, run.first.routed
    if timed is None or routed is None:
        return DelegationSummary(share=0.0, latency_ratio=1.0)
    assert agent.policy is not None
    policy, delegate = agent.policy.label, agent.routers[run.first.task].delegate
    times = {"routed": timed.whole, "policy": timed.systems[policy], "delegate": timed.systems[delegate]}
    times |= {"self": timed.whole[~timed.replaced], "replace": timed.whole[timed.replaced]}
    return DelegationSummary(
        share=float(routed.replaced.mean()),
        latency_ratio=float(times["routed"].mean() / times["policy"].mean()),
        time=Estimate(**finite(vars(compare_seconds(times["routed"], times["policy"], run.config.seed)))),
        latency={name: summarise_seconds(values) for name, values in times.items() if len(values)},
    )


def describe_routing(router: Router[Any], routed: Decisions) -> RoutingResult:
    """The rule that decides who answers, and what it came to."""
    config, report = router.config, router.report
    return RoutingResult(
        kind=config.kind,
        stage=config.stage,
        delegate=" or ".join(router.delegates),
        estimators=tuple(name for name in router.signals if not name.startswith(FEATURE)),
        answer_features=any(name.startswith(FEATURE) for name in router.signals),
        asks=tuple(router.asks),
        threshold=float(report["level"]) if config.risk is not None else None,
        target=describe_goal(config, report.get("goal")),
        reached=float(routed.replaced.mean()),
        nothing=(report.get("goal") or {}).get("nothing"),
        consulted=float(routed.consulted.mean()),
        abstained=float(routed.abstained.mean()),
        validation=RouterReport.model_validate(report),
    )


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


def summarise_systems(prepared: Prepared, found: EvaluatedTask) -> dict[str, dict[str, Estimate]]:
    """Every metric of every system with its interval."""
    config = prepared.config
    return {
        label: {
            name: Estimate(**value)
            for name, value in summarise(scores, seed=config.seed, resamples=config.evaluate.resamples).items()
        }
        for label, scores in found.scores.items()
    }


def compare_systems(prepared: Prepared, found: EvaluatedTask, chosen: str | None) -> list[PairedComparison]:
    """The first system (routed, else the policy, else ``chosen``) against all others, and the second (the policy)."""
    labels = sorted(found.scores, key=lambda label: label != chosen)
    config, rows = prepared.config, list[Comparison]()
    for position, reference in enumerate(labels[:2]):
        others = {label: found.scores[label] for label in labels[position:]}
        if len(others) > 1:
            metrics, options = list_primary_metrics(prepared, found), config.evaluate
            rows += compare_all(others, reference, metrics, seed=config.seed, resamples=options.resamples)
    # One family: whoever reads the table picks from all of its rows.
    return [_turned(each) for each in correct(rows)]


def _turned(each: Comparison) -> PairedComparison:
    """As reference minus other, so that a positive difference speaks for the first system."""
    ends = {"low": -each.high, "high": -each.low}
    ends |= {"low_corrected": -each.high_corrected, "high_corrected": -each.low_corrected}
    same = {"metric": each.metric, "p": each.p, "p_corrected": each.p_corrected, "n": each.n}
    return PairedComparison(a=each.b, b=each.a, difference=-each.difference, **ends, **same)

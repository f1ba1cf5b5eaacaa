"""All that the report says, worked out: the templates only lay it out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reasonrec_core.evaluate.routing_schema import CalibrationResult
from reasonrec_core.evaluate.schema import ObservedFeature, Results
from reasonrec_core.report import curves, delegated, explanations, intervals, spoken, trusted, words
from reasonrec_core.report.cards import CardView, by_outcome, card_view
from reasonrec_core.report.faithfulness import FaithfulnessView, faithfulness_view
from reasonrec_core.report.folder import Run
from reasonrec_core.report.metrics import number, percent
from reasonrec_core.report.pictures import Pictures
from reasonrec_core.report.standing import Standing, Verdict
from reasonrec_core.report.tables import COLUMNS, SystemsTable, systems_table


@dataclass(frozen=True)
class Fact:
    """A term and what it is."""

    term: str
    value: str


@dataclass(frozen=True)
class Figure:
    """A number that stands out: ``meter`` is a share to draw as a bar, None for no bar."""

    label: str
    value: str
    note: str
    meter: float | None = None


@dataclass(frozen=True)
class Finding:
    """A comparison in words and its verdict on the main system."""

    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Ratio:
    """NDCG / HR of a system, and whether it is suspiciously near 1."""

    system: str
    value: str
    is_suspicious: bool


@dataclass(frozen=True)
class ReportView:
    """The content of the report. A part that is None or empty is left out of the page."""

    title: str
    subtitle: str
    verdict: str
    hits: str | None
    figures: tuple[Figure, ...]
    findings: tuple[Finding, ...]
    facts: tuple[Fact, ...]
    observed: tuple[ObservedFeature, ...]
    forest: intervals.Intervals | None
    table: SystemsTable
    all_metrics: SystemsTable
    definitions: tuple[tuple[str, str], ...]
    ratios: tuple[Ratio, ...]
    routing: tuple[str, ...]
    chart: delegated.Chart | None
    points: delegated.Table | None
    quarters: delegated.Table | None
    bills: delegated.Table | None
    costs_note: str
    seconds: tuple[tuple[str, tuple[Fact, ...]], ...]
    histogram: curves.Histogram | None
    trust: str | None
    calibration: CalibrationResult | None
    reliability: curves.Reliability | None
    before: curves.Reliability | None
    recalibrated: delegated.Table | None
    risk_coverage: curves.Curve | None
    aurc: float | None
    loss: str | None
    is_ctr: bool
    faithfulness: FaithfulnessView | None
    slices: tuple[intervals.Intervals, ...]
    successes: tuple[CardView, ...]
    failures: tuple[CardView, ...]
    explanations: tuple[explanations.Group, ...]
    pictures_note: str
    command: str
    config: str
    environment: tuple[Fact, ...]


def make_view(run: Run) -> ReportView:
    """Work out the report of ``run``."""
    results, standing = run.results, Standing(run.results)
    pictures = Pictures(run.images)
    successes, failures = (tuple(card_view(c, pictures) for c in cards) for cards in by_outcome(run.cards))
    columns = standing.columns(COLUMNS)
    routing, calibration, curve = results.routing, results.calibration, results.delegation_curve
    return ReportView(
        title=results.dataset.name,
        subtitle=_subtitle(run),
        verdict=words.verdict(standing),
        hits=words.hits(standing),
        figures=_figures(run, standing),
        findings=_findings(standing),
        facts=_facts(run),
        observed=results.observe,
        forest=intervals.forest(standing),
        table=systems_table(standing, columns),
        all_metrics=systems_table(standing, standing.metrics),
        definitions=words.definitions(columns),
        ratios=tuple(Ratio(s, f"{value:.3f}", high) for s, value, high in words.fingerprint(standing)),
        routing=_routing(results),
        chart=delegated.chart(curve) if curve else None,
        points=delegated.points_table(curve) if curve else None,
        quarters=delegated.quarters_table(curve, results.bills) if curve else None,
        bills=delegated.bills_table(results.bills) if results.bills else None,
        costs_note=spoken.costs_note(results.bills),
        seconds=_seconds(run),
        histogram=curves.risk_histogram(run.routes, routing.threshold if routing else None) if run.routes else None,
        trust=words.trust(results),
        calibration=calibration,
        reliability=curves.reliability(calibration, calibration.before) if calibration else None,
        before=trusted.diagram_before(calibration) if calibration else None,
        recalibrated=trusted.table(calibration) if calibration else None,
        risk_coverage=curves.risk_coverage(results.risk_coverage) if results.risk_coverage else None,
        aurc=results.risk_coverage.aurc if results.risk_coverage else None,
        loss=results.risk_coverage.loss if results.risk_coverage else None,
        is_ctr=standing.headline is not None and standing.headline.family in {"auc", "uauc", "logloss"},
        faithfulness=faithfulness_view(results.faithfulness),
        slices=intervals.slice_panels(standing),
        successes=successes,
        failures=failures,
        explanations=explanations.groups(run.explanations, pictures),
        pictures_note=_pictures_note(pictures),
        command=_command(run),
        config=run.config_text,
        environment=tuple(_flat(run.environment)),
    )


def _figures(run: Run, standing: Standing) -> tuple[Figure, ...]:
    """The few numbers to remember."""
    results, figures = run.results, []
    head = standing.headline
    found = standing.estimate(standing.main, head) if head else None
    if head and found:
        interval = f"95\N{NO-BREAK SPACE}% interval {number(found.low)} to {number(found.high)}"
        note = standing.main if found.low is None or found.high is None else f"{standing.main}, {interval}"
        figures.append(Figure(head.name, number(found.value), note))
    facts, routing = results.delegation, results.routing
    if routing and facts and facts.share is not None:
        figures.append(Figure("Delegated", percent(facts.share), f"to {routing.delegate or 'a delegate'}", facts.share))
    if routing and facts and facts.latency_ratio is not None:
        ratio = facts.latency_ratio
        figures.append(
            Figure("Time", f"× {ratio:.2f}", "of the policy alone, per request", ratio if ratio < 1 else None)
        )
    if results.calibration and results.calibration.ece is not None:
        figures.append(Figure("Calibration error", f"{results.calibration.ece:.3f}", "mean gap of stated and observed"))
    return tuple(figures)


def _findings(standing: Standing) -> tuple[Finding, ...]:
    head = standing.headline
    if head is None:
        return ()
    made = [d for rival in standing.rivals if (d := standing.difference(standing.main, rival, head))]
    return tuple(Finding(d.verdict, words.comparison(standing, d)) for d in made)


def _facts(run: Run) -> tuple[Fact, ...]:
    """What was run."""
    data, config = run.results.dataset, run.config
    counts = (("Users", data.users), ("Items", data.items), ("Interactions", data.interactions))
    task = config.get("evaluate", {}).get("tasks", []) if isinstance(config.get("evaluate"), dict) else []
    facts = [Fact("Data", data.name), *(Fact(name, f"{n:,}") for name, n in counts if n is not None)]
    if task:
        facts.append(Fact("Task", ", ".join(str(t) for t in task)))
    if run.results.protocol:
        facts.append(Fact("Protocol", run.results.protocol))
    if "seed" in config:
        facts.append(Fact("Seed", str(config["seed"])))
    if data.hash:
        facts.append(Fact("Data hash", data.hash[:16]))
    facts += [Fact(f"Left out: {reason}", f"{n:,}") for reason, n in run.results.left_out.items() if n]
    versions = run.environment.get("versions", run.environment)
    version = versions.get("reasonrec") if isinstance(versions, dict) else None
    return (*facts, Fact("ReasonRec", str(version))) if version else tuple(facts)


def _seconds(run: Run) -> tuple[tuple[str, tuple[Fact, ...]], ...]:
    found = run.results.seconds
    if found is None:
        return ()
    parts = (("Fitting", found.fit), ("Evaluating", found.evaluate))
    return tuple(
        (name, tuple(Fact(k, delegated.duration(v)) for k, v in spent.items())) for name, spent in parts if spent
    )


def _routing(results: Results) -> tuple[str, ...]:
    """What was delegated, why, what it cost and saved, how much more could be."""
    if results.routing is None:
        return ()
    routing = results.routing
    said = (spoken.what(results), spoken.price(results), spoken.saving(results), spoken.why(routing))
    rest = (spoken.consulting(routing), spoken.abstaining(results), spoken.more(results.delegation_curve))
    return tuple(each for each in (*said, *rest) if each)


def _subtitle(run: Run) -> str:
    """The data and the protocol in one line."""
    data = run.results.dataset
    counts = (("users", data.users), ("items", data.items), ("interactions", data.interactions))
    parts = [f"{n:,} {name}" for name, n in counts if n is not None]
    return " · ".join([*parts, words.protocol(run.results.protocol)] if run.results.protocol else parts)


def _pictures_note(pictures: Pictures) -> str:
    notes = []
    if pictures.refused:
        notes.append(
            f"{len(pictures.refused)} pictures were refused ({', '.join(sorted(set(pictures.refused.values())))})"
        )
    if pictures.left_out:
        notes.append(f"{pictures.left_out} were left out to keep this file small")
    return "; ".join(notes) + "." if notes else ""


def _command(run: Run) -> str:
    command = run.environment.get("command")
    if isinstance(command, list):
        return shlex.join(str(part) for part in command)
    return str(command) if command else "reasonrec run config.toml"


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[Fact]:
    """Nested settings as one list of facts."""
    facts: list[Fact] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            facts += _flat(value, "" if name == "versions" else f"{prefix}{name} ")
        elif name != "command" and value is not None:
            text = ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)
            facts.append(Fact(f"{prefix}{name}", text))
    return facts

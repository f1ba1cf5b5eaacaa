"""All that the report says, worked out: the templates only lay it out."""

from __future__ import annotations

from dataclasses import dataclass

from reasonrec_core.evaluate.schema import ObservedFeature
from reasonrec_report import (
    calibration_table,
    delegation_section,
    explanations,
    forest_plot,
    plots,
    routing_text,
    summary_text,
)
from reasonrec_report.cards import CardView, count_shown, group_by_outcome, make_card_view
from reasonrec_report.checks import Check, read_limits, run_checks
from reasonrec_report.faithfulness import FaithfulnessView, make_faithfulness_view, read_faithfulness
from reasonrec_report.flow import FlowStage, draw_flow
from reasonrec_report.leaderboard import Leaderboard, SystemsTable, Verdict, is_about_clicks, make_table
from reasonrec_report.load_run import Run
from reasonrec_report.metric_names import format_value
from reasonrec_report.number_format import format_percent, format_signed
from reasonrec_report.run_facts import (
    Fact,
    describe_command,
    flatten,
    list_about,
    list_facts,
    list_seconds,
    read_command,
)
from reasonrec_report.sections import CalibrationResult, ReportedResults
from reasonrec_report.thumbnails import Picture, Pictures
from reasonrec_report.verdict import Headline, make_headline

COLUMNS = 6
"""Metrics that the main table has room for."""


@dataclass(frozen=True)
class Figure:
    """A number that stands out: ``meter`` is a share to draw as a bar, None for no bar."""

    label: str
    value: str
    note: str
    meter: float | None = None


@dataclass(frozen=True)
class ComparisonView:
    """A comparison in words and its verdict on the main system."""

    verdict: Verdict
    text: str


@dataclass(frozen=True)
class LeakSign:
    """NDCG / HR of a system, and whether it is suspiciously near 1."""

    system: str
    value: str
    is_suspicious: bool


@dataclass(frozen=True)
class ReportView:
    """The content of the report. A part that is None or empty is left out of the page."""

    title: str
    run: str
    headline: Headline
    about: tuple[Fact, ...]
    words: tuple[tuple[str, str], ...]
    checks: tuple[Check, ...]
    flow: tuple[FlowStage, ...]
    figures: tuple[Figure, ...]
    findings: tuple[ComparisonView, ...]
    facts: tuple[Fact, ...]
    observed: tuple[ObservedFeature, ...]
    forest: forest_plot.Intervals | None
    table: SystemsTable
    all_metrics: SystemsTable
    definitions: tuple[tuple[str, str], ...]
    ratios: tuple[LeakSign, ...]
    routing: tuple[str, ...]
    chart: delegation_section.Chart | None
    points: delegation_section.DelegationTable | None
    quarters: delegation_section.DelegationTable | None
    costs: delegation_section.DelegationTable | None
    costs_note: str
    seconds: tuple[tuple[str, tuple[Fact, ...]], ...]
    histogram: plots.Histogram | None
    trust: str | None
    calibration: CalibrationResult | None
    reliability: plots.ReliabilityDiagram | None
    before: plots.ReliabilityDiagram | None
    recalibrated: delegation_section.DelegationTable | None
    risk_coverage: plots.Curve | None
    aurc: float | None
    loss: str | None
    is_ctr: bool
    faithfulness: FaithfulnessView | None
    slices: tuple[forest_plot.Intervals, ...]
    successes: tuple[CardView, ...]
    failures: tuple[CardView, ...]
    shown: tuple[str, str]
    explanations: tuple[explanations.ExplanationGroup, ...]
    pictures: tuple[Picture, ...]
    pictures_note: str
    command: str
    config: str
    environment: tuple[Fact, ...]


def make_view(run: Run) -> ReportView:
    """Work out the report of ``run``."""
    results, board = run.results, Leaderboard(run.results)
    pictures = Pictures(run.images)
    successes, failures = (tuple(make_card_view(c, pictures) for c in cards) for cards in group_by_outcome(run.cards))
    explained = explanations.group_explanations(run.explanations, pictures)
    columns = board.columns(COLUMNS)
    calibration, curve = results.calibration, results.delegation_curve
    if curve and not _is_enough(board):
        curve = curve.model_copy(update={"not_inferior": None})  # no mark for what cannot be told
    return ReportView(
        title=results.dataset.name,
        run=str(run.config.get("name", "")),
        headline=make_headline(results, read_command(run.environment), str(run.folder)),
        about=list_about(run, board),
        words=summary_text.explain_terms(board, results),
        checks=run_checks(results, read_limits(run.config)),
        flow=draw_flow(results, clicks=is_about_clicks(board.headline)),
        figures=_figures(run, board),
        findings=_findings(board),
        facts=list_facts(run),
        observed=results.observe,
        forest=forest_plot.draw_forest(board),
        table=make_table(board, columns),
        all_metrics=make_table(board, board.metrics),
        definitions=summary_text.list_definitions(columns),
        ratios=tuple(LeakSign(s, f"{value:.3f}", high) for s, value, high in summary_text.find_leak_signs(board)),
        routing=_routing(board, results),
        chart=delegation_section.draw_chart(curve) if curve else None,
        points=delegation_section.make_points_table(curve) if curve else None,
        quarters=delegation_section.make_quarters_table(curve, results.costs) if curve else None,
        costs=delegation_section.make_cost_table(results.costs) if results.costs else None,
        costs_note=routing_text.describe_costs(results.costs),
        seconds=list_seconds(run),
        histogram=plots.draw_decisions(curve.decisions) if curve and curve.decisions else None,
        trust=summary_text.describe_calibration(results, clicks=is_about_clicks(board.headline)),
        calibration=calibration,
        reliability=plots.draw_reliability(calibration, calibration.before) if calibration else None,
        before=calibration_table.draw_diagram_before(calibration) if calibration else None,
        recalibrated=calibration_table.make_calibration_table(calibration) if calibration else None,
        risk_coverage=plots.draw_risk_coverage(results.risk_coverage) if results.risk_coverage else None,
        aurc=results.risk_coverage.aurc if results.risk_coverage else None,
        loss=results.risk_coverage.loss if results.risk_coverage else None,
        is_ctr=is_about_clicks(board.headline),
        faithfulness=make_faithfulness_view(read_faithfulness(results)),
        slices=forest_plot.draw_slice_panels(board, results.slices),
        successes=successes,
        failures=failures,
        shown=_count_cards(results, len(successes), len(failures)),
        explanations=explained,
        pictures=pictures.used,
        pictures_note=_pictures_note(pictures, run.foreign_images),
        command=describe_command(run),
        config=run.config_text,
        environment=tuple(flatten(run.environment)),
    )


def _figures(run: Run, board: Leaderboard) -> tuple[Figure, ...]:
    """The few numbers to remember."""
    results, figures = run.results, []
    head = board.headline
    found = board.estimate(board.main, head) if head else None
    if head and found:
        interval = f"95\N{NO-BREAK SPACE}% interval {format_value(found.low)} to {format_value(found.high)}"
        note = board.main if found.low is None or found.high is None else f"{board.main}, {interval}"
        figures.append(Figure(head.name, format_value(found.value), note))
    facts, routing = results.delegation, results.routing
    if routing and facts and facts.share is not None:
        figures.append(
            Figure(
                "Handed over",
                format_percent(facts.share),
                f"to {routing.delegate or 'a delegate'}" if facts.share else "the policy answered everything",
                facts.share,
            )
        )
    if routing and facts and facts.share:
        time = routing_text.judge_time(results)
        change = facts.time.value if facts.time else None
        known = change is not None and time.effect in (routing_text.Effect.BETTER, routing_text.Effect.WORSE)
        value = (
            f"{format_signed(100 * (change or 0), 0)}\N{NO-BREAK SPACE}%"
            if known
            else "≈"
            if change is not None
            else "–"
        )
        figures.append(Figure("Time per request", value, time.text))
    if results.calibration and results.calibration.ece is not None:
        points = f"{100 * results.calibration.ece:.1f} points"
        gap = "mean gap between the confidence stated and how often it was right"
        if is_about_clicks(head):
            gap = "mean gap between the probability of a click and how often rows were clicked"
        what = "Probabilities are" if is_about_clicks(head) else "Confidence is"
        figures.append(Figure(f"{what} off by", points, gap))
    return tuple(figures)


def _findings(board: Leaderboard) -> tuple[ComparisonView, ...]:
    head = board.headline
    if head is None:
        return ()
    made = [d for rival in board.rivals if (d := board.difference(board.main, rival, head))]
    return tuple(ComparisonView(d.verdict, summary_text.describe_comparison(board, d)) for d in made)


def _routing(board: Leaderboard, results: ReportedResults) -> tuple[str, ...]:
    """What was delegated, why, what it cost and saved, how much more could be."""
    if results.routing is None:
        return ()
    routing = results.routing
    said = (
        routing_text.describe_delegation(results),
        routing_text.describe_batches(results),
        routing_text.describe_price(results),
        routing_text.describe_rule(routing),
    )
    rest = (
        routing_text.describe_consulting(results),
        routing_text.describe_abstention(results),
        routing_text.describe_rest(results.delegation_curve, enough=_is_enough(board)),
    )
    return tuple(each for each in (*said, *rest) if each)


def _is_enough(board: Leaderboard) -> bool:
    """Whether there is enough data to say what else could be done."""
    return summary_text.describe_shortage(board) is None


def _count_cards(results: ReportedResults, hits: int, misses: int) -> tuple[str, str]:
    found = results.analyses.get("cards", {})
    return count_shown(hits, found.get("hits"), "hits"), count_shown(misses, found.get("misses"), "misses")


def _pictures_note(pictures: Pictures, foreign: bool) -> str:
    notes = ["Pictures are not shown: their folder is not part of the run's data"] if foreign else []
    if pictures.refused:
        notes.append(
            f"{len(pictures.refused)} pictures could not be used ({', '.join(sorted(set(pictures.refused.values())))})"
        )
    if pictures.left_out:
        notes.append(f"{pictures.left_out} were left out to keep this file small")
    return "; ".join(notes) + "." if notes else ""

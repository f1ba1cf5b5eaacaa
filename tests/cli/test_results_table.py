"""The table that the core prints where no reporter gives one."""

from __future__ import annotations

import io

from rich.console import Console

from reasonrec_core.cli.results_table import render_table
from reasonrec_core.evaluate.schema import Results

SYSTEMS = {
    "popularity": {"NDCG@10": {"value": 0.1, "low": 0.05, "high": 0.15}, "HR@10": {"value": 0.2}},
    "routed": {"NDCG@10": {"value": 0.2, "low": 0.15, "high": 0.25}, "HR@10": {"value": 0.4}},
    "\x1b[2Jtoy": {"HR@10": {"value": None}, "MRR@10": {"value": 0.3}},
}
COMPARED = [{"a": "routed", "b": "popularity", "metric": "NDCG@10", "difference": 0.1, "p": 0.01, "p_corrected": 0.02}]


def printed(**more: object) -> list[str]:
    results = Results.model_validate({"dataset": {"name": "shop"}, "systems": SYSTEMS, **more})
    sink = io.StringIO()
    Console(file=sink, width=160).print(render_table(results))
    return [line.strip() for line in sink.getvalue().splitlines()]


def test_systems_by_compared_metrics_with_intervals_and_stars() -> None:
    title, header, *rows, note = printed(comparisons=COMPARED)
    assert title == "shop"
    assert header.split() == ["system", "NDCG@10"]
    assert rows[0].split() == ["routed", "0.2000", "0.1500–0.2500"]
    assert rows[2].split() == ["popularity", "0.1000*", "0.0500–0.1500"]
    assert note == "95 % intervals; against routed: * significantly different"


def test_a_difference_that_may_be_chance_has_no_star() -> None:
    assert not any("0.1000*" in row for row in printed(comparisons=[{**COMPARED[0], "p_corrected": 0.06}]))


def test_without_comparisons_the_first_metrics() -> None:
    lines = printed()
    assert lines[1].split() == ["system", "HR@10", "NDCG@10"]
    assert lines[3].split()[1:] == ["–", "–"]
    assert "\x1b" not in "".join(lines)

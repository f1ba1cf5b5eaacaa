from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import run_folders as folders
from reasonrec_report.reporter import HtmlReporter
from rich.console import Console

from reasonrec_core.components import Empty
from reasonrec_core.evaluate.schema import Results


def printed(metrics: dict[str, Any], width: int, *, colour: bool = False) -> str:
    sink = io.StringIO()
    console = Console(file=sink, width=width, force_terminal=colour, color_system="standard" if colour else None)
    results = Results.model_validate(metrics)
    reporter = HtmlReporter(Empty())
    console.print(
        reporter.tabulate(results),
        *reporter.summarise(results, Path("runs/none")),
        sep="\n",
        markup=False,
        highlight=False,
    )
    return sink.getvalue()


def test_a_wide_table_is_one_line_per_system() -> None:
    text = printed(folders.ranking_metrics(None), 160)
    lines = text.splitlines()
    names = [line.split()[0] for line in lines[2:7]]
    assert names == ["routed", "profile", "transitions", "implicit-als", "popularity"]
    assert "0.0920   0.0840–0.101" in lines[2]
    assert "0.0780 ▼ 0.0700–0.0868" in lines[3]
    assert "0.0905 ≈" in lines[4]
    assert "with 35\N{NO-BREAK SPACE}% handed to transitions" in text
    assert "a request takes 29\N{NO-BREAK SPACE}% less time" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_table_fits(width: int) -> None:
    lines = printed(folders.ranking_metrics(None), width).splitlines()
    assert max(len(line) for line in lines) <= width
    assert any(line.split() and line.split()[0] == "routed" for line in lines)
    assert any("0.0840–0.101" in line and "0.0920" not in line for line in lines)


def test_the_best_is_bold_and_intervals_are_dim() -> None:
    text = printed(folders.ranking_metrics(None), 160, colour=True)
    assert "\x1b[1m0.0920\x1b[0m" in text
    assert "\x1b[2m 0.0840–0.101" in text
    assert "\x1b[1m0.0905" not in text


def test_names_cannot_steer_the_terminal() -> None:
    metrics = folders.ranking_metrics(None)
    metrics["dataset"]["name"] = "\x1b[2J[red]boo[/red]"
    metrics["systems"]["\x1b]0;title\x07[bold]"] = {"NDCG@10": {"value": 0.2}}
    text = printed(metrics, 160)
    assert "\x1b" not in text
    assert "[red]boo[/red]" in text


def test_whether_the_steps_cause_the_answers() -> None:
    metrics = folders.ranking_metrics(None)
    assert "The cited history causes the answers" in printed(metrics, 160)
    metrics["analyses"]["faithfulness"] = {"skipped": "the steps of the policy 'x' cannot be edited"}
    assert "Faithfulness was not measured: the steps of the policy 'x' cannot be edited." in printed(metrics, 160)
    del metrics["analyses"]["faithfulness"]
    assert "aithful" not in printed(metrics, 160)


def test_a_leak_is_pointed_out() -> None:
    metrics = folders.ranking_metrics(None)
    metrics["systems"]["profile"].update({"NDCG@5": {"value": 0.093}, "HR@5": {"value": 0.1}})
    assert "profile: NDCG/HR is 0.930." in printed(metrics, 160)

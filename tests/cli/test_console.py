"""Where verbs print: what a pipe gets, what a hostile title can do, how bars are throttled."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_datasets.facts_table import print_facts
from reasonrec_doctor.tables import print_table
from rich.progress import Progress
from rich.table import Table

from reasonrec_core.cli import console
from reasonrec_core.cli.options import terminal


def test_a_table_in_a_pipe_is_not_squeezed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table("title", "text")
    table.add_row("x", "word " * 22)
    console.out.print(table)
    assert "word " * 21 in capsys.readouterr().out


def test_columns_sets_the_width(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    console.out.print(Table("title", "text", width=None), soft_wrap=False)
    console.out.print("word " * 30)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


@given(st.text())
def test_plain_text_cannot_steer_the_terminal(text: str) -> None:
    shown = console.plain(text)
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert len(shown) == len(text)
    assert all(a == b or b == "\N{REPLACEMENT CHARACTER}" for a, b in zip(text, shown, strict=True))


@given(st.text(st.characters(exclude_categories=())))
def test_one_line_is_one_line_that_any_terminal_can_show(text: str) -> None:
    shown = console.line(text)
    assert len(shown.splitlines()) <= 1
    assert "\t" not in shown
    shown.encode()


def test_no_break_spaces_stay_in_a_line() -> None:
    assert console.line(" 35\u00a0% \n of  it ") == "35\u00a0% of it"


def test_facts_and_tables_show_what_is_in_the_data_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts([("a\x1b", "[bold]b[/bold]")], "t\x9b")
    print_table(("key", "value"), [("x\x1b", "[red]y")])
    shown = capsys.readouterr().out
    assert "[bold]b[/bold]" in shown
    assert "[red]y" in shown
    assert not {"\x1b", "\x9b"} & set(shown)


def test_notes_are_kept_back_when_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    console.note("one")
    monkeypatch.setattr(terminal, "verbosity", -1)
    console.note("two")
    assert capsys.readouterr().err == "one\n"


def test_progress_in_a_pipe_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as progress:
        progress(1, 2, "fit")
    with console.progress(quiet=True) as progress:
        progress(1, 2, "fit")
    assert capsys.readouterr() == ("", "")


def test_steps_of_a_plan_are_counted_and_each_writes_a_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(plan=["fit chain", "evaluate chain", "report"]) as progress:
        progress(0, 1, "fit chain")
        progress(1, 3, "chain: epochs")
        progress(3, 3, "chain: epochs")
        progress(1, 1, "fit chain")
        progress(2, 5, "something else")
        progress(1, 1, "report")
    assert capsys.readouterr().err == "[1/3] fit chain 0:00\n[3/3] report 0:00\n"


def test_a_long_step_writes_a_line_every_minute_in_a_pipe_and_no_more(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("reasonrec_core.cli.console.time.monotonic", lambda: now[0])
    with console.progress(plan=["fit chain", "report"]) as progress:
        progress(0, 1, "fit chain")
        for second in range(131):
            now[0] = float(second)
            progress(second, 130, "chain: epochs")
        progress(1, 1, "fit chain")
    assert capsys.readouterr().err.splitlines() == [
        "[1/2] fit chain 1:00 / 2:10",
        "[1/2] fit chain 2:00 / 2:10",
        "[1/2] fit chain 2:10",
    ]
    with console.progress(plan=["fit chain"]) as progress:
        progress(0, 1, "fit chain")
        for minute in range(12 * 60):
            now[0] += 60.0
            progress(minute, 12 * 60, "chain: epochs")
    assert 20 < len(capsys.readouterr().err.splitlines()) < 70, "a night's step does not flood a log"


def test_what_a_step_reports_moves_its_bar_and_says_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    bars, now = Progress(console=console.Console(file=io.StringIO())), [0.0]
    monkeypatch.setattr("reasonrec_core.cli.console.time.monotonic", lambda: now[0])
    draw = console._Bars(bars, ["fit chain", "report"])
    draw(0, 1, "fit chain")
    draw(0, 10, "chain: epochs")
    now[0] = 12.0
    draw(1, 10, "chain: epochs")
    (task,) = bars.tasks
    assert task.description == r"\[1/2] fit chain 0:12 / 2:00"
    assert (task.completed, task.total) == (1, 10)


def test_bars_may_be_called_for_every_row_and_end_where_the_work_ends() -> None:
    bars = Progress(console=console.Console(file=io.StringIO()))
    draw = console._Bars(bars)
    updates = 0

    def count(*args: object, **kwargs: object) -> None:
        nonlocal updates
        updates += 1

    original, bars.update = bars.update, count  # type: ignore[method-assign, assignment]
    for done in range(1, 10_001):
        draw(done, 10_000, "fit")
    assert updates < 200
    bars.update = original  # type: ignore[method-assign]
    draw(10_000, 10_000, "fit")
    draw(3, 7, "[b]other[/b]")
    assert [(task.completed, task.total) for task in bars.tasks] == [(10_000, 10_000), (3, 7)]

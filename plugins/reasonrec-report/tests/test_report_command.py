"""``reasonrec report``: the page again, also in a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest
import run_folders as folders
from click.testing import CliRunner

from reasonrec_core.cli.main import cli
from reasonrec_core.errors import RunError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = folders.write_run(tmp_path / "run", folders.ranking_metrics(None))
    (made / "config.toml").write_text(
        'name = "shapes"\npolicy = "profile"\n[data]\npath = "shapes"\n', encoding="utf-8"
    )
    (made / "run.json").write_text('{"format": 3, "name": "shapes"}', encoding="utf-8")
    return made


def test_the_page_is_opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    done = CliRunner().invoke(cli, ["report", str(run), "--open"], catch_exceptions=False)
    assert opened == [(run / "report.html").resolve().as_uri()]
    assert "report.html" in done.output


def test_what_cannot_be_opened_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    with pytest.raises(RunError, match="no browser was found"):
        CliRunner().invoke(cli, ["report", str(run), "--open"], catch_exceptions=False)
    with pytest.raises(RunError, match="no reporter of this run writes a page"):
        CliRunner().invoke(cli, ["report", str(run), "--open", "--reporter", "slices"], catch_exceptions=False)


def test_files_that_went_elsewhere_are_named_where_they_are(run: Path, tmp_path: Path) -> None:
    CliRunner().invoke(cli, ["report", str(run)], catch_exceptions=False)
    done = CliRunner().invoke(cli, ["report", str(run), "--out", str(tmp_path / "copy")], catch_exceptions=False)
    assert [line for line in done.output.splitlines() if line.startswith("Report: ")] == [
        f"Report: {tmp_path / 'copy' / 'report.html'}"
    ]

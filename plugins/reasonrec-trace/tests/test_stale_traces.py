"""A trace in a run folder that is of another run, or of an earlier fit, is refused there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from reasonrec_trace.reader import open_trace

from reasonrec_core.cli.main import main
from reasonrec_core.errors import RunError


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("verb", [["show"], ["stats"], ["replay"]])
def test_of_an_earlier_fit(verb: list[str], finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    agent = run / "stages" / "agent" / "agent.json"
    change(agent, routers={"sequential": {"format": 0}})
    with pytest.raises(SystemExit) as left:
        main(["trace", *verb, str(run)])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert "the trace is not of this run as it was fitted last: its router differs. Create it again: reasonrec" in said
    assert said.count("\n") == 1
    assert open_trace(next(run.glob("trace.*"))).header.router  # whoever names the file means it


def test_of_other_data(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    assert open_trace(run).header.data
    change(run / "stages" / "data" / "dataset" / "manifest.json", hash="of other data")
    with pytest.raises(RunError, match="its data differs"):
        open_trace(run)

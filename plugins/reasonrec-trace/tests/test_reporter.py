"""The reporter ``trace``: its suite, its settings, and who asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reasonrec_trace import read_trace

from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.testing import ReporterConformance

from .conftest import pipeline, silent


class TestTraceReporter(ReporterConformance):
    component = "trace"


def run(data: Path, folder: Path, **changes: object) -> Path:
    config = check_config(pipeline(data, policy=None, router=None, **changes), "tiny.toml")
    run_pipeline(config, folder, Registry.discover(), silent)
    return folder


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        ({"format": "csv"}, r"trace\.format"),
        ({"formt": "jsonl"}, r"trace: unknown key 'formt'|trace\.formt"),
        ({"rows": 0}, r"trace\.rows"),
    ],
)
def test_wrong_settings_are_said_before_any_data_is_read(tmp_path: Path, trace: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run(tmp_path / "there are no data", tmp_path / "run", trace=trace)
    assert not (tmp_path / "run").exists()


def test_settings_may_stand_beside_its_name(data: Path, tmp_path: Path) -> None:
    listed = {"reporters": [{"name": "trace", "format": "jsonl", "history": 1}]}
    folder = run(data, tmp_path / "run", report=listed, trace={"history": 2})
    assert not (folder / "trace.parquet").exists()
    assert max(len(record.history) for record in read_trace(folder / "trace.jsonl")) == 2


def test_other_reporters_alone_leave_no_trace_unless_it_has_settings(data: Path, tmp_path: Path) -> None:
    folder = run(data, tmp_path / "without", report={"reporters": []})
    assert not list(folder.glob("trace*"))
    folder = run(data, tmp_path / "with", report={"reporters": []}, trace={"history": 2})
    assert (folder / "trace.parquet").exists()

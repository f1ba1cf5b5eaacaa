"""``[report.checks]`` on the real command line: the page's colours and the exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reasonrec_core.testing.tiny import tiny_dataset

TOYS = str(Path(__file__).parents[3] / "tests" / "toys")
PIPELINE = """
name = "checked"
policy = "toy"
delegates = ["popularity"]
data = {{ path = "{data}" }}

[evaluate]
k = [10]
resamples = 100

[report.checks]
"NDCG@10" = {{ min = {low} }}
"popularity/HR@10" = {{ max = 1.0 }}
"""


@pytest.mark.slow
def test_what_is_missed_fails_the_run_and_is_red(tmp_path: Path) -> None:
    data = tiny_dataset(tmp_path / "tiny").folder
    path = os.pathsep.join(filter(None, [TOYS, os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "PYTHONPATH": path, "REASONREC_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "reasonrec_core", "run", "pipeline.toml", "--out", "run"]
    for low, code, passed in ((0.0, 0, 2), (0.999, 3, 1)):
        (tmp_path / "pipeline.toml").write_text(PIPELINE.format(data=data, low=low), encoding="utf-8")
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stderr
        assert f"Checks: {passed} of 2 passed." in done.stdout
        assert ("check failed: NDCG@10 is " in done.stderr) is (code == 3)
        page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
        assert page.count("✓ Passed") == passed
        assert page.count("✗ Failed") == 2 - passed

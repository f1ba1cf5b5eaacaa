"""A disk that takes no more, for real: the system refuses to let files grow."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from reasonrec_core.io import is_leftover

PIPELINE = 'delegates = ["popularity"]\n[data]\npath = "shop"\n[evaluate]\nresamples = 100\nlatency_sample = 1\n'


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))


@pytest.mark.parametrize("verb", ["import", "fit"])
def test_one_message_and_nothing_half_written(verb: str, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    rows = "".join(f"user-{n % 50},item-{n * 7 % 31},{n}\n" for n in range(2000))
    (tmp_path / "shop" / "interactions.csv").write_text(f"user_id,item_id,timestamp\n{rows}")
    (tmp_path / "p.toml").write_text(PIPELINE)
    asked = {"import": ["data", "import", "shop"], "fit": ["fit", "p.toml"]}[verb]
    command = [sys.executable, "-B", "-m", "reasonrec_core", *asked, "--out", "out"]
    environment = {**os.environ, "REASONREC_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error:") == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert [path for path in tmp_path.rglob("*") if is_leftover(path.name)] == []

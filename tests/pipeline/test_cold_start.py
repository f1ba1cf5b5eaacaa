"""The first answer of a process imports only what it answers with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

UNWANTED = ("jinja2", "lightgbm", "pyarrow.dataset", "scipy.optimize", "scipy.stats", "sklearn", "torch", "yaml")


@pytest.mark.parametrize("more", [[], ["--why"], ["--json", "--candidates", "item-01,item-02"]])
def test_an_answer_imports_nothing_that_only_fitting_needs(finished: Path, more: list[str]) -> None:
    code = (
        "import sys\nfrom reasonrec_core.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as leave:\n    assert not leave.code\n"
        f"print('imported:', *sorted(set(sys.modules) & {set(UNWANTED)!r}))"
    )
    command = [sys.executable, "-c", code, "recommend", str(finished), "--user", "user-01", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["imported:"], done.stdout + done.stderr

"""Every benchmark imports what there is, and says how it is called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
IMPORT_ALL = """
import importlib, pathlib, sys, traceback
folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))
names = sorted(path.stem for path in folder.glob("*.py"))
for name in names:
    try:
        module = importlib.import_module(name)
    except Exception:
        print(name, traceback.format_exc())
    else:
        if not (module.__doc__ or "").strip():
            print(name, "has no docstring")
"""


def test_every_benchmark_can_be_imported_together_with_the_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(BENCHMARKS)], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert len(list(BENCHMARKS.glob("*.py"))) > 40

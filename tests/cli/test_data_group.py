"""The group ``data``: its verbs come from plugins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_help_of_the_group_imports_no_numpy() -> None:
    code = (
        "import sys\nfrom reasonrec_core.cli.main import main\n"
        "try:\n    main(['data', '--help'])\n"
        "except SystemExit as left:\n    assert not left.code\n"
        "print(sorted({'numpy', 'pyarrow', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "describe" in done.stdout
    assert "Examples:" in done.stdout


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        (
            "",
            "x.csv: the layout of this data is unknown. To read files: pip install reasonrec-datasets.",
        ),
        ('format = "tables"', "unknown format 'tables'. To read files: pip install"),
        ('[split]\nkind = "ratio"', "no splitter is called 'ratio'. It comes with reasonrec-datasets: pip install"),
        (None, "No such command 'import'. It comes with reasonrec-datasets: pip install reasonrec-datasets."),
    ],
)
def test_the_core_alone_says_what_to_install(pipeline: str | None, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("user_id,item_id\nu,a\n")
    (tmp_path / "x.toml").write_text(f'delegates = ["popularity"]\n[data]\npath = "x.csv"\n{pipeline}\n')
    call = ["data", "import", "x.csv"] if pipeline is None else ["run", "x.toml"]
    alone = {**os.environ, "REASONREC_LOAD_PLUGINS": "reasonrec-core"}
    command = [sys.executable, "-m", "reasonrec_core", *call]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=alone)
    assert done.returncode == 2
    assert words in done.stderr

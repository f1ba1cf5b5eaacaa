"""Executes the notebooks in a folder of their own and stores their outputs in place.

python examples/notebooks/execute.py [NAME ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
SECONDS = 300
"""Longest that a cell may take, on a machine that is busy with other things."""


def execute(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of a fresh kernel that runs in ``folder``, and no times."""
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(book, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)
    return book


def main() -> None:
    """Execute those that are named, or all."""
    for path in sorted(HERE.glob("*.ipynb")):
        if not sys.argv[1:] or path.stem in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as folder:
                nbformat.write(execute(path, Path(folder)), path)
            print(f"executed {path.name}")


if __name__ == "__main__":
    main()

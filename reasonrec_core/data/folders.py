"""Which folders may be written over."""

from __future__ import annotations

from pathlib import Path

from reasonrec_core.errors import DataError


def require_replaceable(folder: Path, marker: str) -> None:
    """Refuse to write to ``folder`` unless it is new, empty, or holds ``marker``, which shows that we made it."""
    if folder.is_file():
        raise DataError("is a file, not a folder", where=str(folder), fix="Name another output folder.")
    if folder.is_dir() and not (folder / marker).is_file() and any(folder.iterdir()):
        raise DataError(
            "holds other files, which would be lost", where=str(folder), fix="Name a new or empty output folder."
        )

"""Reading a run folder: every file checked, everything that is wrong with one said in a single message."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from reasonrec_core.data.storage import read_manifest
from reasonrec_core.errors import DataError, RunError
from reasonrec_core.evaluate.schema import Results, describe_invalid
from reasonrec_core.io import read_json
from reasonrec_report.card_schema import Card, Explanation
from reasonrec_report.sections import ReportedResults, read_sections

FIX = "Run the pipeline again, or restore the file."
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """What a run folder holds.

    Attributes:
        results: ``metrics.json``.
        cards: ``cards.json``.
        explanations: ``explanations.json``.
        config: ``config.toml``, resolved.
        config_text: the same as it stands in the file.
        environment: ``environment.json``.
        folder: that was read.
        images: the folder that the cards' images are relative to.
        foreign_images: whether ``metrics.json`` names one that is not of the run's data, so that none is read.
    """

    results: ReportedResults
    cards: tuple[Card, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    images: Path | None = None
    foreign_images: bool = False
    explanations: tuple[Explanation, ...] = ()


def read_run(folder: Path, results: Results | None = None) -> Run:
    """Read the run in ``folder``; ``results``: those of ``metrics.json``, which is required.

    A file that is there must be sound.

    Raises:
        RunError: the folder or ``metrics.json`` is missing, or a file cannot be read or holds something else.
    """
    if not folder.is_dir():
        raise RunError("there is no such run folder", where=str(folder), fix="Create one: reasonrec run PIPELINE.toml.")
    if not (folder / "metrics.json").is_file():
        raise RunError(
            "the run has no metrics.json: it was not finished, or the folder is not a run",
            where=str(folder),
            fix="Finish it: reasonrec run PIPELINE.toml.",
        )
    checked = read_sections(results or Results.read(folder))
    cards = _if_there(folder / "cards.json", lambda path: _parse(path, TypeAdapter(tuple[Card, ...])))
    explanations = _if_there(
        folder / "explanations.json", lambda path: _parse(path, TypeAdapter(tuple[Explanation, ...]))
    )
    text = _if_there(folder / "config.toml", _read_text) or ""
    config = _parse_toml(folder / "config.toml", text)
    root = Path(checked.dataset.images_root) if checked.dataset.images_root else None
    foreign = root is not None and not _belongs_to_data(root, folder, config)
    return Run(
        checked,
        cards or (),
        config,
        text,
        read_environment(folder),
        folder,
        None if foreign else root,
        foreign,
        explanations or (),
    )


def _belongs_to_data(images: Path, run: Path, config: dict[str, Any]) -> bool:
    """Whether a folder of pictures lies in the data that the run was made of, or is the one that this names.

    A report embeds pictures; one file of a run that was changed or came from elsewhere must not choose which.
    """
    try:
        if read_manifest(run / "stages" / "data" / "dataset")["images"] == str(images):
            return True
    except DataError:
        pass  # a run folder without its stages: the settings say where the data is
    named = config.get("data", {}).get("path") if isinstance(config.get("data"), dict) else None
    if not isinstance(named, str) or not Path(named).is_absolute():
        return False
    try:
        data = Path(named).resolve()
        return images.resolve().is_relative_to(data if data.is_dir() else data.parent)
    except (OSError, ValueError, RuntimeError):  # NUL bytes, names too long, loops of links
        return False


def read_environment(folder: Path) -> dict[str, Any]:
    """What a run was made with: ``environment.json``, empty where there is none."""
    return _if_there(folder / "environment.json", lambda path: _parse(path, TypeAdapter(dict[str, Any]))) or {}


def _if_there(path: Path, read: Callable[[Path], T]) -> T | None:
    return read(path) if path.exists() else None


def _parse(path: Path, kind: TypeAdapter[T]) -> T:
    try:
        return kind.validate_python(read_json(path))
    except DataError as error:
        raise RunError(error.what, where=error.where, fix=FIX) from error
    except ValidationError as error:
        raise RunError(describe_invalid(error), where=str(path), fix=FIX) from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot be read ({error})", where=str(path), fix=FIX) from error


def _parse_toml(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RunError(f"not valid TOML ({error})", where=str(path), fix=FIX) from error

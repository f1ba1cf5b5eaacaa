"""The run folder: finished stages are kept, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from reasonrec_core.config import PipelineConfig
from reasonrec_core.errors import DataError, RunError
from reasonrec_core.io import read_json, whole_folder, write_json, write_text

STAMP = "stage.json"
FORMAT = 1


@dataclass(frozen=True)
class Stage:
    """A finished piece of work: where it lies, how long it took, whether it was there already."""

    folder: Path
    seconds: float
    reused: bool
    notes: Mapping[str, Any]


class RunFolder:
    """One run: settings, stages, results.

    A stage is keyed by everything that it depends on; asking for it again with the same key gives back what is
    there, with another key makes it anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, config: PipelineConfig) -> RunFolder:
        """Start or go on with a run. A folder that holds something else is refused."""
        if path.exists() and not path.is_dir():
            raise RunError("this is a file, not a folder", where=str(path), fix="Choose another --out.")
        if path.is_dir() and any(path.iterdir()) and not (path / "run.json").exists():
            raise RunError("the folder holds something that is not a run", where=str(path), fix="Choose another --out.")
        write_json(path / "run.json", {"format": FORMAT, "name": config.name})
        write_text(path / "config.toml", tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)))
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open a run that exists."""
        if not path.is_dir():
            raise RunError("there is no such run folder", where=str(path), fix="Make one: reasonrec run PIPELINE.toml.")
        try:
            stamp = read_json(path / "run.json")
        except DataError as error:
            raise RunError("this folder is not a run", where=str(path), fix="Runs hold a run.json.") from error
        if not isinstance(stamp, dict) or stamp.get("format") != FORMAT:
            raise RunError("the run was made by another version", where=str(path), fix="Run the pipeline again.")
        return cls(path)

    def stage(
        self,
        name: str,
        key: str,
        make: Callable[[Path], Mapping[str, Any] | None],
        *,
        still_good: Callable[[Mapping[str, Any]], bool] = lambda notes: True,
    ) -> Stage:
        """Do a piece of work unless it is done.

        Args:
            name: of the stage, also its folder under ``stages/``.
            key: hash of all that it depends on.
            make: does the work in a fresh folder and may return notes (JSON) to keep.
            still_good: a further condition on the notes for reuse.
        """
        found = self.peek(name, key)
        if found is not None and still_good(found.notes):
            return found
        folder = self.path / "stages" / name
        begin = time.perf_counter()
        with whole_folder(folder, STAMP) as aside:
            notes = dict(make(aside) or {})
            seconds = time.perf_counter() - begin
            write_json(aside / STAMP, {"key": key, "seconds": seconds, "notes": notes})
        shutil.rmtree(self.path / "work" / name, ignore_errors=True)
        return Stage(folder, seconds, False, notes)

    def peek(self, name: str, key: str) -> Stage | None:
        """The stage if it is done under this key."""
        folder = self.path / "stages" / name
        if not (folder / STAMP).is_file():
            return None
        stamp = read_json(folder / STAMP)
        if stamp.get("key") != key:
            return None
        return Stage(folder, float(stamp["seconds"]), True, stamp["notes"])

    def work(self, name: str) -> Path:
        """A folder for checkpoints of unfinished work; gone when the stage of that name is done."""
        folder = self.path / "work" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

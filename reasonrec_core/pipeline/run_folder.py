"""The run folder: finished stages are kept, so that an interrupted run goes on where it stopped.

```text
RUN/run.json               format, name
RUN/config.toml            the settings
RUN/stages/<name>/         what a finished piece of work left, with stage.json: its key, and the hashes it is made of
RUN/work/<name>/           checkpoints of unfinished work
```
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from reasonrec_core import __version__
from reasonrec_core.config import PipelineConfig
from reasonrec_core.errors import ConfigError, DataError, RunError
from reasonrec_core.io import content_hash, read_json, whole_folder, write_json, write_text

STAMP = "stage.json"
FITTED = ("encoder", "policy", "delegate", "uncertainty")
"""First words of the stages that fit a component."""
FORMAT = 2
"""Raised when what lies in a run folder is no longer read as it was written. 1: reasonrec 0.1."""
EVERYTHING = "*"
"""Asks for every stage to be made anew."""
LOG = logging.getLogger("reasonrec.run")

Key = Mapping[str, Any]
"""What a stage depends on, by what it is called in a message: "settings", "code", "data"."""


@dataclass(frozen=True)
class Stage:
    """A finished piece of work.

    Attributes:
        folder: where it lies.
        seconds: that it took.
        reused: whether it was there already.
        notes: that were kept with it.
        identity: hash of all that it depends on, for stages that depend on it in turn.
    """

    folder: Path
    seconds: float
    reused: bool
    notes: Mapping[str, Any]
    identity: str


class RunFolder:
    """One run: settings, stages, results.

    A stage is keyed by everything that it depends on; asking for it again with the same key gives back what is
    there, with another key makes it anew.

    Args:
        path: of the folder.
        refit: stages to make anew whatever their keys: names of stages, labels of components, or `EVERYTHING`.
        say: is told which component is fitted again, and why.
    """

    def __init__(
        self, path: Path, *, refit: Collection[str] = (), say: Callable[[str], None] = lambda message: None
    ) -> None:
        self.path, self._refit, self.say = path, frozenset(refit), say

    @classmethod
    def create(cls, path: Path, config: PipelineConfig, **options: Any) -> RunFolder:
        """Start or go on with a run; the stages of another version's run are removed.

        Raises:
            RunError: something stands there that is not a run.
            ConfigError: a stage that shall be made anew is not one of this pipeline.
        """
        if path.exists() and not path.is_dir():
            raise RunError("this is a file, not a folder", where=str(path), fix="Choose another --out.")
        if path.is_dir() and any(path.iterdir()) and not (path / "run.json").exists():
            raise RunError("the folder holds something that is not a run", where=str(path), fix="Choose another --out.")
        run = cls(path, **options)
        run._require_known(config)
        if path.is_dir() and any(path.iterdir()) and _format(path) != FORMAT:
            for name in ("stages", "work", "added"):
                shutil.rmtree(path / name, ignore_errors=True)
            (path / "added.json").unlink(missing_ok=True)
        write_json(path / "run.json", {"format": FORMAT, "name": config.name, "reasonrec": __version__})
        settings = config.model_dump(mode="json", exclude_none=True)
        # A pipeline file names its data from where it lies, and this one lies elsewhere.
        settings["data"]["path"] = str(Path(config.data.path).absolute())
        write_text(path / "config.toml", tomli_w.dumps(settings))
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open a run that exists.

        Raises:
            RunError: there is none, or another version made it.
        """
        if not path.is_dir():
            raise RunError("there is no such run folder", where=str(path), fix="Make one: reasonrec run PIPELINE.toml.")
        found = _format(path)
        if found is None:
            raise RunError("this folder is not a run", where=str(path), fix="Runs hold a run.json.")
        if found != FORMAT:
            newer = isinstance(found, int) and found > FORMAT
            again = f"Make it anew: reasonrec run {path / 'config.toml'} --out {path}."
            raise RunError(
                f"the run has format {found}, this version of reasonrec reads format {FORMAT}",
                where=str(path),
                fix="Update it: pip install --upgrade reasonrec." if newer else again,
            )
        return cls(path)

    def stage(
        self,
        name: str,
        key: Key | str,
        make: Callable[[Path], Mapping[str, Any] | None],
        *,
        still_good: Callable[[Mapping[str, Any]], bool] = lambda notes: True,
    ) -> Stage:
        """Do a piece of work unless it is done.

        Args:
            name: of the stage, also its folder under ``stages/``.
            key: all that it depends on, by name; or a hash of it.
            make: does the work in a fresh folder and may return notes (JSON) to keep.
            still_good: a further condition on the notes for reuse.
        """
        parts = {} if isinstance(key, str) else {part: content_hash(value)[:16] for part, value in key.items()}
        whole = key if isinstance(key, str) else content_hash(key)
        folder, stamp, asked = self.path / "stages" / name, self._stamp(name), self._is_asked(name)
        if not asked and stamp.get("key") == whole and still_good(stamp["notes"]):
            return _stage(folder, stamp, reused=True)
        if stamp:
            self._tell(name, _why(parts, stamp, asked))
        begin = time.perf_counter()
        with whole_folder(folder, STAMP) as aside:
            notes = dict(make(aside) or {})
            seconds = time.perf_counter() - begin
            made = int(stamp.get("made", 0)) + asked
            stamp = {"key": whole, "parts": parts, "made": made, "seconds": seconds, "notes": notes}
            write_json(aside / STAMP, stamp)
        shutil.rmtree(self.path / "work" / name, ignore_errors=True)
        return _stage(folder, stamp, reused=False)

    def identity(self, name: str) -> str:
        """`Stage.identity` of a finished stage."""
        return _identity(read_json(self.path / "stages" / name / STAMP))

    def work(self, name: str) -> Path:
        """A folder for checkpoints of unfinished work; gone when the stage of that name is done."""
        folder = self.path / "work" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _stamp(self, name: str) -> dict[str, Any]:
        path = self.path / "stages" / name / STAMP
        return dict(read_json(path)) if path.is_file() else {}

    def _is_asked(self, name: str) -> bool:
        kind, _, label = name.partition("-")
        return bool({EVERYTHING, name, *([label] if kind in FITTED else [])} & self._refit)

    def _tell(self, name: str, why: str) -> None:
        if name.partition("-")[0] in FITTED:
            self.say(f"{name} is fitted again: {why}.")
        LOG.info("%s is made again: %s", name, why)

    def _require_known(self, config: PipelineConfig) -> None:
        """Refuse stages that no pipeline with these settings has."""
        fitted = (*config.delegates, *config.estimators, *([config.policy] if config.policy else []))
        labels = {*config.observe, *(each.label for each in fitted)}
        stages = {path.name for path in (self.path / "stages").glob("*")}
        stages |= {f"{kind}-{label}" for kind in FITTED for label in labels}
        unknown = sorted(self._refit - labels - stages - {EVERYTHING})
        if unknown:
            fix = f"It fits: {', '.join(sorted(labels))}."
            raise ConfigError(f"the pipeline has no stage {unknown[0]!r}", where="--refit", fix=fix)


def _format(path: Path) -> Any:
    """The format that a folder's run.json names, None where it is not a run."""
    try:
        stamp = read_json(path / "run.json")
    except DataError:
        return None
    return stamp.get("format") if isinstance(stamp, dict) else None


def _stage(folder: Path, stamp: Mapping[str, Any], *, reused: bool) -> Stage:
    return Stage(folder, float(stamp["seconds"]), reused, stamp["notes"], _identity(stamp))


def _identity(stamp: Mapping[str, Any]) -> str:
    """The key; another one each time that the stage was made anew for the asking."""
    return content_hash(stamp["key"], stamp["made"]) if stamp.get("made") else str(stamp["key"])


def _why(parts: Mapping[str, str], stamp: Mapping[str, Any], asked: bool) -> str:
    """What changed since a stage was made."""
    if asked:
        return "it was asked for"
    before: Mapping[str, str] = stamp.get("parts", {})
    changed = [name for name in parts if parts[name] != before.get(name)]
    return f"its {' and '.join(changed)} changed" if changed else "what it was fitted with changed"

"""The run folder: finished stages are kept, so that an interrupted run goes on where it stopped.

```text
RUN/run.json               format, name
RUN/run.lock               locked while the run is written; run.lock.json says by whom
RUN/config.toml            the settings
RUN/stages/<name>/         what a finished piece of work left, with stage.json: its key, and the hashes of its files
RUN/work/<name>/           checkpoints of unfinished work
```
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from reasonrec_core import __version__
from reasonrec_core.config import PipelineConfig
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, DataError, PluginError, ReasonRecError, RunError
from reasonrec_core.hookspecs import Kind
from reasonrec_core.io import (
    content_hash,
    is_leftover,
    read_json,
    remove,
    sweep_leftovers,
    whole_folder,
    write_json,
    write_text,
)
from reasonrec_core.pipeline.run_lock import HOLDER, LOCK, lock_run
from reasonrec_core.pipeline.stage_stamp import STAMP, Stamp, child, find_damage, stamp_folder
from reasonrec_core.plugins.checks import described
from reasonrec_core.registry import Registry

FITTED = ("encoder", "policy", "delegate", "uncertainty")
"""First words of the stages that fit a component."""
FORMAT = 3
"""Raised when what lies in a run folder is no longer read as it was written. 1: release 0.1; 2: stamps of no files."""
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
        stamp: what is known of it; ``stamp.identity`` is what stages depend on that are made of it.
        reused: whether it was there already.
    """

    folder: Path
    stamp: Stamp
    reused: bool


class RunFolder:
    """One run: settings, stages, results.

    A stage is keyed by everything that it depends on; asking for it again with the same key gives back what is
    there, with another key, or where its files are no longer what was written, makes it anew.

    Args:
        path: of the folder.
        refit: stages to make anew whatever their keys: names of stages, labels of components, or `EVERYTHING`.
        verify: read every file of a stage before it is used again, also those that nobody seems to have touched.
        say: is told which component is fitted again, and why.
        done: is told of every stage that is ready: its name, and whether it was there already.
    """

    def __init__(
        self,
        path: Path,
        *,
        refit: Collection[str] = (),
        verify: bool = False,
        say: Callable[[str], None] = lambda message: None,
        done: Callable[[tuple[str, bool]], None] = lambda stage: None,
    ) -> None:
        self.path, self._refit, self._verify, self.say, self._done = path, frozenset(refit), verify, say, done

    @classmethod
    @contextmanager
    def create(cls, path: Path, config: PipelineConfig, **options: Any) -> Iterator[RunFolder]:
        """Start or go on with a run, which nobody else writes meanwhile; another version's stages are removed.

        Raises:
            RunError: something stands there that is not a run, or somebody else writes it.
            ConfigError: a stage that shall be made anew is not one of this pipeline.
        """
        if path.exists() and not path.is_dir():
            raise RunError("this is a file, not a folder", where=str(path), fix="Choose another --out.")
        if _holds_other(path):
            raise RunError("the folder holds something that is not a run", where=str(path), fix="Choose another --out.")
        run = cls(path, **options)
        run._require_known(config)
        with run.locked():
            if _format(path) != FORMAT:
                for name in ("stages", "work", "added"):
                    shutil.rmtree(path / name, ignore_errors=True)
                (path / "added.json").unlink(missing_ok=True)
            write_json(path / "run.json", {"format": FORMAT, "name": config.name, "reasonrec": __version__})
            yield run

    @classmethod
    def open(cls, path: Path, **options: Any) -> RunFolder:
        """Open a run that exists; nothing is locked.

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
            what = f"the run has format {found}, this version of reasonrec reads format {FORMAT}"
            fix = "Update it: pip install --upgrade reasonrec." if newer else f"Create it again: {show_command(path)}."
            raise RunError(what, where=str(path), fix=fix)
        return cls(path, **options)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who writes the run, and delete what killed ones left half-written.

        Raises:
            RunError: somebody else does.
        """
        with lock_run(self.path):
            for folder in (self.path, *(path for path in self.path.iterdir() if path.is_dir())):
                sweep_leftovers(folder)  # what reporters wrote too: users/, trace/
            yield

    def keep_settings(self, config: PipelineConfig) -> None:
        """Write ``config.toml``: what the run is made with."""
        settings = config.model_dump(mode="json", exclude_none=True)
        # A pipeline file names its data from where it lies, and this one lies elsewhere.
        settings["data"]["path"] = str(Path(config.data.path).absolute())
        text, path = tomli_w.dumps(settings), self.path / "config.toml"
        if not path.is_file() or path.read_bytes() != text.encode():
            write_text(path, text)

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
        folder, asked = child(self.path / "stages", name), self._is_asked(name)
        stamp, why = self._find(folder, parts, whole, asked)
        if stamp is not None and not why and still_good(stamp.notes):
            stamp.restore_times(folder)
            self._done((name, True))
            return Stage(folder, stamp, reused=True)
        if stamp is not None or why:
            self._tell(name, why or "what it was fitted with changed")
        begin = time.perf_counter()
        with whole_folder(folder, *([STAMP] if stamp else [])) as aside:
            notes = dict(make(aside) or {})
            seconds = time.perf_counter() - begin
            made = (stamp.made if stamp else 0) + asked
            stamp = stamp_folder(aside, whole, parts=parts, made=made, seconds=seconds, notes=notes)
        shutil.rmtree(self.path / "work" / name, ignore_errors=True)
        self._done((name, False))
        return Stage(folder, stamp, reused=False)

    def _find(self, folder: Path, parts: Mapping[str, str], key: str, asked: bool) -> tuple[Stamp | None, str]:
        """The stamp of a stage, and why it has to be made anew; "" where it need not."""
        if not folder.exists():
            return None, ""
        try:
            stamp = Stamp.read(folder)
        except DataError:
            remove(folder)  # nothing in it can be told from damage
            return None, f"{STAMP} is damaged"
        if asked:
            return stamp, "it was asked for"
        if stamp.key != key:
            return stamp, stamp.tell_change(parts)
        return stamp, stamp.find_damage(folder, thorough=self._verify)

    def require_whole(self, name: str, identity: str | None = None, *, unread: Collection[str] = ()) -> Path:
        """The folder of a finished stage, for reading.

        Args:
            name: of the stage.
            identity: `Stamp.identity` that it must have; None where any will do.
            unread: see `Stamp.find_damage`.

        Raises:
            RunError: it is missing, damaged, or another than that.
        """
        folder, command = child(self.path / "stages", name), show_command(self.path)
        try:
            stamp = Stamp.read(folder)
            damage = stamp.find_damage(folder, unread=unread)
        except DataError as error:
            damage, stamp = error.what, None
        if damage:
            raise RunError(f"the stage {name} is damaged: {damage}", where=str(self.path), fix=f"Repair it: {command}.")
        if stamp is not None and identity not in {None, stamp.identity}:
            what = f"the stage {name} was created again, but the run was not finished"
            raise RunError(what, where=str(self.path), fix=f"Finish it: {command}.")
        return folder

    def load_part(self, registry: Registry, kind: Kind, name: str, folder: Path, catalog: Catalog) -> Any:
        """The component that a stage fitted, from ``folder`` in it.

        Raises:
            RunError: what lies there is damaged. PluginError: it is as the component left it, which yet fails.
        """
        stage = folder.relative_to(self.path / "stages").parts[0]
        again = f"Fit it again: {show_command(self.path)} --refit {stage}."
        with registry.guard(kind, name, "load"):
            try:
                return registry.load(kind, name).load(folder, catalog)
            except (RunError, DataError) as error:
                raise RunError(error.what, where=error.where, fix=again) from error
            except (ReasonRecError, MemoryError, ImportError):
                raise
            except Exception as error:
                if damage := find_damage(self.path / "stages" / stage, thorough=True):
                    raise RunError(f"the stage {stage} is damaged: {damage}", where=str(folder), fix=again) from error
                fix = f"{again} If it fails again, report it to its authors."
                raise PluginError(f"raised {described(error)}", fix=fix) from error

    def work(self, name: str) -> Path:
        """A folder for checkpoints of unfinished work; gone when the stage of that name is done."""
        folder = self.path / "work" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

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


def _holds_other(path: Path) -> bool:
    """Whether a folder holds something, and is no run, not even one that was killed at its start."""
    names = {child.name for child in path.iterdir()} if path.is_dir() else set()
    return "run.json" not in names and not all(name in {LOCK, HOLDER} or is_leftover(name) for name in names)


def show_command(path: Path) -> str:
    """The command that makes a run anew, where that is needed."""
    return f"reasonrec run {path / 'config.toml'} --out {path}"

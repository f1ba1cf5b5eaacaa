"""The stamp of a finished stage: what it was made of, and its files as they were, so that damage is found."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from reasonrec_core.errors import DataError, RunError
from reasonrec_core.io import content_hash, read_json, sha256_of, write_json

STAMP = "stage.json"


class FileFacts(BaseModel):
    """A file as it was written: size in bytes, time of the last change in nanoseconds, SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int
    time: int
    sha256: str


class Stamp(BaseModel):
    """What is known of a stage.

    Attributes:
        key: hash of all that it depends on.
        parts: hashes of what that is, by name.
        made: how many times it was made anew for the asking.
        seconds: that it took.
        notes: that were kept with it.
        files: by their path below its folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: str
    parts: dict[str, str] = {}
    made: int = 0
    seconds: float = 0.0
    notes: dict[str, Any] = {}
    files: dict[str, FileFacts]

    @property
    def identity(self) -> str:
        """The key; another one each time that the stage was made anew for the asking."""
        return content_hash(self.key, self.made) if self.made else self.key

    @classmethod
    def read(cls, folder: Path) -> Stamp:
        """The stamp of the stage in ``folder``.

        Raises:
            DataError: missing or damaged.
        """
        found = read_json(folder / STAMP)
        check = found.pop("check", None) if isinstance(found, dict) else None
        try:
            stamp = cls.model_validate(found)
        except ValidationError as error:
            raise DataError("is not a stamp", where=str(folder / STAMP)) from error
        if check != content_hash(found):
            raise DataError("was changed", where=str(folder / STAMP))
        return stamp

    def find_damage(self, folder: Path, *, thorough: bool = False, unread: Collection[str] = ()) -> str:
        """What is wrong with a file of the stage, in words; "" where all are as they were written.

        A file of the right size that nobody wrote to since is taken for whole, one that is newer or older (a copy)
        is read.

        Args:
            folder: of the stage.
            thorough: read every file, whatever its time.
            unread: suffixes of files that are not read.
        """
        for name, facts in self.files.items():
            path = folder / name
            try:
                now = path.stat()
                if not path.is_file() or now.st_size != facts.size:
                    return f"{name} is damaged"
                untouched = now.st_mtime_ns == facts.time or path.suffix in unread
                if (thorough or not untouched) and sha256_of(path) != facts.sha256:
                    return f"{name} is damaged"
            except FileNotFoundError:
                return f"{name} is missing"
            except OSError as error:
                return f"{name} cannot be read ({error.strerror})"
        return ""

    def restore_times(self, folder: Path) -> None:
        """Give files that were found whole the times that they were written at: a copy is not read each time."""
        for name, facts in self.files.items():
            with suppress(OSError):
                if (folder / name).stat().st_mtime_ns != facts.time:
                    os.utime(folder / name, ns=(facts.time, facts.time))

    def tell_change(self, parts: Mapping[str, str]) -> str:
        """What changed since the stage was made."""
        changed = [name for name in parts if parts[name] != self.parts.get(name)]
        return f"its {' and '.join(changed)} changed" if changed else "what it was fitted with has changed"


def find_damage(folder: Path, **how: Any) -> str:
    """`Stamp.find_damage` of a folder, whose stamp may be what is damaged."""
    try:
        return Stamp.read(folder).find_damage(folder, **how)
    except DataError as error:
        return f"{STAMP} {error.what}"


def stamp_folder(folder: Path, key: str, **known: Any) -> Stamp:
    """Stamp a folder, with its files as they are; ``known`` are further fields of `Stamp`."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / STAMP):
        now = path.stat()
        files[path.relative_to(folder).as_posix()] = FileFacts(
            size=now.st_size, time=now.st_mtime_ns, sha256=sha256_of(path)
        )
    stamp = Stamp(key=key, files=files, **known)
    write_json(folder / STAMP, stamp.model_dump() | {"check": content_hash(stamp.model_dump())})
    return stamp


def child(folder: Path, name: object) -> Path:
    """A file or folder directly below ``folder``, by a name that a file of the run may have given.

    Raises:
        RunError: the name leads elsewhere.
    """
    if not isinstance(name, str) or name in {"", ".", ".."} or {"/", "\\", "\0", ":"} & set(name):
        fix = "The run folder was not written by reasonrec, or is damaged."
        raise RunError(f"no file in it can be called {name!r}", where=str(folder), fix=fix)
    return folder / name

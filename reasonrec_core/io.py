"""Files and folders that appear whole or not at all and never in the place of somebody else's, and content hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

from reasonrec_core.errors import DataError

WEEK = 7 * 24 * 3600.0
NO_ARRAY = (OSError, ValueError, EOFError, TypeError, AttributeError, SyntaxError, TokenError, BadZipFile, zlib.error)
"""What numpy was seen to raise where a file holds no arrays."""
_ASIDE = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)\.[a-z0-9_]{8}", re.DOTALL)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` if the block succeeds, delete it if not.

    Raises:
        DataError: a folder, pipe or device stands at ``path``, or it cannot be written.
    """
    with _refusals(path):
        _require_file(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=_name_aside(path), dir=path.parent)
        os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o644)
        _require_file(path)
        os.replace(aside, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *markers: str, first_stays: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; put it in the place of ``path`` if the block succeeds.

    Args:
        path: a link to a folder is followed.
        markers: see `require_replaceable`.
        first_stays: whether what another process made meanwhile is left there, for it is the same.

    Raises:
        DataError: what stands at ``path`` may not be replaced, or cannot be written.
    """
    with _refusals(path):
        path = Path(os.path.realpath(path))
        if not first_stays:
            require_replaceable(path, *markers)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=_name_aside(path), dir=path.parent))
    try:
        yield aside
        aside.chmod(0o755)
        if not first_stays:
            require_replaceable(path, *markers)
        _put_in_place(aside, path, first_stays)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def require_replaceable(folder: Path, *markers: str) -> None:
    """Refuse to write to ``folder`` unless it is new, empty, or one that we made.

    Args:
        folder: that is to be written.
        markers: files or folders that all lie in a folder that we made; without any, nothing is replaced.

    Raises:
        DataError: something else stands there.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        kind = "a file" if folder.is_file() else "a pipe or a device"
        raise DataError(f"is {kind}, not a folder", where=str(folder), fix="Name another output folder.")
    if markers and all((folder / marker).exists() for marker in markers):
        return
    if any(folder.iterdir()):
        what = "holds other files, which would be lost"
        raise DataError(what, where=str(folder), fix="Name a new or empty output folder.")


def _require_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise DataError(f"is {kind}, not a file", where=str(path), fix="Name another output file.")


def _put_in_place(aside: Path, path: Path, first_stays: bool) -> None:
    """Rename ``aside`` to ``path``; what was there is deleted, or comes back if that fails."""
    if first_stays or not path.exists():
        try:
            os.replace(aside, path)
        except OSError as error:  # no look beforehand: what others write and delete may come between
            if not first_stays or not (error.errno == errno.ENOTEMPTY or path.is_dir()):
                raise
        return
    old = Path(tempfile.mkdtemp(prefix=_name_aside(path), dir=path.parent))
    os.replace(path, old / "old")
    try:
        os.replace(aside, path)
    except OSError:
        os.replace(old / "old", path)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _name_aside(path: Path) -> str:
    """What the name of a file or folder begins with that will become ``path``: it says whose it is."""
    # File systems allow 255 bytes, and what stands aside is recognised by its end.
    name = path.name.encode()[:180].decode(errors="ignore")
    return f".{name}.{_host()}-{os.getpid()}."


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def is_leftover(name: str) -> bool:
    """Whether a file or folder is one that `whole_file` or `whole_folder` made, and that was not finished."""
    return _ASIDE.fullmatch(name) is not None


def sweep_leftovers(folder: Path) -> None:
    """Delete what processes that were killed left half-written in ``folder``; what others are writing stays.

    Of another machine's processes it is not known whether they live: what they left is deleted after a week.
    """
    try:
        there = list(folder.iterdir())
    except OSError:
        return  # none, or not for us: whoever writes there says so
    for path in there:
        found = _ASIDE.fullmatch(path.name)
        if found is None:
            continue
        with suppress(OSError):
            old = time.time() - path.lstat().st_mtime > WEEK
            if old or (found["host"] == _host() and not _is_alive(int(found["pid"]))):
                remove(path)


def _is_alive(pid: int) -> bool:
    if os.name != "nt":  # there, asking is killing
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass
    return True


def remove(path: Path) -> None:
    """Delete a file, a link, or a folder with all that it holds; what is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with whole_file(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON (sorted keys, no NaN), whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


@contextmanager
def refuse_unreadable(path: Path, *, fix: str | None = None) -> Iterator[None]:
    """While ``path`` is read: a file that is missing, unreadable or no longer gzip is a `DataError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError("the file does not exist", where=str(path), fix=fix) from error
    except (OSError, EOFError, zlib.error) as error:
        if path.suffix == ".gz" and not isinstance(error, PermissionError):
            fix = "The file is damaged or not gzip: download it again."
            raise DataError(f"cannot be decompressed ({error})", where=str(path), fix=fix) from error
        why = getattr(error, "strerror", None) or error
        raise DataError(f"cannot be read ({why})", where=str(path), fix=fix) from error


def read_json(path: Path) -> Any:
    """Read JSON; a missing or broken file is a `DataError` that names the place."""
    try:
        with refuse_unreadable(path):
            return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # also no UTF-8, numbers of thousands of digits, lists without end
        place = f":{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"not valid JSON ({getattr(error, 'msg', error)})", where=f"{path}{place}") from error


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write numpy arrays by name as an ``.npz`` without objects, whole or not at all."""
    import numpy as np

    with whole_file(path) as aside, aside.open("wb") as stream:
        np.savez(stream, **arrays)


def read_arrays(path: Path) -> dict[str, Any]:
    """Read what `write_arrays` wrote; a missing or damaged file, or one with objects in it, is a `DataError`."""
    with _refuse_no_array(path) as numpy, numpy.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_array(path: Path, *, mapped: bool = False) -> Any:
    """An array of an ``.npy`` (memory-mapped on demand); a missing or damaged file is a `DataError`."""
    with _refuse_no_array(path) as numpy:
        return numpy.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)


@contextmanager
def _refuse_no_array(path: Path) -> Iterator[Any]:
    import numpy as np

    try:
        yield np
    except (*NO_ARRAY, MemoryError, RecursionError) as error:  # a damaged header may ask for any number of bytes
        what = f"cannot be read ({' '.join(str(error).split())[:200]})"
        raise DataError(what, where=str(path), fix="Run the pipeline again.") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_folder(folder: Path, leave_out: Collection[str] = ()) -> str:
    """A hash of names and contents of a file, or of all below a folder but compiled Python and the names left out."""
    below = [folder] if folder.is_file() else folder.rglob("*")
    files = sorted(p for p in below if p.is_file() and "__pycache__" not in p.parts)
    return content_hash(*([str(p.relative_to(folder)), sha256_of(p)] for p in files if p.name not in leave_out))


def content_hash(*parts: object) -> str:
    """A stable 64-digit hash of JSON-able values and byte strings, in order."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True, default=str).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> DataError:
    why = error.strerror or error
    if isinstance(error, shutil.Error):  # of a folder that was copied: all that failed, of which the first will do
        why = str(error.args[0][0][2]).partition(":")[0]
    fix = "Check the folder's permissions and free space."
    return DataError(f"cannot be written ({why})", where=str(path), fix=fix)


def cache_folder() -> Path:
    """Where imported data sets and item features are kept: ``REASONREC_CACHE``, else the user's cache folder."""
    if named := os.environ.get("REASONREC_CACHE"):
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reasonrec"
    except RuntimeError as error:
        fix = "Set REASONREC_CACHE to a writable folder."
        raise DataError("there is no home folder for a cache", fix=fix) from error

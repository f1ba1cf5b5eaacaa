"""One writer a run folder: an operating system's lock, which ends with its process however that ends."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from reasonrec_core.errors import DataError, RunError
from reasonrec_core.io import read_json

LOCK = "run.lock"
HOLDER = "run.lock.json"
"""Who holds the lock: a file of its own, for Windows lets nobody read what is locked."""


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder, which is made where it is not there.

    Raises:
        RunError: somebody else holds it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _take(folder / LOCK)
        if handle is not None:
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
            (folder / HOLDER).write_text(json.dumps(holder), encoding="utf-8")
    except OSError as error:
        fix = "Check its permissions and free space, or choose another --out."
        raise RunError(f"cannot be written ({error.strerror or error})", where=str(folder), fix=fix) from error
    if handle is None:
        fix = "Wait until it has ended, or choose another --out."
        raise RunError(f"the run is being written by {_holder(folder)}", where=str(folder), fix=fix)
    try:
        yield
    finally:
        # The lock's own file stays: one who waits for it may have opened it already.
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        os.close(handle)


def _take(path: Path) -> int | None:
    """The open, locked file; None where somebody else has locked it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(handle)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:  # deleted with its folder, between opening and locking: open it anew
            os.close(handle)
            continue
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(folder: Path) -> str:
    """Who holds the lock, in words."""
    try:
        holder = read_json(folder / HOLDER)
        return f"process {int(holder['pid'])} on {holder['host']} since {holder['since']}"
    except (DataError, KeyError, TypeError, ValueError):
        return "another process"


def _now() -> str:
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")

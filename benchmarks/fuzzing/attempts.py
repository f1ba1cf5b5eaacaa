"""One command on hostile input: what it said, how it ended, what it left; and what is wrong with that."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from types import FrameType

from reasonrec_core.cli.main import _exit_code
from reasonrec_core.cli.options import TURNING
from reasonrec_core.io import is_leftover

SECONDS, BYTES = 30, 2 << 30
"""What one command may take."""
LONGEST = 2500
"""Characters of an error message that somebody still reads."""
ERROR = re.compile(r"^(error|Error|internal error): ", re.MULTILINE)
BLAMING = ("Traceback (most recent", "defect of reasonrec", "internal error", "Report it to its authors", "Warning: ")
"""What is said where an exception was not expected; none of it is the input's fault."""
MAY_END_WITH_1 = ("data", "check")
"""The one verb that documents exit code 1: the data is not safe."""


@dataclass(frozen=True)
class Case:
    """A command on a hostile input.

    Attributes:
        arguments: of the command line.
        out: what the command makes; nothing may stand there when it fails.
        kept: folders in which nothing may be half-written.
    """

    arguments: Sequence[str]
    out: Path | None = None
    kept: Sequence[Path] = field(default=())


class TooLong(BaseException):
    """The time is up."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float


def call(arguments: Sequence[str]) -> Ended:
    """Run the command line in this process, as a process of its own would, for at most `SECONDS`."""
    streams = [
        io.TextIOWrapper(io.BytesIO(), "utf-8", how, write_through=True) for how in ("strict", "backslashreplace")
    ]
    begin = time.perf_counter()

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TooLong

    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]), warnings.catch_warnings():
            warnings.simplefilter("always")
            for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
                warnings.simplefilter("ignore", kind)
            code = _exit_code(list(arguments))
    except TooLong:
        code = -1
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    said = []
    for stream in streams:
        stream.flush()
        raw = stream.buffer
        assert isinstance(raw, io.BytesIO)
        said.append(raw.getvalue().decode("utf-8", "backslashreplace"))
    return Ended(code, said[0], said[1], time.perf_counter() - begin)


def call_process(arguments: Sequence[str]) -> Ended:
    """Run the command line as a process of its own, in `SECONDS` and `BYTES`."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "reasonrec_core", *arguments]
    limit = partial(resource.setrlimit, resource.RLIMIT_DATA, (BYTES, BYTES))
    environment = {**os.environ, "TMPDIR": tempfile.gettempdir(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, preexec_fn=limit, env=environment, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return Ended(-1, "", "", SECONDS)
    said = [stream.decode("utf-8", "backslashreplace") for stream in (done.stdout, done.stderr)]
    return Ended(done.returncode, said[0], said[1], time.perf_counter() - begin)


def find_faults(case: Case, ended: Ended) -> Iterator[str]:
    """What a command did that it may not do, in words."""
    documented = {0, 1, 2} if tuple(case.arguments[:2]) == MAY_END_WITH_1 else {0, 2}
    if ended.code == -1:
        yield f"took more than {SECONDS} s"
    elif ended.code not in documented:
        yield f"exit code {ended.code}: {ended.err.strip()[-400:]}"
    for word in BLAMING:
        if word in ended.err + ended.out:
            yield f"says {word!r}: {ended.err.strip()[-400:]}"
    messages = len(ERROR.findall(ended.err))
    if ended.code in {0, 2} and messages != (ended.code == 2):
        yield f"{messages} messages at exit code {ended.code}: {ended.err.strip()[-400:]}"
    if ended.code == 2 and len(ended.err) > LONGEST:
        yield f"a message of {len(ended.err):,} characters: {ended.err[:300]}"
    if "not enough memory" in ended.err:
        yield "ran out of memory"
    if steering := sorted({c for c in ended.out + ended.err if _steers(c)}):
        yield f"raw characters that steer a terminal: {steering}"
    if (peak := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024) > BYTES:
        yield f"the process has taken {peak:,} bytes"
    if ended.code != 0 and case.out is not None and os.path.lexists(case.out):
        yield f"left {case.out.name}"


def _steers(character: str) -> bool:
    return character not in "\n\t" and (unicodedata.category(character) in {"Cc", "Cs"} or character in TURNING)


def find_remains(case: Case, temporary: Path) -> Iterator[str]:
    """What a command left behind, half-written or in the folder for temporary files."""
    for folder in (*case.kept, *([case.out.parent] if case.out else [])):
        for path in folder.rglob("*"):
            if is_leftover(path.name):
                yield f"left {path.name} half-written"
    for path in temporary.iterdir():
        yield f"left {path.name} in the folder for temporary files"


def try_once(
    make: Callable[[Path, Random], Case],
    place: Path,
    chance: Random,
    run: Callable[[Sequence[str]], Ended] = call,
) -> tuple[int, list[str]]:
    """Make a case in a fresh folder and run it: the exit code, and what is wrong; nothing is left there."""
    folder, temporary = place / "case", place / "tmp"
    for each in (folder, temporary):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    before, tempfile.tempdir = tempfile.tempdir, str(temporary)
    try:
        case = make(folder, chance)
        ended = run(case.arguments)
        shown = " ".join(repr(word) if not word.isalnum() else word for word in case.arguments)
        faults = [*find_faults(case, ended), *find_remains(case, temporary)]
        return ended.code, [f"{fault} [{shown[:300]}]" for fault in faults]
    finally:
        tempfile.tempdir = before
        sys.stdout.flush()

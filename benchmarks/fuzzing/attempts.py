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
from pathlib import Path
from random import Random
from types import FrameType

from reasonrec_core.cli.main import _exit_code
from reasonrec_core.cli.options import TURNING
from reasonrec_core.io import is_leftover

SECONDS, BYTES = 30, 2 << 30
"""What one command may take: of a processor's time, for others may use the machine, and of memory."""
PATIENCE = 4
"""How many times as long it may take by the clock."""
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
    """How a command ended: what it said, the seconds it took, and the most bytes of memory its process has had."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int = 0


def call(arguments: Sequence[str]) -> Ended:
    """Run the command line in this process, as a process of its own would, in `SECONDS`."""
    streams = [
        io.TextIOWrapper(io.BytesIO(), "utf-8", how, write_through=True) for how in ("strict", "backslashreplace")
    ]
    begin = time.perf_counter()

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TooLong

    old = [signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)]
    signal.alarm(SECONDS * PATIENCE)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
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
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in zip((signal.SIGALRM, signal.SIGPROF), old, strict=True):
            signal.signal(number, handler)
    said = []
    for stream in streams:
        stream.flush()
        raw = stream.buffer
        assert isinstance(raw, io.BytesIO)
        said.append(raw.getvalue().decode("utf-8", "backslashreplace"))
    return Ended(code, said[0], said[1], time.perf_counter() - begin, measure_peak())


def measure_peak() -> int:
    """The most bytes of memory that this process has had; `getrusage` may count what the process that began it had."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def call_process(arguments: Sequence[str]) -> Ended:
    """Run the command line as a process of its own, in `SECONDS` and `BYTES`."""
    command = [sys.executable, "-m", "reasonrec_core", *arguments]
    environment = {**os.environ, "TMPDIR": tempfile.gettempdir(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    with tempfile.TemporaryFile(dir="/tmp") as out, tempfile.TemporaryFile(dir="/tmp") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, preexec_fn=limit, env=environment)
        late = time.perf_counter() + SECONDS * PATIENCE
        while (found := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            time.sleep(0.02)
            if time.perf_counter() > late:
                process.kill()
        code = process.returncode = os.waitstatus_to_exitcode(found[1])
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode("utf-8", "backslashreplace"))
    code = -1 if code in {-signal.SIGXCPU, -signal.SIGKILL} else code
    return Ended(code, said[0], said[1], found[2].ru_utime + found[2].ru_stime, found[2].ru_maxrss * 1024)


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
    if ended.peak > BYTES:
        yield f"the process has taken {ended.peak:,} bytes"
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

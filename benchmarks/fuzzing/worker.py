"""Tries cases in a process of its own, and says after each what is wrong: a JSON line a case.

``python -m fuzzing.worker SEED READER:FIRST:LAST ...`` from the folder of benchmarks; ``--processes`` runs each command
as a process under limits. ``python -m fuzzing.worker --bombs`` tries `bombs.SMALL`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from fuzzing.attempts import Case, call, call_process, try_once
from fuzzing.bombs import SMALL
from fuzzing.runs import Runs
from fuzzing.tables import MAKERS, make_case

READERS = (*MAKERS, "toml", "yaml", "json", "set", "run")
MOST_MEMORY = 6 << 30
"""Where the machine is spared; a case that takes more than `attempts.BYTES` is wrong already."""


def main(seed: int, plans: list[str], processes: bool) -> None:
    """Try the cases of each reader from the first up to the last, exclusive."""
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    report = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        place = Path(name)
        os.environ["REASONREC_CACHE"] = str(place / "cache")
        runs: list[Runs] = []
        for plan in plans:
            reader, first, last = plan.split(":")
            make = choose_maker(reader, place, runs)
            for number in range(int(first), int(last)):
                print(json.dumps({"reader": reader, "begin": number}), file=report)
                begin, chance = time.perf_counter(), Random(f"{reader} {seed} {number}")
                code, faults = try_once(make, place, chance, call_process if processes else call)
                said = {"reader": reader, "case": number, "code": code, "faults": faults}
                print(json.dumps({**said, "seconds": time.perf_counter() - begin}), file=report)


def try_bombs() -> None:
    """Try the small bombs, one after the other."""
    report = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        os.environ["REASONREC_CACHE"] = str(Path(name) / "cache")
        for bomb, make in SMALL.items():
            begin = time.process_time()
            code, faults = try_once(partial(_make_bomb, make), Path(name), Random(0))
            said = {"bomb": bomb, "code": code, "faults": faults, "seconds": time.process_time() - begin}
            print(json.dumps(said), file=report)


def _make_bomb(make: Callable[[Path], Case], folder: Path, chance: Random) -> Case:
    return make(folder)


def choose_maker(reader: str, place: Path, runs: list[Runs]) -> Callable[[Path, Random], Case]:
    """What makes a case of the reader in a folder; the run that is copied for each try is made once."""
    if reader in MAKERS:
        return partial(make_case, reader)
    if not runs:
        runs.append(Runs(place))
    if reader == "run":
        return runs[0].make_run
    return runs[0].make_overrides if reader == "set" else partial(runs[0].make_settings, reader)


if __name__ == "__main__":
    if sys.argv[1:] == ["--bombs"]:
        try_bombs()
        sys.exit()
    words = [word for word in sys.argv[1:] if word != "--processes"]
    main(int(words[0]), words[1:], "--processes" in sys.argv)

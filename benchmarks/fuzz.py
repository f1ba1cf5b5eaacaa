"""Hostile inputs for every reader: does a command read them, or refuse them with one message, and leave nothing?

```
python benchmarks/fuzz.py --seed 0 --count 2000                       # over all readers
python benchmarks/fuzz.py --seed 7 --count 500 --reader parquet --reader run
python benchmarks/fuzz.py --seed 0 --count 20 --processes             # each command a process, in 2 GB and 30 s
python benchmarks/fuzz.py --bombs                                     # what unpacks, nests or multiplies without end
```

A case is drawn from reader, seed and number alone: ``fuzzing/tables.py`` makes files of data, ``fuzzing/runs.py``
settings and finished runs, ``fuzzing/mutations.py`` damages them. It holds where the command ends with exit code 0 or 2
(``data check`` also 1), with one message, no traceback, nobody blamed but the input, no raw character that steers
a terminal, within 30 s and 2 GB, and nothing is left half-written. The table is written as Markdown to standard output,
what failed to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzzing.attempts import call_process, find_faults
from fuzzing.bombs import LARGE

HERE = Path(__file__).parent
SHARES: Mapping[str, int] = {
    "csv": 18, "parquet": 18, "json-lines": 13, "atomic": 9, "sequences": 7, "layouts": 12, "images": 6,
    "toml": 3, "yaml": 3, "json": 3, "set": 5, "run": 5,
}  # fmt: skip
"""Of the cases, by reader; those that end in a whole run take longest."""


@dataclass
class Tally:
    """What was tried of one reader, how it ended, and what was wrong."""

    tried: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0


def plan_cases(count: int, readers: Sequence[str]) -> dict[str, int]:
    """How many cases of each reader; at least one."""
    whole = sum(SHARES[reader] for reader in readers)
    return {reader: max(1, round(count * SHARES[reader] / whole)) for reader in readers}


def try_cases(seed: int, plan: Mapping[str, int], *, processes: bool = False) -> dict[str, Tally]:
    """Try the cases; a process that dies (a crash of a library) is a failure, and the next goes on after it."""
    found = {reader: Tally() for reader in plan}
    rest = [(reader, 0, last) for reader, last in plan.items()]
    while rest:
        begun: tuple[str, int] | None = None
        for said in _work(seed, rest, processes):
            tally = found[said["reader"]]
            if "begin" in said:
                begun = said["reader"], said["begin"]
                tally.tried += 1
                continue
            tally.codes[said["code"]] += 1
            tally.slowest = max(tally.slowest, said["seconds"])
            if said["faults"]:
                tally.failed.append(f"{said['reader']} {seed} {said['case']}: {said['faults'][0]}")
            begun = None
        if begun is None:
            return found
        reader, number = begun
        found[reader].failed.append(f"{reader} {seed} {number}: the process died")
        rest = rest[[name for name, _, _ in rest].index(reader) :]
        rest[0] = reader, number + 1, rest[0][2]
    return found


def _work(seed: int, plans: Sequence[tuple[str, int, int]], processes: bool) -> Iterator[dict[str, Any]]:
    """What a worker says of the cases, to its end."""
    words = [str(seed), *(":".join(map(str, plan)) for plan in plans), *(["--processes"] if processes else [])]
    yield from _listen(words)


def _listen(words: Sequence[str]) -> Iterator[dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fuzzing.worker", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as worker:
        assert worker.stdout is not None
        yield from map(json.loads, worker.stdout)
    if worker.returncode > 0:  # a defect of the fuzzer; what kills the process is a signal
        raise RuntimeError(f"the worker ended with {worker.returncode}: {command}")


def try_small_bombs() -> Iterator[dict[str, Any]]:
    """How each of `bombs.SMALL` ended."""
    yield from _listen(["--bombs"])


def write_table(seed: int, found: Mapping[str, Tally]) -> str:
    """Rows of a Markdown table."""
    rows = []
    for reader, tally in found.items():
        codes = [tally.codes[code] for code in (0, 1, 2)]
        ends = " | ".join(map(str, codes))
        rows.append(f"| {reader} | {seed} | {tally.tried} | {ends} | {len(tally.failed)} | {tally.slowest:.1f} |")
    return "\n".join(rows)


def print_bombs() -> None:
    """Try the bombs, and print their table: seconds of a processor, and the most memory where it is a process's own."""
    print("| bomb | exit | s | MiB | failed |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        os.environ["REASONREC_CACHE"] = str(Path(folder) / "cache")
        for name, make in LARGE.items():
            shutil.rmtree(Path(folder) / "case", ignore_errors=True)
            (Path(folder) / "case").mkdir()
            case = make(Path(folder) / "case")
            ended = call_process(case.arguments)
            faults = list(find_faults(case, ended))
            size = f"{ended.peak / 2**20:.0f}"
            print(f"| {name} | {ended.code} | {ended.seconds:.1f} | {size} | {len(faults)} |", flush=True)
            print(*faults, sep="\n", file=sys.stderr, end="")
    for said in try_small_bombs():
        print(f"| {said['bomb']} | {said['code']} | {said['seconds']:.1f} | | {len(said['faults'])} |", flush=True)
        print(*said["faults"], sep="\n", file=sys.stderr, end="")


def main() -> None:
    """Try, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, action="append", help="repeatable")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--reader", action="append", choices=sorted(SHARES), help="repeatable; all by default")
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--bombs", action="store_true", help="try `fuzzing/bombs.py` and nothing else")
    given = parser.parse_args()
    if given.bombs:
        print_bombs()
        return
    print(
        "| reader | seed | tried | exit 0 | exit 1 | exit 2 | failed | slowest, s |\n|---|---|---|---|---|---|---|---|"
    )
    for seed in given.seed or [0]:
        found = try_cases(seed, plan_cases(given.count, given.reader or list(SHARES)), processes=given.processes)
        print(write_table(seed, found), flush=True)
        for line in (line for tally in found.values() for line in tally.failed):
            print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

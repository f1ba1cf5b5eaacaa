"""How long the first answer takes: ``reasonrec recommend RUN --user ID`` in a new process.

    reasonrec run examples/movielens.toml --set data.path=../shared/data/ml-100k --out RUN
    python benchmarks/cold_recommend.py RUN --user 1 [--runs 15] [--before PYTHON BEFORE_RUN] [--out FILE]

``--before`` names the interpreter of another installation and a run folder that it made; the two take turns, so that
whatever else the machine does hits them alike. The median of the processor time counts (user and system, all threads):
it does not depend on how busy the machine is. Modules are counted with ``-X importtime``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

ELSEWHERE = Path(tempfile.gettempdir())
"""Not the checkout: ``-m`` would find its package instead of the interpreter's."""


def spend(command: list[str]) -> float:
    """Seconds of the processor that a command takes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ELSEWHERE)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime


def count_modules(command: list[str]) -> dict[str, int]:
    """Imported modules by their first name; "" is all."""
    timed = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(timed, capture_output=True, text=True, check=True, cwd=ELSEWHERE)
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    found = {"": len(names)}
    for name in names:
        first = name.partition(".")[0]
        found[first] = found.get(first, 0) + 1
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--user", default="1")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--before", nargs=2, metavar=("PYTHON", "BEFORE_RUN"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sides = {"now": (sys.executable, str(options.run))}
    if options.before:
        sides = {"before": tuple(options.before), **sides}
    commands = {
        name: [python, "-m", "reasonrec_core", "recommend", str(Path(run).resolve()), "--user", options.user]
        for name, (python, run) in sides.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(options.runs + 1):
        for name, command in commands.items():
            taken = spend(command)
            if turn:  # the first one warms the disk cache
                seconds[name].append(taken)
    base = statistics.median(next(iter(seconds.values())))
    rows = ["| | median s | quartiles s | ratio | modules | of sklearn | of scipy |", "|---|---|---|---|---|---|---|"]
    for name, values in seconds.items():
        low, middle, high = statistics.quantiles(values, n=4)
        counts = count_modules(commands[name])
        imported = f"{counts['']} | {counts.get('sklearn', 0)} | {counts.get('scipy', 0)}"
        rows.append(f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} | {middle / base:.2f} | {imported} |")
    text = (
        "# Time of the first answer\n\nProcessor time of `reasonrec recommend` in a new process.\n\n"
        + "\n".join(rows)
        + f"\n\nCommand: `python benchmarks/cold_recommend.py RUN --runs {options.runs}`, {date.today()}. "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, OMP_NUM_THREADS="
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}. RUN: `examples/movielens.toml` on ml-100k. Nothing is random.\n"
    )
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

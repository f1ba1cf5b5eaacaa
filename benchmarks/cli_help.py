"""How long ``reasonrec --help`` takes, against ``python -c 'import click'``.

    python benchmarks/cli_help.py [--runs 60] [--out benchmarks/results/cli-help.md]

The commands take turns, so that whatever else the machine does hits them alike. The median counts. Everything that is
installed counts too: distributions are searched for plugins, and each plugin's module is imported.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from importlib import metadata
from pathlib import Path

LIMIT = 2.0
SCRIPT = Path(sys.executable).with_name("reasonrec")
COMMANDS = {
    "python -c 'import click'": [sys.executable, "-c", "import click"],
    "reasonrec --help": [str(SCRIPT), "--help"],
    "reasonrec --version": [str(SCRIPT), "--version"],
    "reasonrec plugins --json": [str(SCRIPT), "plugins", "--json"],
}


def measure(runs: int) -> dict[str, list[float]]:
    """Seconds of each run by command, interleaved; the first round warms the disk cache and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(runs + 1):
        for name, command in COMMANDS.items():
            begin = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            if turn:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def table(seconds: dict[str, list[float]]) -> str:
    """Markdown: median, quartiles and ratio to the first command."""
    base = statistics.median(seconds[next(iter(COMMANDS))])
    rows = ["| command | median ms | quartiles ms | ratio |", "|---|---|---|---|"]
    for name, values in seconds.items():
        low, middle, high = statistics.quantiles(values, n=4)
        rows.append(f"| `{name}` | {middle * 1e3:.1f} | {low * 1e3:.1f} to {high * 1e3:.1f} | {middle / base:.2f} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, print, write; exit 1 above the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    seconds = measure(arguments.runs)
    plugins = {entry.dist.name for entry in metadata.entry_points(group="reasonrec") if entry.dist}
    distributions = len({found.metadata["Name"] for found in metadata.distributions()})
    text = (
        f"# Time of `reasonrec --help`\n\n{table(seconds)}\n\n"
        f"Command: `python benchmarks/cli_help.py --runs {arguments.runs}`, {date.today()}. "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, click {metadata.version('click')}; "
        f"{distributions} distributions installed, {len(plugins)} of them with plugins "
        f"({', '.join(sorted(plugins))}). Load average {os.getloadavg()[0]:.1f}. No seed: nothing is random.\n"
    )
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    names = list(COMMANDS)
    sys.exit(statistics.median(seconds[names[1]]) > LIMIT * statistics.median(seconds[names[0]]))


if __name__ == "__main__":
    main()

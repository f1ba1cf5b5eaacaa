"""Seconds and peak memory of importing: real data sets where they are there, and a synthetic log.

    REASONREC_DATA=FOLDER python benchmarks/import_speed.py --out benchmarks/results/import_speed.md

Every case runs in a process of its own; "read" is from files to checked tables, "index" from there to a saved dataset
(sort, index, hash, Parquet), "open" from the saved dataset to its interaction arrays.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

SETS = ("ml-100k", "ml-1m", "hm-week", "amazon-beauty", "ctr-ml-1m", "reviews-instruments")
USERS = ITEMS = 100_000


def make_log(folder: Path, rows: int, seed: int = 0) -> list[Path]:
    """A log in random order as CSV and as Parquet: text ids, Zipf items, ratings, seconds."""
    rng = np.random.default_rng(seed)
    users = pa.array([f"u{n}" for n in range(USERS)]).take(pa.array(rng.integers(0, USERS, rows)))
    items = pa.array([f"item-{n}" for n in range(ITEMS)]).take(pa.array(rng.zipf(1.2, rows) % ITEMS))
    times = rng.integers(1_400_000_000, 1_600_000_000, rows)
    log = pa.table({"user_id": users, "item_id": items, "rating": rng.integers(1, 6, rows), "timestamp": times})
    paths = [folder / "log.csv", folder / "log.parquet"]
    pyarrow.csv.write_csv(log, paths[0])
    pq.write_table(log, paths[1])
    return paths


def clocks() -> np.ndarray:
    """Seconds of wall clock and of processor."""
    return np.array([time.perf_counter(), time.process_time()])


def peak_memory() -> float:
    """MiB that this process held at most (Linux); unlike ``ru_maxrss`` not inherited from the parent."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def measure(path: Path) -> dict[str, Any]:
    """Import ``path`` in this process: seconds of wall clock and processor per stage."""
    from reasonrec_datasets import build_dataset, import_path

    from reasonrec_core.data.dataset import Dataset

    with tempfile.TemporaryDirectory() as folder:
        start = clocks()
        raw = import_path(path)
        read = clocks()
        build_dataset(raw, Path(folder) / "d")
        built = clocks()
        peak = peak_memory()
        dataset = Dataset.open(Path(folder) / "d")
        rows = len(dataset.interactions)
        opened = clocks()
    stages = {"read": read - start, "index": built - read, "open": opened - built}
    return {"rows": rows, "peak": peak, **{name: stage.round(4).tolist() for name, stage in stages.items()}}


def machine() -> str:
    """Processor, cores, memory."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores {named[0] if named else platform.machine()}, {memory:.0f} GiB"


def table(cases: list[tuple[str, dict[str, Any]]], command: str, load: float) -> str:
    """The results as Markdown."""
    head = (
        f"# Import speed\n\n`{command}`, seed 0, {machine()}, "
        f"Python {platform.python_version()}, pyarrow {pa.__version__}, {date.today().isoformat()}.\n\n"
        f"Wall-clock seconds on a machine that already had a load of {load:.1f}; in brackets seconds of processor "
        "time, which that disturbs less.\n\n"
        "| data | interactions | read | index and save | open | peak memory, MiB |\n|---|---|---|---|---|---|\n"
    )
    lines = []
    for name, m in cases:
        seconds = " | ".join(f"{m[stage][0]:.2f} ({m[stage][1]:.2f})" for stage in ("read", "index", "open"))
        lines.append(f"| {name} | {m['rows']:,} | {seconds} | {m['peak']:,.0f} |")
    return head + "\n".join(lines) + "\n"


def main() -> None:
    """Measure every case in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("REASONREC_DATA", "data"))
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the synthetic log; 0 for none")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        paths = [(name, data / name) for name in SETS if (data / name).is_dir()]
        if options.rows:
            paths += [(f"synthetic{p.suffix}", p) for p in make_log(Path(folder), options.rows)]
        cases = []
        for name, path in paths:
            done = subprocess.run([sys.executable, __file__, "--one", path], capture_output=True, text=True, check=True)
            cases.append((name, json.loads(done.stdout)))
            print(name, cases[-1][1], file=sys.stderr)
    text = table(cases, "python " + " ".join(sys.argv), load)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

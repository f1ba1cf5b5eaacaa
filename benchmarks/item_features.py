"""Seconds to observe all items of a data set, the first time and again from the cache.

    python benchmarks/item_features.py ../shared/data/ml-100k ../shared/data/hm-week --out results.json

Each run is a process of its own; imports are counted, reading the data set is not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

RUN = """
import sys, time, json
from pathlib import Path
from reasonrec_core.data import open_or_import
data, cache, *names = sys.argv[1:]
catalog = open_or_import(Path(data), Path(cache)).catalog
wall, processor = time.perf_counter(), time.process_time()
from reasonrec_core.observe import observe_items
from reasonrec_core.registry import Registry
registry = Registry.discover()
observed = observe_items(catalog, {n: registry.create("encoder", n, {}) for n in names}, Path(cache) / "features")
used = time.process_time() - processor
told = {"seconds": round(time.perf_counter() - wall, 2), "processor seconds": round(used, 2)}
told |= {n: int(p.sum()) for n, p in observed.present.items()}
told |= {"refused": len(observed.refused), "items": len(catalog)}
told["torch imported"] = "torch" in sys.modules
print(json.dumps(told))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--encoders", nargs="+", default=["text", "timm"])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    told: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as cache:
        for data in args.data:
            for attempt in ("first", "again"):
                command = [sys.executable, "-c", RUN, str(data), cache, *args.encoders]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                told[f"{data.name}, {attempt}"] = json.loads(done.stdout.splitlines()[-1])
                print(data.name, attempt, told[f"{data.name}, {attempt}"], flush=True)
    told["machine"] = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    told["date"] = datetime.now(UTC).date().isoformat()
    if args.out:
        args.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

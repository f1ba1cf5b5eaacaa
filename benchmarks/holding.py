"""What a run folder withstands: kill -9 at random points, damaged files, several runs at once.

```
python benchmarks/holding.py --pipeline profile --kills 30 --damages 100 --together 5 --seed 0
python benchmarks/holding.py --pipeline chain --kills 15 --damages 30 --together 2 --seed 0
```

Every try is made on a synthetic shop with the command line, in processes of their own. A try holds where

- kill: the same command ends afterwards with the metrics of a run that was left alone, and nothing half-written
  is left in the run folder and the cache;
- damage (a byte flipped, a file cut, emptied, deleted, or a folder in its place): ``recommend`` answers as the
  whole run or ends with exit code 2 and one line, and ``run`` mends it: same metrics, same answer;
- together: of two runs in one folder one ends and the other says who holds it, or both end; two runs that share the
  cache both end; the metrics are those of their own settings.

The table is written as Markdown to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from reasonrec_core.io import is_leftover

SETTINGS: dict[str, dict[str, Any]] = {
    "profile": {
        "policy": {"name": "profile"},
        "delegates": [{"name": "popularity"}, {"name": "transitions"}],
        "router": {"share": 0.35},
        "evaluate": {"tasks": ["sequential", "direct"], "k": [5, 10], "resamples": 100, "latency_sample": 5},
    },
    "chain": {
        "policy": {
            "name": "chain",
            "network": {"dimensions": 16, "layers": 1, "heads": 2, "components": 8},
            "training": {"epochs": 3, "warmup": 5, "device": "cpu"},
            "gates": {"steps": 20, "epochs": 2, "folds": 2, "hidden": 4, "depth": 15},
        },
        "delegates": [{"name": "popularity"}, {"name": "transitions"}],
        "router": {"share": 0.35},
        "evaluate": {"tasks": ["sequential"], "k": [5, 10], "resamples": 100, "latency_sample": 5},
    },
}
COMPARED = ("systems", "comparisons", "slices")


@dataclass
class Tally:
    """What was tried, and what fell short, in words."""

    tried: int = 0
    failed: list[str] = field(default_factory=list)


def write_shop(folder: Path, seed: int, users: int = 60, items: int = 50) -> None:
    """A log in which brands follow one another, and a table of the items."""
    chance, rows = random.Random(seed), ["user_id,item_id,timestamp"]
    for user in range(users):
        item = chance.randrange(items)
        for step in range(chance.randrange(4, 12)):
            rows.append(f"U{user},P{item},{1_600_000_000 + 1000 * user + step}")
            item = (item + 1) % items if chance.random() < 0.5 else chance.randrange(items)
    folder.mkdir()
    (folder / "interactions.csv").write_text("\n".join(rows) + "\n")
    table = [f"P{item},Thing {item},brand-{item % 7}" for item in range(items)]
    (folder / "items.csv").write_text("\n".join(["item_id,title,brand", *table]) + "\n")


class Place:
    """A folder with a shop, a pipeline, a run that was left alone, and copies of it."""

    def __init__(self, folder: Path, kind: str, seed: int) -> None:
        self.folder, self.kind, self.random = folder, kind, random.Random(seed)
        write_shop(folder / "shop", seed)
        for number in (0, 1):
            tree = {"name": "holding", "seed": number, "data": {"path": str(folder / "shop")}, **SETTINGS[kind]}
            tree["split"] = {"negatives": 20}
            (folder / f"{number}.toml").write_text(tomli_w.dumps(tree))
        done = [self.run(folder / f"whole{number}", number) for number in (0, 1)]
        if done[0][0].returncode:
            sys.exit(done[0][0].stderr)
        self.seconds = done[0][1]
        self.wanted = [read_metrics(folder / f"whole{number}") for number in (0, 1)]

    def environment(self, cache: str) -> dict[str, str]:
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return {**os.environ, **threads, "REASONREC_CACHE": str(self.folder / cache)}

    def start(self, *arguments: object, cache: str = "cache") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "reasonrec_core", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=self.environment(cache), start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]

    def call(self, *arguments: object, cache: str = "cache") -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, cache=cache)
        out, err = process.communicate(timeout=900)
        return subprocess.CompletedProcess(list(map(str, arguments)), process.returncode, out, err)

    def run(self, out: Path, number: int = 0, cache: str = "cache") -> tuple[subprocess.CompletedProcess[str], float]:
        begin = time.perf_counter()
        done = self.call("run", self.folder / f"{number}.toml", "--out", out, cache=cache)
        return done, time.perf_counter() - begin

    def fresh(self, name: str) -> Path:
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        return path


def read_metrics(run: Path) -> dict[str, Any]:
    found = json.loads((run / "metrics.json").read_text())
    return {name: found[name] for name in COMPARED}


def leftovers(*folders: Path) -> list[str]:
    return [str(path) for folder in folders for path in folder.rglob("*") if is_leftover(path.name)]


def kill(place: Place) -> Iterator[str]:
    """Kill a run at a random point, and run the same command again."""
    run, cache = place.fresh("killed"), f"cache-{place.random.random() < 0.5}"
    if cache == "cache-True":
        shutil.rmtree(place.folder / cache, ignore_errors=True)
    point = place.random.uniform(0.2, place.seconds)
    process = place.start("run", place.folder / "0.toml", "--out", run, cache=cache)
    time.sleep(point)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done, _ = place.run(run, cache=cache)
    if done.returncode:
        yield f"at {point:.2f} s: exit {done.returncode}: {done.stderr.strip()[-300:]}"
    elif read_metrics(run) != place.wanted[0]:
        yield f"at {point:.2f} s: other metrics"
    if left := leftovers(run, place.folder / cache):
        yield f"at {point:.2f} s: left {left}"


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(data))


def put_folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path, random.Random], object]] = {
    "flipped": flip,
    "cut": lambda path, chance: path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size + 1)]),
    "emptied": lambda path, chance: path.write_bytes(b""),
    "deleted": lambda path, chance: path.unlink(),
    "a folder": put_folder,
}


def damage(place: Place) -> Iterator[str]:
    """Damage a file of a finished run, ask it, and run the same command again."""
    run = place.fresh("damaged")
    shutil.copytree(place.folder / "whole0", run)
    files = sorted(path for path in run.rglob("*") if path.is_file())
    path, how = place.random.choice(files), place.random.choice(sorted(DAMAGES))
    what = f"{path.relative_to(run)} {how}"
    asked = ("recommend", run, "--history", "P1", "--json")
    wanted = place.call("recommend", place.folder / "whole0", "--history", "P1", "--json").stdout
    DAMAGES[how](path, place.random)
    answer = place.call(*asked)
    lines = [line for line in answer.stderr.splitlines() if line.startswith(("error", "internal"))]
    if answer.returncode not in {0, 2} or (answer.returncode == 2 and len(lines) != 1):
        yield f"{what}: recommend: exit {answer.returncode}: {answer.stderr.strip()[-300:]}"
    elif answer.returncode == 0 and answer.stdout != wanted:
        yield f"{what}: recommend: another answer"
    if (told := place.call("report", run)).returncode not in {0, 2}:
        yield f"{what}: report: exit {told.returncode}: {told.stderr.strip()[-300:]}"
    done, _ = place.run(run)
    if done.returncode:
        yield f"{what}: run: exit {done.returncode}: {done.stderr.strip()[-300:]}"
    elif read_metrics(run) != place.wanted[0] or place.call(*asked).stdout != wanted:
        yield f"{what}: run did not mend it"


def together(place: Place) -> Iterator[str]:
    """Two runs at once: equal ones in one folder, different ones in one folder, and in two that share the cache."""
    for others, shared in (((0, 0), True), ((0, 1), True), ((0, 0), False), ((0, 1), False)):
        shutil.rmtree(place.folder / "shared", ignore_errors=True)
        runs = [place.fresh("one"), place.fresh("one" if shared else "two")]
        begun = []
        for number, run in zip(others, runs, strict=True):
            begun.append(place.start("run", place.folder / f"{number}.toml", "--out", run, cache="shared"))
            time.sleep(place.random.uniform(0, 0.5))
        ends = [(process.communicate()[1], process.returncode) for process in begun]
        what = f"{others} in {'one folder' if shared else 'two folders'}"
        for number, run, (said, code) in zip(others, runs, ends, strict=True):
            if code == 0 and (not shared or [c for _, c in ends] == [0, 2] or [c for _, c in ends] == [2, 0]):
                if read_metrics(run) != place.wanted[number]:
                    yield f"{what}: other metrics"
            elif code == 2 and shared and "is being written by process" in said:
                continue
            elif code or not shared:
                yield f"{what}: exit {code}: {said.strip()[-300:]}"
        if all(code for _, code in ends):
            yield f"{what}: neither ended"
        if left := leftovers(*runs, place.folder / "shared"):
            yield f"{what}: left {left}"


TRIES = {"kill": kill, "damage": damage, "together": together}


def main() -> None:
    """Try, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", choices=sorted(SETTINGS), default="profile")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--damages", type=int, default=100)
    parser.add_argument("--together", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    counts = {"kill": given.kills, "damage": given.damages, "together": given.together}
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), given.pipeline, given.seed)
        print("| pipeline | what | seed | tried | failed |\n|---|---|---|---|---|")
        for name, attempt in TRIES.items():
            tally = Tally()
            for _ in range(counts[name]):
                tally.tried += 1
                found = list(attempt(place))
                tally.failed += found[:1]
                for line in found:
                    print(f"{name}: {line}", file=sys.stderr, flush=True)
            print(f"| {given.pipeline} | {name} | {given.seed} | {tally.tried} | {len(tally.failed)} |", flush=True)


if __name__ == "__main__":
    main()

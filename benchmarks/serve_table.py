"""The table of `benchmarks/results/serve.md`: speed at rates and workers, start, memory, and two soaks, in one go.

    reasonrec fit examples/beauty-chain.toml --set data.path=PATH/amazon-beauty \
        --set policy.training.epochs=1 --set policy.gates.epochs=1 --out RUN
    python benchmarks/serve_table.py RUN [--seconds 20] [--soak 1200] [--kill 600] > serve_table.txt

About 6 minutes without the soaks, on a machine that does nothing else, and the seconds of ``--soak`` and ``--kill``
(0 leaves one out). Capacity is the highest rate at which 95 % are answered within 25 ms. The first soak asks 80 % of
that for the whole time and looks at each worker's memory every 10 seconds; the second kills a worker with ``kill -9``
each minute, and a fifth of its requests are events, each of which is looked for at the end. The generator
(`benchmarks/load.py`) uses the same cores as the server.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
from pathlib import Path

import numpy as np
from load import Load, Started, apply_load, ask_directly, ask_one_by_one, find_highest, get, soak

RATES = (10.0, 50.0)
BOUND = 25.0
"""Milliseconds within which 95 % are answered where a rate is sustained."""
SHARE, LOOK = 0.8, 10.0
"""Of the capacity in a soak; seconds between looks at memory."""


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--soak", type=float, default=1200.0)
    parser.add_argument("--kill", type=float, default=600.0)
    given = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, before anything was started")
    capacity = {workers: measure(given.run, workers, given.seconds) for workers in (1, 2)}
    if given.soak:
        steady(given.run, SHARE * capacity[2], given.soak)
    if given.kill:
        kill_each_minute(given.run, SHARE * capacity[2], given.kill)


def measure(run: str, workers: int, seconds: float) -> float:
    """Start, rates, what HTTP costs; the capacity, requests a second."""
    print(f"\n## {workers} worker{'s' if workers > 1 else ''}")
    started = Started(run, workers, [])
    try:
        users = [user["id"] for user in get(f"{started.url}/v1/users?limit=100")["users"]]
        print(f"first answer after {started.seconds:.2f} s")
        asyncio.run(apply_load(started.url, users, 20, 3, 0, []))
        print(f"MiB of each worker: {started.memory()}")
        for rate in RATES:
            before = started.spent()
            load = asyncio.run(apply_load(started.url, users, rate, seconds, 0, []))
            each = 1000 * (started.spent() - before) / max(len(load.latency), 1)
            print(f"{load}; processor {each:.2f} ms each", flush=True)
        highest = find_highest(started.url, users, BOUND, seconds / 2)
        print(f"highest with p95 within {BOUND:.0f} ms: {highest}", flush=True)
        if workers == 1:
            asyncio.run(ask_one_by_one(started.url, users, 400))
            ask_directly(run, 400, users)
        return highest.rate
    finally:
        stop(started)


def steady(run: str, rate: float, seconds: float) -> None:
    """The same load for long: times at the end as at the beginning, memory that does not grow."""
    print(f"\n## {seconds / 60:.0f} minutes at {rate:.0f} requests a second")
    started = Started(run, 2, [])
    try:
        users = [user["id"] for user in get(f"{started.url}/v1/users?limit=100")["users"]]
        asyncio.run(apply_load(started.url, users, 20, 5, 0, []))
        load, times, sizes = asyncio.run(watch(started, users, rate, seconds))
        print(f"{load}\np99 is {load.quantile(0.99) / load.quantile(0.5):.1f} times p50")
        for worker in range(sizes.shape[1]):
            slope, error = fit_line(times, sizes[:, worker])
            first, last = sizes[0, worker], sizes[-1, worker]
            print(
                f"worker {worker + 1}: {first:.1f} to {last:.1f} MiB, {slope:+.3f} +- {error:.3f} MiB a minute (95 %)"
            )
    finally:
        stop(started)


async def watch(started: Started, users: list[str], rate: float, seconds: float) -> tuple[Load, np.ndarray, np.ndarray]:
    """The load; minutes float[T] and float[T, workers] MiB of their own, beginning after a tenth of the time."""
    workers = started.workers()
    task = asyncio.create_task(apply_load(started.url, users, rate, seconds, 0, []))
    times, sizes = list[float](), list[list[float]]()
    begin = asyncio.get_running_loop().time()
    while not task.done():
        await asyncio.wait([task], timeout=LOOK)
        now = asyncio.get_running_loop().time() - begin
        if now >= seconds / 10:
            times.append(now / 60)
            sizes.append([read_memory(worker) for worker in workers])
    return await task, np.array(times), np.array(sizes)


def read_memory(process: int) -> float:
    """MiB of a process's own."""
    found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found.group(1)) / 1024 if found else float("nan")


def fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope by least squares, and 1.96 standard errors of it."""
    if len(x) < 3:
        return float("nan"), float("nan")
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    rest = y - y.mean() - slope * centred
    return slope, float(1.96 * np.sqrt(rest @ rest / (len(x) - 2) / (centred @ centred)))


def kill_each_minute(run: str, rate: float, seconds: float) -> None:
    """Load with events while workers are killed; every accepted event is looked for."""
    print(f"\n## {seconds / 60:.0f} minutes at {rate:.0f} requests a second, a worker killed each minute")
    started = Started(run, 2, [])
    try:
        users = [user["id"] for user in get(f"{started.url}/v1/users?limit=100")["users"]]
        items = [item["id"] for item in get(f"{started.url}/v1/items?limit=100")["items"]]
        given = argparse.Namespace(kill=60.0, seconds=seconds, rate=[rate], events=0.2)
        asyncio.run(soak(started, users, items, given))
    finally:
        stop(started)


def stop(started: Started) -> None:
    """As Ctrl+C does."""
    started.process.send_signal(signal.SIGINT)
    started.process.wait(60)


if __name__ == "__main__":
    main()

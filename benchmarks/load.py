"""Load on a server by an open loop: requests come at random times, whether earlier ones were answered or not.

    reasonrec serve RUN --port 8000 --rate 0 &
    python benchmarks/load.py http://127.0.0.1:8000 --rate 10 50 100 --seconds 30
    python benchmarks/load.py http://127.0.0.1:8000 --find 100 --seconds 15
    python benchmarks/load.py --run RUN --workers 1 --rate 50 --seconds 60 --events 0.2 --kill 10

Arrivals are a Poisson process with seed 0 and latency counts from the time at which a request was due, so a server
that stalls pays for all that would have come meanwhile (Tene, "How not to measure latency", 2013, calls leaving that
out coordinated omission). Users are drawn with seed 0 from GET /v1/users. A connection serves one request at a time;
there are as many as needed. With ``--run`` the server is started here, its start is timed, the memory of its workers
is measured, and ``--kill SECONDS`` kills one of two workers so often; with ``--events SHARE`` that share of the
requests are events, and at the end each that was accepted is looked for. ``--direct RUN`` asks in Python instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WARM_UP = 50
"""Requests that are not counted where they are asked one after another."""


@dataclass
class Load:
    """What came of one rate.

    Attributes:
        rate: requests a second that were due.
        seconds: of the whole, from the first that was due to the last answer.
        latency: seconds of each request that was answered with 200.
        refused: how many got another status.
        failed: how many connections broke.
        accepted: ids of the events that were accepted.
    """

    rate: float
    seconds: float = 0.0
    latency: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    accepted: list[str] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        if not self.latency:
            return float("nan")
        ordered = sorted(self.latency)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def __str__(self) -> str:
        answered = len(self.latency) / self.seconds if self.seconds else 0.0
        times = ", ".join(f"p{100 * share:g} {self.quantile(share):.1f}" for share in (0.5, 0.95, 0.99))
        speed = f"{self.rate:.0f}/s due, {answered:.1f}/s answered: {times} ms"
        return f"{speed}; {self.refused} refused, {self.failed} failed"


class Caller:
    """Sends requests over connections that are kept."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port = parts.hostname, parts.port or 80
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    def _find_open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection that is kept; those that the server has closed because they were idle are left."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body."""
        reader, writer = connection = self._find_open() or await asyncio.open_connection(self.host, self.port)
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer.lower())
            content = await reader.readexactly(int(length.group(1))) if length else b""
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            raise
        self._idle.append(connection)
        return int(answer.split(b" ", 2)[1]), content


async def apply_load(url: str, users: list[str], rate: float, seconds: float, events: float, items: list[str]) -> Load:
    """Send requests at a rate; wait for all answers."""
    caller, load, draw = Caller(url), Load(rate), random.Random(0)
    name = f"{os.getpid()}-{time.time_ns()}"

    async def send(due: float, number: int, user: str, is_event: bool) -> None:
        path, body = "/v1/recommend", json.dumps({"user": user, "k": 10}).encode()
        if is_event:
            event = {"id": f"{name}-{number}", "user": user, "item": items[number % len(items)]}
            path, body = "/v1/events", json.dumps({"events": [event]}).encode()
        try:
            status, _ = await caller.post(path, body)
        except (OSError, asyncio.IncompleteReadError):
            load.failed += 1
            return
        if status != 200:
            load.refused += 1
            return
        load.latency.append(time.perf_counter() - due)
        if is_event:
            load.accepted.append(f"{name}-{number}")

    begin, due, tasks = time.perf_counter(), 0.0, list[asyncio.Task[None]]()
    while (due := due + draw.expovariate(rate)) < seconds:
        await asyncio.sleep(max(begin + due - time.perf_counter(), 0))
        sent = send(begin + due, len(tasks), draw.choice(users), draw.random() < events)
        tasks.append(asyncio.create_task(sent))
    await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - begin
    return load


async def ask_one_by_one(url: str, users: list[str], count: int) -> None:
    """One request after another over one connection: what HTTP costs, beside ``--direct``."""
    caller, spent = Caller(url), list[float]()
    for number, user in enumerate(draw_users(users, count)):
        begin = time.perf_counter()
        await caller.post("/v1/recommend", json.dumps({"user": user, "k": 10}).encode())
        if number >= WARM_UP:
            spent.append(1000 * (time.perf_counter() - begin))
    print(f"over HTTP, one after another: p50 {statistics.median(spent):.1f} ms")


def draw_users(users: list[str], count: int) -> list[str]:
    """Whom to ask for: those that warm up, then ``count`` others."""
    return random.Random(1).choices(users, k=WARM_UP + count)


def find_highest(url: str, users: list[str], bound: float, seconds: float) -> Load:
    """The highest rate at which 95 % are answered within ``bound`` milliseconds, by doubling and then halving."""
    best, low, high, rate = Load(0), 0.0, float("inf"), 25.0
    while high == float("inf") or high / max(low, 1) > 1.15:
        load = asyncio.run(apply_load(url, users, rate, seconds, 0, []))
        print(f"  {load}", flush=True)
        if load.quantile(0.95) <= bound and not load.refused:
            best, low = load, rate
        else:
            high = rate
        rate = 2 * low if high == float("inf") else (low + high) / 2
        if high < 2:
            break
    return best


def get(url: str) -> Any:
    """JSON."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def ask_directly(run: str, count: int, users: list[str]) -> None:
    """The same requests in Python, one after another: wall time and processor time."""
    from reasonrec_serve import Recommender

    service, wall, spent = Recommender.open(run), list[float](), list[float]()
    for number, user in enumerate(draw_users(users, count)):
        begin, before = time.perf_counter(), time.process_time()
        service.recommend(user=user, k=10).to_dict(steps=False)
        if number >= WARM_UP:
            wall.append(1000 * (time.perf_counter() - begin))
            spent.append(1000 * (time.process_time() - before))
    used = f"processor {statistics.mean(spent):.2f} ms a request"
    print(f"in Python, one after another: p50 {statistics.median(wall):.1f} ms; {used}")


class Started:
    """A server that was started here."""

    def __init__(self, run: str, workers: int, extra: list[str]) -> None:
        folder = tempfile.mkdtemp()
        self.log = Path(folder) / "server.log"
        command = [sys.executable, "-m", "reasonrec_core", "serve", run, "--port", "0", "--rate", "0"]
        command += ["--queue", "1000", "--workers", str(workers), "--store", f"{folder}/events.sqlite", *extra]
        begin = time.perf_counter()
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(command, stderr=stream)
        self.url = ""
        while not self.url:
            found = re.search(r"http://\S+:\d+", self.log.read_text())
            self.url = found.group() if found else ""
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.01)
        self.first = get(f"{self.url}/v1/users?limit=1")  # waits in the socket until a worker takes it
        self.seconds = time.perf_counter() - begin

    def workers(self) -> list[int]:
        """Processes that answer."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid), "-f", "spawn_main"], capture_output=True)
        found = [int(line) for line in children.stdout.split()]
        return found or [self.process.pid]

    def spent(self) -> float:
        """Seconds of processor time of all processes that answer."""
        ticks = 0
        for worker in self.workers():
            fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> str:
        """MiB of each worker: resident, of which its own and of files."""
        told = []
        for worker in self.workers():
            lines = Path(f"/proc/{worker}/status").read_text()
            sizes = re.findall(r"(VmRSS|RssAnon|RssFile):\s+(\d+)", lines)
            told.append(" ".join(f"{name} {int(size) // 1024}" for name, size in sizes))
        return "; ".join(told)


async def kill_workers(started: Started, every: float, seconds: float) -> int:
    """Kill one of the workers every so often."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() + every < end:
        await asyncio.sleep(every)
        if len(workers := started.workers()) > 1:
            os.kill(random.choice(workers), signal.SIGKILL)
            count += 1
    return count


async def soak(started: Started, users: list[str], items: list[str], given: argparse.Namespace) -> None:
    """Load with events while workers are killed; then every accepted event is looked for."""
    memory = started.memory()
    killing = asyncio.create_task(kill_workers(started, given.kill, given.seconds)) if given.kill else None
    load = await apply_load(started.url, users, given.rate[0], given.seconds, given.events, items)
    killed = await killing if killing else 0
    caller, lost = Caller(started.url), 0
    for start in range(0, len(load.accepted), 500):
        ids = load.accepted[start : start + 500]
        sent = {"events": [{"id": name, "user": "nobody", "item": "nothing"} for name in ids]}
        status, body = await caller.post("/v1/events", json.dumps(sent).encode())
        lost += len(ids) - len(json.loads(body)["conflicting"]) if status == 200 else len(ids)
    print(f"{load}\n{killed} workers killed; {len(load.accepted)} events accepted, {lost} lost")
    print(f"memory before: {memory}\nmemory after: {started.memory()}")


def main() -> None:
    """Print a line for each rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--run", help="start a server for this run")
    parser.add_argument("--direct", help="ask this run in Python, too")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rate", type=float, nargs="*", default=[])
    parser.add_argument("--find", type=float, help="the highest rate with p95 within so many milliseconds")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--events", type=float, default=0.0)
    parser.add_argument("--kill", type=float, default=0.0)
    given = parser.parse_args()
    started = Started(given.run, given.workers, []) if given.run else None
    url = started.url if started else given.url
    try:
        users = [user["id"] for user in get(f"{url}/v1/users?limit=100")["users"]]
        items = [item["id"] for item in get(f"{url}/v1/items?limit=100")["items"]]
        asyncio.run(apply_load(url, users, 20, 3, 0, items))
        if started:
            print(f"first answer after {started.seconds:.2f} s; MiB of each worker: {started.memory()}")
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        if started and given.events:
            asyncio.run(soak(started, users, items, given))
            return
        for rate in given.rate:
            before = started.spent() if started else 0.0
            load = asyncio.run(apply_load(url, users, rate, given.seconds, 0, items))
            told = f"; processor {1000 * (started.spent() - before) / len(load.latency):.2f} ms each" if started else ""
            print(f"{load}{told}", flush=True)
        if given.find:
            print(f"highest: {find_highest(url, users, given.find, given.seconds)}")
        if given.direct:
            asyncio.run(ask_one_by_one(url, users, 400))
            ask_directly(given.direct, 400, users)
    finally:
        if started:
            started.process.send_signal(signal.SIGINT)
            started.process.wait(60)


if __name__ == "__main__":
    main()

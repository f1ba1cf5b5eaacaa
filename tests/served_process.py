"""A server as a process of its own, for tests that kill it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx

PATIENCE = 120
"""Seconds that anything may take on a busy machine."""


class Running:
    """A server that was started.

    Attributes:
        process: its first process.
        url: where it answers.
        log: the file that holds what it printed.
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log

    def client(self) -> httpx.Client:
        """Asks it, by a new connection for each request: a worker that is gone is not asked again."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(base_url=self.url, timeout=PATIENCE, limits=limits)

    def workers(self) -> list[int]:
        """The processes that answer, without the one that watches over them."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and b"spawn_main" in command:
                found.append(int(folder.name))
        return found


@contextmanager
def running(run: Path, folder: Path, *options: str) -> Iterator[Running]:
    """``reasonrec serve`` on a free port, ready; stopped at the end."""
    log = folder / "server.log"
    command = [sys.executable, "-m", "reasonrec_core", "serve", str(run), "--port", "0", *options]
    if "--store" not in options:
        command += ["--store", str(folder / "events.sqlite")]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, stdout=stream, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        url = _wait_for(lambda: re.search(r"http://[^ ]+:\d+", log.read_text()), process, log).group()
        server = Running(process, url, log)
        with server.client() as client:
            _wait_for(lambda: _is_ready(client), process, log)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def _wait_for(look, process: subprocess.Popen[bytes], log: Path):  # type: ignore[no-untyped-def]
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"it did not come: {log.read_text()}")

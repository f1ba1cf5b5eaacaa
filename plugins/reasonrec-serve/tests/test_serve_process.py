"""The server as a process: it starts, answers, is killed, gets a newer run, and is sent nonsense."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from reasonrec_serve import Recommender
from served_process import PATIENCE, Running, running

from reasonrec_core.cli.main import main
from reasonrec_core.errors import ConfigError


def ask(server: Running, user: str, k: int = 5) -> httpx.Response:
    with server.client() as client:
        return client.post("/v1/recommend", json={"user": user, "k": k})


def test_the_command_serves_until_it_is_interrupted(finished: Path, tmp_path: Path) -> None:
    user = next(iter(Recommender.open(finished).dataset.user_index))
    with running(finished, tmp_path) as server:
        assert len(ask(server, user).json()["items"]) == 5
        assert main_fails(["serve", str(finished), "--port", server.url.rpartition(":")[2]])
    assert server.process.returncode == 0
    assert server.log.read_text().endswith("Stopped.\n")


def test_requests_are_traced_with_hashed_users_where_that_is_wanted(
    serve: Any, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reasonrec_trace import read_trace

    run = tmp_path / "traced"
    shutil.copytree(finished, run)
    user = next(iter(Recommender.open(run).dataset.user_index))
    monkeypatch.delenv("REASONREC_TRACE_KEY", raising=False)
    with pytest.raises(ConfigError, match="key for the trace's hashes is missing"):
        serve(run=run, trace=True)
    monkeypatch.setenv("REASONREC_TRACE_KEY", "a key of more than sixteen letters")
    client = serve(run=run, trace=True)
    for _ in range(2):
        answer = client.post("/v1/recommend", json={"user": user}).json()
    first, second = read_trace(run / "requests-sequential.jsonl")
    assert first.user == second.user != user
    assert [item["id"] for item in answer["items"]] == list(second.ranking)
    assert user not in (run / "requests-sequential.jsonl").read_text()


@pytest.mark.parametrize(
    ("missing", "what", "workers"),
    [
        ("agent", "the run is not fitted", "2"),
        ("delegate-transitions", "delegate-transitions", "1"),
        pytest.param("delegate-transitions", "no worker could serve the run", "2", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_cannot_be_served_is_one_message(
    finished: Path, tmp_path: Path, missing: str, what: str, workers: str
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(finished, broken)
    shutil.rmtree(broken / "stages" / missing)
    command = [sys.executable, "-m", "reasonrec_core", "serve", str(broken), "--port", "0", "--workers", workers]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert what in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 2


def main_fails(arguments: list[str]) -> bool:
    """Whether the command line ends with exit code 2: somebody else listens there."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code == 2


def test_the_page_is_opened_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from reasonrec_serve.http import launch

    opened = list[str]()
    monkeypatch.setattr(launch.webbrowser, "open", lambda url: opened.append(url) or len(opened) == 1)
    launch._show_page("http://127.0.0.1:8000")
    assert opened == ["http://127.0.0.1:8000"]
    assert "no browser" not in capsys.readouterr().err
    launch._show_page("http://127.0.0.1:8000")
    assert "There is no browser here. Open http://127.0.0.1:8000 in one." in capsys.readouterr().err


@pytest.mark.slow
def test_the_wheel_holds_the_page_and_the_licences_of_what_it_is_made_with(tmp_path: Path) -> None:
    package = Path(__file__).parents[1]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=package, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        held = {name.partition("/http/page/")[2] for name in wheel.namelist()}
    page = package / "src" / "reasonrec_serve" / "http" / "page"
    files = {str(path.relative_to(page)) for path in page.rglob("*") if path.is_file()}
    assert {"index.html", "app.js", "vendor/htm-preact.js", "vendor/LICENSE-htm.txt"} <= files <= held


@pytest.mark.slow
def test_no_event_that_was_accepted_is_lost_when_workers_are_killed(finished: Path, tmp_path: Path) -> None:
    items = Recommender.open(finished).dataset.catalog.ids
    accepted, failed, killed = set[str](), 0, 0
    with running(finished, tmp_path, "--workers", "2") as server:
        end = time.monotonic() + 15
        while time.monotonic() < end:
            if int(end - time.monotonic()) % 4 == 0 and killed < 3 and len(server.workers()) == 2:
                os.kill(random.choice(server.workers()), signal.SIGKILL)
                killed += 1
            event = {"id": f"e{len(accepted) + failed}", "user": "u", "item": random.choice(items)}
            try:
                with server.client() as client:
                    client.post("/v1/events", json={"events": [event]}).raise_for_status()
                accepted.add(event["id"])
            except httpx.TransportError:
                failed += 1
        assert killed
        assert failed <= 2 * killed, "more failed than was in flight"
        with server.client() as client:
            for name in sorted(accepted):
                again = {"events": [{"id": name, "user": "nobody", "item": "nothing"}]}
                assert client.post("/v1/events", json=again).json()["conflicting"] == [name]
            history = client.post("/v1/recommend", json={"user": "u"}).json()["history"]
            assert len(history) >= min(len(accepted), 1000)
        deadline = time.monotonic() + PATIENCE
        while len(server.workers()) < 2:
            assert time.monotonic() < deadline, "a killed worker was not started again"
            time.sleep(0.1)


@pytest.mark.slow
def test_a_newer_run_is_served_without_a_pause(finished: Path, tmp_path: Path) -> None:
    from reasonrec_core.config import load_config
    from reasonrec_core.pipeline.run import run_pipeline
    from reasonrec_core.registry import Registry

    newer, link = tmp_path / "newer", tmp_path / "current"
    shutil.copytree(finished, newer)
    config = load_config(newer / "config.toml").model_copy(update={"name": "newer"})
    settings = config.model_dump()
    settings["delegates"] = [*settings["delegates"][:1]]
    link.symlink_to(finished)
    with running(link, tmp_path, "--watch", "0.2") as server, server.client() as client:
        assert client.get("/v1/run").json()["delegates"] == ["popularity", "transitions"]
        from reasonrec_core.config import check_config

        run_pipeline(check_config(settings, "newer.toml"), newer, Registry.discover(), lambda *_: None)
        (tmp_path / "aside").symlink_to(newer)
        (tmp_path / "aside").rename(link)
        end = time.monotonic() + PATIENCE
        while (now := client.get("/v1/run").json())["delegates"] != ["popularity"]:
            assert time.monotonic() < end
        assert now["name"] == "newer"


def nonsense(seed: int) -> list[tuple[str, str, bytes, dict[str, str]]]:
    """Requests that no honest caller sends: method, path, body, headers."""
    draw = random.Random(seed)
    paths = ["/v1/recommend", "/v1/batch", "/v1/events", "/v1/compare", "/v1/items", "/v1/images/%2e%2e%2f", "/v2"]
    paths += ["/v1/images/../../etc/passwd", "/page/../run.json", "/page/%2e%2e/%2e%2e/app.py", "/v1/images/\x00"]
    bodies = [b"", b"{", b"[]", b"null", b"1", b'"a"', b'{"user": {}}', b'{"history": [[[]]]}', b"\xff\xfe", b"[" * 900]
    bodies += [b'{"k": 1e999, "history": []}', b'{"k": -1, "history": []}', b'{"k": 99999999999999999999}', b"NaN"]
    bodies += [b'{"user": "a", "user": 1, "__proto__": {}}', b'{"history": ["\\ud800"]}', b'{"history": [true, null]}']
    bodies += [b'{"events": [{"id": "1"}]}', b'{"events": "x"}', b'{"requests": [1]}', b'{"where": {"a": {"min": {}}}}']
    types = ["application/json", "text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=x"]
    made = []
    for _ in range(1000):
        path, body = draw.choice(paths), draw.choice(bodies)
        if draw.random() < 0.3:
            body = bytes(draw.randrange(256) for _ in range(draw.randrange(200)))
        method = draw.choice(["POST", "POST", "POST", "PUT", "DELETE", "PATCH"])
        made.append((method, path, body, {"Content-Type": draw.choice(types)}))
    return made


@pytest.mark.slow
def test_a_thousand_hostile_requests_are_refused_and_nothing_breaks(finished: Path, tmp_path: Path) -> None:
    user = next(iter(Recommender.open(finished).dataset.user_index))
    with running(finished, tmp_path, "--rate", "0") as server, httpx.Client(base_url=server.url) as client:
        before = [item["id"] for item in ask(server, user).json()["items"]]
        for method, path, body, headers in nonsense(0):
            try:
                target = httpx.URL(server.url + path) if "\x00" not in path else server.url + "/v1/images/%00"
            except httpx.InvalidURL:
                continue
            response = client.request(method, target, content=body, headers=headers)
            assert 400 <= response.status_code < 500, (method, path, body, response.text)
            assert "Traceback" not in response.text
            assert response.headers["content-type"] == "application/problem+json"
        assert [item["id"] for item in ask(server, user).json()["items"]] == before
        with server.client() as fresh:
            assert fresh.get("/v1/status").json()["store"]["last_position"] == 0
    assert "Traceback" not in server.log.read_text()

"""Who may ask, how much and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reasonrec_serve.http.guard import RateLimit
from reasonrec_serve.http.settings import ServeSettings

from reasonrec_core.cli.main import main
from reasonrec_core.errors import ConfigError

ASK = {"history": []}
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def test_another_host_demands_a_token(finished: Path, token: Path) -> None:
    for host in ("0.0.0.0", "192.168.0.7", "::", "shop.example"):
        with pytest.raises(ConfigError, match="no token is required"):
            ServeSettings(run=finished, host=host).check()
        assert ServeSettings(run=finished, host=host, token_file=token).check()
    for host in ("127.0.0.1", "::1", "localhost"):
        assert ServeSettings(run=finished, host=host).check()


@pytest.mark.parametrize("text", ["short", "two words of enough length", "é" * 20, ""])
def test_a_poor_token_is_refused(finished: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(ConfigError, match="one word of at least 16"):
        ServeSettings(run=finished, token_file=tmp_path / "token").check()


def test_a_missing_token_file_ends_the_command_with_one_message(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["serve", str(finished), "--token-file", str(tmp_path / "none")])
    assert "cannot be read (No such file or directory). Make one" in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(SystemExit, match="2"):
        main(["serve", str(tmp_path)])
    assert "there is no run here" in capsys.readouterr().err


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "é"])
def test_without_the_token_nothing_of_the_data_is_told(serve: Any, token: Path, header: str | None) -> None:
    client = serve(token_file=token)
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for path in ("/v1/items", "/v1/users", "/metrics", "/openapi.json", "/v1/images/1", "/v1/run"):
        response = client.get(path, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    assert client.post("/v1/recommend", json=ASK, headers=headers).status_code == 401
    assert client.get("/health/ready", headers=headers).status_code == 200
    assert client.get("/", headers=headers).status_code == 200


def test_with_the_token_any_name_of_the_server_is_right(serve: Any, token: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "shop.example"}
    assert serve(token_file=token).post("/v1/recommend", json=ASK, headers=headers).status_code == 200


def test_a_name_that_was_pointed_here_is_refused(serve: Any) -> None:
    client = serve()
    assert client.get("/v1/items", headers={"Host": "evil.example"}).status_code == 421
    for host in ("localhost:8000", "127.0.0.1", "[::1]:80", "LOCALHOST"):
        assert client.get("/v1/items", headers={"Host": host}).status_code == 200


def test_a_body_that_is_too_long_is_refused_whatever_it_says_of_its_length(serve: Any) -> None:
    client = serve(max_body=1000)
    assert client.post("/v1/recommend", json={"history": ["x" * 100] * 20}).status_code == 413

    def pieces() -> Any:
        for _ in range(50):
            yield b" " * 100

    response = client.post("/v1/recommend", content=pieces(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert response.json()["what"] == "the body has more than 1,000 bytes"


def test_who_asks_too_often_waits(serve: Any) -> None:
    client = serve(rate=3)
    codes = [client.post("/v1/recommend", json=ASK).status_code for _ in range(6)]
    assert codes[:3] == [200, 200, 200]
    assert 429 in codes[3:]
    response = client.post("/v1/recommend", json=ASK)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "1"
    assert client.get("/health/live").status_code == 200


def test_a_rate_fills_up_with_time_and_belongs_to_one_client() -> None:
    limit = RateLimit(2)
    assert [limit.takes("a", 0.0) for _ in range(3)] == [True, True, False]
    assert limit.takes("b", 0.0)
    assert not limit.takes("a", 0.4)
    assert limit.takes("a", 0.6)
    assert not limit.takes("a", 0.7)
    assert all(RateLimit(0).takes("a", 0.0) for _ in range(100))


def test_every_response_says_what_a_page_may_do(serve: Any) -> None:
    client = serve()
    for path in ("/", "/v1/items", "/nothing", "/openapi.json"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert client.get(path).headers["x-content-type-options"] == "nosniff"


def test_what_is_not_there_is_a_problem_too(serve: Any) -> None:
    client = serve()
    response = client.get("/v2/nothing")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
    assert client.get("/v1/recommend").status_code == 405
    assert client.get("/page/../../settings.py").status_code == 404
    assert client.get("/page/..%2f..%2fsettings.py").status_code == 404

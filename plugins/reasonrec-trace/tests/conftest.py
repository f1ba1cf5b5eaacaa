"""A small run, and the toy policy as an installed plugin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

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
    "report": {"cards": 2},
}


def pipeline(path: Path, **changes: object) -> dict[str, object]:
    """The settings, with some changed."""
    return {**PIPELINE, "data": {"path": str(path)}, **changes}


def silent(done: int, total: int, label: str) -> None:
    """Progress that nobody sees."""


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's own cache out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REASONREC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set."""
    from reasonrec_core.testing.tiny import tiny_dataset

    return tiny_dataset(tmp_path_factory.mktemp("tiny")).folder


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder. Tests do not change it."""
    from reasonrec_core.config import check_config
    from reasonrec_core.pipeline.run import run_pipeline
    from reasonrec_core.registry import Registry

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    run_pipeline(check_config(pipeline(data), "tiny.toml"), folder, Registry.discover(), silent)
    return folder

"""The example: a neural delegate of few lines passes the suite, beats popularity, goes on and grows."""

from __future__ import annotations

import ast
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_torch.testing import LearningDelegateConformance

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.testing.later import with_new_items
from reasonrec_core.testing.tiny import N_ITEMS, Tiny, tiny

EXAMPLE = Path(__file__).parents[1] / "examples" / "lightgcn.py"
OWN_LINES = 48
SETTINGS = {"training": {"epochs": 40, "patience": 8, "learning_rate": 0.05, "warmup": 5, "ema": 0.8, "device": "cpu"}}


def load_example() -> Any:
    spec = importlib.util.spec_from_file_location("lightgcn", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lightgcn"] = module
    spec.loader.exec_module(module)
    return module


lightgcn = load_example()


class TestLightGCN(LearningDelegateConformance):
    component = lightgcn.LightGCNDelegate
    settings = SETTINGS


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def make(world: Tiny, **changes: Any) -> Any:
    delegate = lightgcn.LightGCNDelegate(lightgcn.LightGCNConfig.model_validate(SETTINGS))
    delegate.fit(replace(world.fit, **changes))
    return delegate


def ndcg(delegate: Delegate[Any], world: Tiny) -> float:
    def answer(batch: Any) -> Any:
        return delegate.recommend(batch, world.observation(batch))

    return evaluate_ranking(answer, world.test, (10,), n_items=N_ITEMS).values["NDCG@10"]


def test_it_is_short() -> None:
    """Statements of its own: neither imports nor docstrings, comments and blank lines."""
    source = EXAMPLE.read_text(encoding="utf-8")
    tree = ast.parse(source)
    told = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)
        and not (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    own = [line for at, line in enumerate(source.splitlines(), 1) if line.strip() and at not in told]
    assert len(own) <= OWN_LINES


def test_it_beats_popularity(world: Tiny) -> None:
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    assert ndcg(make(world), world) > 1.3 * ndcg(popular, world)


def test_it_grows(world: Tiny, tmp_path: Path) -> None:
    delegate = make(world)
    delegate.save(tmp_path)
    later = with_new_items(world, tmp_path / "later")
    grown = lightgcn.LightGCNDelegate.load(tmp_path, later.dataset.catalog)
    batch = world.test.queries
    old, new = delegate.score(batch, world.observation(batch)), grown.score(batch, later.observation(batch))
    assert new.shape[1] > N_ITEMS
    np.testing.assert_allclose(new[:, :N_ITEMS], old, rtol=1e-5)
    assert (new[:, N_ITEMS:].max(1) < old.min(1)).all()

"""An index passes the suite around any delegate with vectors, misses what it may and no more, and says what it does."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_index import inverted_file
from reasonrec_index.delegate import AnnIndex, draw_queries, mark_history, measure_recall
from reasonrec_index.inverted_file import Cells

from reasonrec_core.components import Delegate, Settings, pick_candidates
from reasonrec_core.config_errors import validated
from reasonrec_core.errors import ConfigError, RunError
from reasonrec_core.io import write_arrays
from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.compare import assert_same_ranking
from reasonrec_core.testing.component import Workplace
from reasonrec_core.testing.later import later_queries
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Float32, History, Observation, QueryBatch, Task

SMALL: dict[str, Any] = {"epochs": 3, "device": "cpu"}
SEQUENCE: dict[str, Any] = {"dimensions": 16, "layers": 1, "training": SMALL}
ONE_CELL: dict[str, Any] = {"exact_below": 0, "cells": 1, "recall": 0.5}
"""Everything that is in the index is found."""


class IndexConformance(DelegateConformance):
    component = "ann-index"

    @pytest.fixture(autouse=True)
    def by_index(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The catalogue is so small that all products would be taken."""
        monkeypatch.setattr("reasonrec_index.delegate.SHARE", 1)
        monkeypatch.setattr("reasonrec_index.delegate.LEAST", 1)

    def test_new_items_rank_as_the_base_ranks_them(self, workplace: Workplace, ranked_task: Task) -> None:
        index, data = workplace.loaded_later(ranked_task), workplace.later(ranked_task)
        for name, batch, observation in later_queries(data, len(workplace.data(ranked_task).dataset.catalog)):
            found, exact = (each.recommend(batch, observation) for each in (index, index._base))
            assert_same_ranking(found, exact, name)


class TestAroundALS(IndexConformance):
    settings: ClassVar = {"delegate": "implicit-als", "settings": {"factors": 8}, **ONE_CELL}


class TestAroundLightGCN(IndexConformance):
    settings: ClassVar = {"delegate": "lightgcn", "settings": {"training": SMALL}, **ONE_CELL}


class TestAroundSASRec(IndexConformance):
    settings: ClassVar = {"delegate": "sasrec", "settings": {"items": "both", **SEQUENCE}, **ONE_CELL}


class TestAroundSASRecOfIds(IndexConformance):
    settings: ClassVar = {"delegate": "sasrec", "settings": {"items": "ids", **SEQUENCE}, **ONE_CELL}


class TestOfFewItems(DelegateConformance):
    component = "ann-index"
    settings: ClassVar = {"delegate": "implicit-bpr", "settings": {"factors": 8, "iterations": 20}}


class Blobs(Delegate[Settings]):
    """Drawn vectors; users are the mean of their histories. The last items have none."""

    Config = Settings
    n, d, blank = 3000, 8, 5
    asked: ClassVar[list[int]] = []

    def __init__(self, config: Settings | None = None) -> None:
        super().__init__(config or Settings())
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(40, self.d))
        lengths = rng.lognormal(0, 1, size=(self.n, 1))
        found = (centres[rng.integers(0, 40, self.n)] + 0.3 * rng.normal(size=(self.n, self.d))) * lengths
        self.vectors = found.astype(np.float32)
        self.vectors[self.n - self.blank :] = 0

    def item_vectors(self, observation: Observation) -> Float32:
        return self.vectors

    def query_vectors(self, batch: QueryBatch, observation: Observation) -> Float32:
        sums = np.zeros((len(batch), self.d), np.float32)
        np.add.at(sums, batch.history.rows, self.vectors[batch.history.items])
        return sums + self.vectors[0]

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        type(self).asked.append(len(batch))
        scores = (self.query_vectors(batch, observation) @ self.vectors.T).astype(np.float32)
        scores[:, self.n - self.blank :] = scores.min() - 1
        return pick_candidates(scores, batch)


def around(probes: int, cells: int = 30) -> AnnIndex:
    """An index over `Blobs` of which so many cells are searched."""
    made = AnnIndex(AnnIndex.Config.model_construct(delegate="blobs", settings={}, cells=cells, recall=0.9))
    made._base, made.probes = Blobs(), probes
    return made


def ask(rows: list[list[int]], k: int = 10) -> tuple[QueryBatch, Observation]:
    """Queries by histories."""
    batch = QueryBatch(Task.SEQUENTIAL, np.full(len(rows), -1, np.int32), History.of(rows), k)
    return batch, Observation({}, {}, np.full(len(rows), 0.5, np.float32))


def draw(rows: int, length: int) -> list[list[int]]:
    return np.random.default_rng(1).integers(0, Blobs.n - Blobs.blank, (rows, length)).tolist()


def sizes(index: AnnIndex) -> Any:
    """int[cells]: items of each."""
    lists = index._get_index(ask([])[1])._index.invlists
    return np.array([lists.list_size(each) for each in range(lists.nlist)])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def make(**config: Any) -> AnnIndex:
    return AnnIndex(validated(AnnIndex.Config, config))


HISTORIES = st.lists(st.lists(st.integers(0, Blobs.n - 1), max_size=60), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(HISTORIES, st.sampled_from([1, 3, 10, 60, 400, 3100]), st.sampled_from([1, 2, 8, 30]))
def test_what_is_found_is_ranked_by_exact_scores_and_not_of_the_history(
    rows: list[list[int]], k: int, probes: int
) -> None:
    base, asked = Blobs(), ask(rows, k)
    found, exact, scores = around(probes).recommend(*asked), base.recommend(*asked), base.score(*asked)
    assert found.items.shape == exact.items.shape
    assert ((found.items >= 0) == (exact.items >= 0)).all(), "a list that ran out was not filled"
    for row, history in enumerate(rows):
        items = found.items[row][found.items[row] >= 0]
        assert len(set(items.tolist())) == len(items)
        assert not set(items.tolist()) & set(history)
        np.testing.assert_allclose(found.scores[row, : len(items)], scores[row, items], rtol=1e-4, atol=1e-4)
        assert (np.diff(found.scores[row, : len(items)]) <= 0).all()


def test_all_cells_searched_give_the_exact_answer_and_one_does_not() -> None:
    asked = ask(draw(64, 7))
    exact = Blobs().recommend(*asked)
    assert measure_recall(around(30).recommend(*asked), exact) == 1
    assert 0.1 < measure_recall(around(1).recommend(*asked), exact) < 0.99


def test_lengths_that_differ_by_orders_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without their coordinate more long items are missed: most lie in cells that are far from the query's."""
    asked = ask(draw(200, 3))
    exact = Blobs().recommend(*asked)
    index = around(4)
    found = measure_recall(index.recommend(*asked), exact)
    assert found > 0.85
    assert sizes(index).sum() == Blobs.n - Blobs.blank, "items without a vector are in the index"
    lift = inverted_file.lift
    monkeypatch.setattr(
        inverted_file,
        "lift",
        lambda vectors, longest: lift(vectors, longest) * (np.arange(16) != Blobs.d).astype(np.float32),
    )
    assert measure_recall(around(4).recommend(*asked), exact) < found


def test_only_queries_whose_list_runs_out_are_answered_exactly() -> None:
    index, asked = around(1, cells=600), ask([*draw(3, 2), draw(1, 300)[0]], k=10)
    Blobs.asked.clear()
    index.recommend(*asked)
    assert sum(Blobs.asked) >= 1
    Blobs.asked.clear()
    around(30).recommend(*ask(draw(5, 2)))
    assert Blobs.asked == [], "all products were taken where the index had found enough"
    around(30).recommend(*ask([*draw(4, 2), list(range(500))]))
    assert Blobs.asked == [1], "a history of a sixth of the catalogue was fetched around"


def test_rows_are_answered_as_they_are_alone() -> None:
    rows = [*draw(20, 4), *draw(5, 90)]
    index = around(4)
    together = index.recommend(*ask(rows))
    for row, history in enumerate(rows):
        alone = index.recommend(*ask([history]))
        assert np.array_equal(alone.items[0], together.items[row])


def test_threads_build_one_index_and_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    built, build = [], inverted_file.InvertedFile.__init__
    monkeypatch.setattr(inverted_file.InvertedFile, "__init__", lambda self, *a: (built.append(1), build(self, *a))[1])
    index, asked = around(4), ask(draw(16, 4))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: index.recommend(*asked).items, range(8)))
    assert len(built) == 1
    assert all(np.array_equal(answer, answers[0]) for answer in answers)


def test_new_items_are_found_and_longer_ones_make_new_cells() -> None:
    index, asked = around(30), ask(draw(8, 4))
    first = index.recommend(*asked)
    assert index._cells is None
    index._cells = Cells.train(index._base.vectors, 30, 0)
    for length in (0.99, 50.0):
        grown = Blobs()
        best = grown.query_vectors(*asked)[:1]
        long = np.linalg.norm(grown.vectors, axis=1).max() * length
        grown.vectors = np.concatenate([grown.vectors, best / np.linalg.norm(best) * long]).astype(np.float32)
        index._base = grown
        assert index._cells.can_hold(grown.vectors) == (length < 1)
        assert index.recommend(*asked).items[0, 0] == Blobs.n, "the new item, which is best, was not found"
        assert first.items[0, 0] != Blobs.n


def test_recall_on_validation_chooses_how_many_cells_are_searched(
    world: Tiny, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("reasonrec_index.delegate.SHARE", 1)
    monkeypatch.setattr("reasonrec_index.delegate.LEAST", 1)
    caplog.set_level(logging.INFO, "reasonrec.index")
    als = {"delegate": "implicit-als", "settings": {"factors": 4}, "exact_below": 0}
    rough, never = make(**als, recall=0.05, cells=8), make(**als, recall=0.999, cells=20)
    rough.fit(world.fit)
    assert rough.probes in (1, 2)
    assert rough.recall >= 0.05
    assert "cells searched" in caplog.text
    never.fit(world.fit)
    assert never.probes == 0
    assert "searched exactly: a quarter of the cells finds" in caplog.text
    monkeypatch.setattr("reasonrec_index.delegate.SHARE", 8)
    never.fit(world.fit)
    assert never.probes == 0
    assert "searched exactly: histories are long beside 40 items" in caplog.text
    rough.save(tmp_path)
    again = AnnIndex.load(tmp_path, world.dataset.catalog)
    assert (again.probes, again.recall) == (rough.probes, rough.recall)
    assert rough.refit(replace(world.fit, valid=None)).probes == rough.probes


def test_a_small_catalogue_is_said_to_be_searched_exactly(world: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    made = make(delegate="implicit-als", settings={"factors": 4})
    made.fit(world.fit)
    assert made.probes == 0
    assert "ann-index of implicit-als: 40 items are searched exactly; an index pays from 30,000 on" in caplog.text


def test_without_validation_the_training_histories_are_asked(world: Tiny) -> None:
    batch = draw_queries(replace(world.fit, valid=None))
    log = world.fit.train
    assert batch.history.row(3).tolist() == log.items[log.users == batch.users[3]].tolist()
    assert batch.candidates is None


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"delegate": "popularity"}, "'popularity' has no vectors to index: lightgcn, sasrec"),
        ({"delegate": "ann-index"}, "is an index already"),
        ({"delegate": "nobody"}, "nobody"),
        ({"delegate": "lightgcn", "settings": {"layer": 2}}, "layer"),
    ],
)
def test_what_cannot_be_indexed_is_refused_before_anything_is_read(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(**config)


@pytest.mark.parametrize(
    "wrong",
    [
        {"assigned": np.array([0, 99], np.int32)},
        {"centroids": np.full((2, 3), np.nan, np.float32)},
        {"longest": np.array(0.0)},
        {"longest": np.array("far")},
    ],
)
def test_cells_of_others_are_checked(wrong: dict[str, Any], tmp_path: Path) -> None:
    good = {"centroids": np.ones((2, 3), np.float32), "assigned": np.array([0, 1], np.int32), "longest": np.array(1.0)}
    write_arrays(tmp_path / "good.npz", good)
    assert len(Cells.load(tmp_path / "good.npz").assigned) == 2
    write_arrays(tmp_path / "cells.npz", good | wrong)
    with pytest.raises(RunError, match="does not hold the cells of an index"):
        Cells.load(tmp_path / "cells.npz")


def test_history_is_marked_in_its_own_row_alone() -> None:
    items = np.array([[1, 2, -1], [1, 2, 3]])
    marked = mark_history(items, History.of([[2, 2], [3, 0]]), 4)
    assert marked.tolist() == [[False, True, False], [False, False, True]]


@pytest.mark.parametrize("order", [("faiss", "torch"), ("torch", "faiss")])
def test_faiss_and_torch_live_in_one_process(order: tuple[str, str]) -> None:
    code = (
        f"import {order[0]}, {order[1]}; import numpy as np; from reasonrec_index.inverted_file import *\n"
        "x = np.random.default_rng(0).normal(size=(5000, 16)).astype(np.float32); t = torch.from_numpy(x)\n"
        "before = torch.get_num_threads()\n"
        "for _ in range(3):\n"
        "    found = InvertedFile(x, Cells.train(x, 20, 0)).search(x[:50], 5, 20)\n"
        "    best = (t[:50] @ t.T).topk(5).indices.sort().values.numpy()\n"
        "    assert (best == found).mean() > 0.99\n"
        "assert torch.get_num_threads() == before\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr


def test_help_and_listing_import_no_faiss() -> None:
    code = (
        "import sys; from reasonrec_core.cli.main import cli\n"
        "try: cli(['plugins', 'list'])\n"
        "except SystemExit: pass\n"
        "import reasonrec_index.delegate\nassert 'faiss' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

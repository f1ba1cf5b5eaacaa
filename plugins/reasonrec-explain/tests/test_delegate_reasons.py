"""What delegates name as their reasons, removed: one that is right, one that names the wrong entries, one with none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reasonrec_explain.delegate_reasons import measure_delegate, remove_entries, summarise_delegates
from reasonrec_explain.faithfulness import choose_queries
from reasonrec_transitions.api import Transitions, TransitionsConfig

from reasonrec_core.builtin.popularity import Popularity, PopularityConfig
from reasonrec_core.components import share_contributions
from reasonrec_core.observe import ObservedItems
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.pipeline.agent import Agent, Named
from reasonrec_core.registry import Registry
from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import Float32, History, Int32, Observation, QueryBatch, Task


class Liar(Transitions):
    """Names what spoke least."""

    def attribute(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        turned = 1 - super().attribute(batch, observation, items)
        return share_contributions(turned, np.zeros(items.shape, np.float32), batch.history)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Agent, QueryBatch]:
    data = tiny(tmp_path_factory.mktemp("reasons"))
    made = {
        "transitions": Transitions(TransitionsConfig()),
        "liar": Liar(TransitionsConfig()),
        "popularity": Popularity(PopularityConfig()),
    }
    for each in made.values():
        each.fit(data.fit)
    lengths = np.bincount(data.fit.train.users, minlength=data.fit.n_users)
    horizon = EvidenceHorizonScale.fit(lengths)
    delegates = {label: Named(label, "transitions", each) for label, each in made.items()}
    registry = Registry.discover()
    agent = Agent(registry, len(data.dataset.catalog), 10, ObservedItems({}, {}), horizon, delegates)
    queries = data.test.queries
    return agent, queries.take(choose_queries(queries, 100, 0))


def test_what_is_named_moves_the_answer_or_it_is_found_out(world: tuple[Agent, QueryBatch], tmp_path: Path) -> None:
    found = {label: measure_delegate(*(world[0], label, world[1]), seed=0) for label in world[0].delegates}
    assert found["popularity"] is None, "its answers rest on no history"
    rows = summarise_delegates(found, seed=0, resamples=500)
    by = {(row["system"], row.get("share")): row for row in rows}
    honest, liar = by["transitions", 0.2], by["liar", 0.2]
    assert honest["low"] > 0
    assert honest["cited"]["value"] > honest["random"]["value"]
    assert liar["difference"] < 0
    assert honest["random"]["value"] == pytest.approx(liar["random"]["value"]), "the same entries were drawn"
    assert by["popularity", None] == {"system": "popularity", "none": True}


def test_entries_are_removed_from_their_own_history() -> None:
    batch = QueryBatch(Task.SEQUENTIAL, np.array([0, 1], np.int32), History.of([[1, 2, 3], [4, 5]]))
    less = remove_entries(batch, np.array([True, False, False, False, True]))
    assert [less.history.row(row).tolist() for row in range(2)] == [[2, 3], [4]]

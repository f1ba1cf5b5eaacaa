"""What routing costs a single request, and what it saves where the policy is slow."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from reasonrec_datasets.synth import SynthConfig, make_catalogue

from reasonrec_core.config import check_config
from reasonrec_core.errors import PluginError
from reasonrec_core.pipeline import latency
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.latency import measure_costs, measure_latency
from reasonrec_core.pipeline.router_goal import BATCHES, GoalSearch
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.routing import AskingCosts, Router
from reasonrec_core.types import Deliberation, Observation, QueryBatch, Task

from .conftest import shop_pipeline, silent

SLOW = 0.100


class Slow:
    """A policy that takes its time."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.asked = policy, 0

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        self.asked += len(batch)
        time.sleep(SLOW)
        return self.policy.deliberate(batch, observation)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What is fitted, and its test queries, for each kind of router."""
    folder = tmp_path_factory.mktemp("costs")
    make_catalogue(folder / "data", SynthConfig(users=300, items=40, image_size=32), silent)

    def fitted(**router: object) -> tuple[Agent, QueryBatch]:
        settings = {"share": 0.5, "stage": "before", **router}
        if router["kind"] != "threshold":
            settings["overhead"] = 1.0
        config = check_config(shop_pipeline(folder / "data", settings), "shop.toml")
        made = fit_pipeline(config, folder / str(router["kind"]), Registry.discover(), silent)
        return made.agent, made.prepared.cases(Task.SEQUENTIAL, "test").queries

    return fitted


def slowed(agent: Agent) -> tuple[Agent, Slow]:
    assert agent.policy is not None
    slow = Slow(agent.policy.part)
    return replace(agent, policy=replace(agent.policy, part=slow)), slow


@pytest.mark.parametrize("kind", ["threshold", "deferral", "cascade"])
def test_the_mean_latency_falls_by_nine_tenths_of_the_share(kind: str, shop: Any) -> None:
    agent, slow = slowed((made := shop(kind=kind))[0])
    timed = measure_latency(agent, made[1], 20, 10, 0)
    assert timed is not None
    share = timed.replaced.mean()
    assert 0.25 < share < 0.75
    assert agent.policy is not None
    assert timed.whole.mean() / timed.systems[agent.policy.label].mean() <= 1 - 0.9 * share
    slow.asked = 0
    outcome = agent.act(made[1])
    assert slow.asked == len(outcome.deliberated) == (~outcome.decisions.replaced).sum(), (
        "it thinks about what it answers alone"
    )


def test_costs_are_measured_where_requests_are_answered(shop: Any) -> None:
    agent, queries = shop(kind="deferral")
    found = measure_costs(slowed(agent)[0], queries, 6, 0)
    assert found is not None
    assert SLOW < found.policy < 3 * SLOW
    assert set(found.delegates) == set(agent.delegates)
    assert all(0 < seconds < SLOW / 2 for seconds in found.delegates.values())
    assert AskingCosts.model_validate(found.model_dump()) == found


def test_a_batch_is_decided_as_each_of_its_requests(shop: Any) -> None:
    for kind in ("deferral", "cascade"):
        agent, queries = shop(kind=kind)
        some = queries.take(np.arange(40))
        whole = agent.act(some)
        for row in range(len(some)):
            one = agent.act(some.take(np.array([row])))
            for part in ("route", "who", "reason"):
                assert getattr(one.decisions, part)[0] == getattr(whole.decisions, part)[row]
            np.testing.assert_array_equal(one.ranking.items[0], whole.ranking.items[row])
            np.testing.assert_allclose(one.decisions.confidence[0], whole.decisions.confidence[row], rtol=1e-5)
            np.testing.assert_allclose(one.decisions.risk[0], whole.decisions.risk[row], rtol=1e-5)


def test_without_the_answer_that_it_is_decided_by_another_rule_decides(shop: Any) -> None:
    agent, queries = shop(kind="deferral", answer_features="all")
    router: Router = agent.routers[Task.SEQUENTIAL]
    assert len(router.asks) == 2
    assert router.fallback is not None
    down = router.asks[0]

    def broken(*_: object) -> None:
        raise PluginError("gone")

    failing = replace(agent.delegates[down], part=type("Broken", (), {"recommend": broken})())
    agent = replace(agent, delegates={**agent.delegates, down: failing})
    outcome = agent.act(queries)
    assert 0.3 < outcome.decisions.replaced.mean() < 0.7
    assert down not in outcome.decisions.who
    assert (outcome.ranking.items[:, 0] >= 0).all()
    assert all(f"{down} did not answer (gone)" in outcome.decisions.reason[row] for row in range(10))


def test_what_is_held_back_is_no_answer(shop: Any, tmp_path: Path) -> None:
    agent, queries = shop(kind="threshold", abstain=0.3)
    outcome = agent.act(queries)
    held = outcome.decisions.abstained
    assert 0.15 < held.mean() < 0.45
    assert (outcome.ranking.items[held] == -1).all()
    assert np.isneginf(outcome.ranking.scores[held]).all()
    assert (outcome.ranking.items[~held, 0] >= 0).all()
    assert not (held & (outcome.decisions.replaced | outcome.decisions.consulted)).any()
    row = int(np.argmax(held))
    assert outcome.decisions.reason[row].startswith("no answer is given: the confidence ")
    assert outcome.decisions.who[row] == ""
    assert outcome.decisions.confidence[held].max() <= outcome.decisions.confidence[~held].min()


def search_among(agent: Any, following: QueryBatch) -> GoalSearch:
    """With requests that follow those of validation."""
    settings = SimpleNamespace(seed=0, evaluate=SimpleNamespace(latency_sample=16, k=[10]))
    cases = SimpleNamespace(next_queries=lambda: following)
    prepared = SimpleNamespace(config=settings, cases=lambda *_: SimpleNamespace(sample=lambda *_: cases))
    data = SimpleNamespace(policy=agent.policy.label)
    return GoalSearch(prepared, replace(agent, routers={}), Task.SEQUENTIAL, data, None)  # type: ignore[arg-type]


def test_time_is_taken_where_the_share_is_met(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threshold is placed on the requests after those of validation: on others another share is handed over."""
    agent, queries = shop(kind="threshold")
    following, asked, time_in_turn = queries.take(np.arange(3, 9)), set[int](), latency.time_in_turn

    def watch(agent: Any, ways: Any, batches: Any) -> Any:
        asked.update(*(batch.users.tolist() for batch in batches))
        return time_in_turn(agent, ways, batches)

    monkeypatch.setattr(latency, "time_in_turn", watch)
    search, router = search_among(agent, following), agent.routers[Task.SEQUENTIAL]
    for measure in (search._time, search._time_batches):
        asked.clear()
        measure(router)
        assert asked == set(following.users.tolist())


def test_batches_in_which_nothing_is_saved_are_answered_by_the_policy_alone(shop: Any) -> None:
    agent, queries = shop(kind="threshold")
    router = agent.routers[Task.SEQUENTIAL]
    changes = search_among(agent, queries)._time_batches(router)
    assert tuple(changes) == BATCHES
    assert all(each.low <= each.value <= each.high for each in changes.values())
    whole = replace(agent, routers={Task.SEQUENTIAL: router.with_state(batches={8: False, 256: True})})
    few, many = queries.take(np.arange(16)), queries.take(np.resize(np.arange(len(queries)), 256))
    outcome, alone = whole.act(few), replace(agent, routers={}).act(few)
    assert agent.act(few).decisions.replaced.any()
    assert not outcome.decisions.replaced.any()
    np.testing.assert_array_equal(outcome.ranking.items, alone.ranking.items)
    assert "saves no time in a batch of this size" in outcome.decisions.reason[0]
    np.testing.assert_array_equal(whole.act(many).decisions.who, agent.act(many).decisions.who)
    ones = [queries.take(np.array([row])) for row in range(16)]
    assert [whole.act(one).decisions.who[0] for one in ones] == agent.act(few).decisions.who.tolist()

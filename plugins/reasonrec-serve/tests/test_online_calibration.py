"""Confidence that is corrected by what happened is right as often as it says."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_serve import Recommender
from reasonrec_serve.history_store import open_store
from reasonrec_serve.http.learning import describe_learning
from reasonrec_serve.http.outcomes import NextChoice, OutcomeFollower
from reasonrec_serve.online_calibration import OnlineCalibration

from reasonrec_core.evaluate import reliability
from reasonrec_core.pipeline.agent import Named
from reasonrec_core.types import Float32, Int32, QueryBatch


def correct(stated: np.ndarray, happened: np.ndarray) -> np.ndarray:
    calibration, made = OnlineCalibration(), np.empty(len(stated))
    for place, (confidence, event) in enumerate(zip(stated.tolist(), happened.tolist(), strict=True)):
        made[place] = calibration(confidence)
        calibration.update(confidence, event)
    assert calibration.outcomes == len(stated)
    assert calibration.happened == happened.sum()
    assert calibration.expected == pytest.approx(made.mean())
    return made


@pytest.mark.parametrize("falls_by", [0.7, 1.5])
def test_a_hit_rate_that_moved_is_followed(falls_by: float) -> None:
    rng = np.random.default_rng(0)
    stated = rng.beta(2, 10, 5_000)
    happened = rng.random(len(stated)) < stated / falls_by
    made = correct(stated, happened)
    late = slice(1_000, None)
    assert reliability(made[late], happened[late]).ece < reliability(stated[late], happened[late]).ece / 2


def test_what_is_wrong_only_in_the_middle_is_mended_there() -> None:
    """Isotonic regression makes one value of many: on amazon-beauty .16 was stated often, and .13 came true."""
    rng = np.random.default_rng(2)
    stated = rng.choice([0.05, 0.09, 0.16, 0.3], 20_000)
    happened = rng.random(len(stated)) < np.where(stated == 0.16, 0.12, stated)
    made = correct(stated, happened)
    late = np.arange(len(stated)) > 5_000
    found = {value: made[late & (stated == value)].mean() for value in (0.05, 0.09, 0.16, 0.3)}
    assert found[0.16] == pytest.approx(0.12, abs=0.04 / 3)
    assert [found[value] for value in (0.05, 0.09, 0.3)] == pytest.approx([0.05, 0.09, 0.3], abs=0.01)


def test_confidence_that_holds_stays_what_it_is() -> None:
    rng = np.random.default_rng(1)
    stated = rng.beta(2, 10, 5_000)
    made = correct(stated, rng.random(len(stated)) < stated)
    assert np.abs(made - stated).mean() < 0.01


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60), st.floats(0, 1))
def test_it_is_always_a_probability(outcomes: list[tuple[float, bool]], confidence: float) -> None:
    calibration = OnlineCalibration()
    assert calibration(confidence) == confidence
    for stated, happened in outcomes:
        calibration.update(stated, happened)
        assert 0 <= calibration(confidence) <= 1


def test_a_server_learns_whether_its_confidence_was_right(serve: Any, finished: Path) -> None:
    run, client = Recommender.open(finished), serve(learn=0.02)
    users = list(run.dataset.user_index)[:30]
    sent = []
    for place, user in enumerate(users):
        answer = run.recommend(user=user, k=run.cutoff)
        seen = {id for id, _ in answer.history}
        missed = [id for id in run.dataset.catalog.ids if id not in {each.id for each in answer.items} | seen]
        sent.append({"id": f"e{place}", "user": user, "item": missed[place % len(missed)]})
    before = client.post("/v1/recommend", json={"user": "nobody"}).json()["confidence"]
    client.post("/v1/events", json={"events": sent})
    client.post("/v1/events", json={"events": [{"id": "again", "user": users[0], "item": sent[0]["item"]}]})
    end = time.monotonic() + 60
    while client.get("/v1/status").json()["confidence"]["outcomes"] < len(users):
        assert time.monotonic() < end
        time.sleep(0.02)
    found = client.get("/v1/status").json()["confidence"]
    assert found["outcomes"] == len(users), "what somebody has already says nothing of what they choose next"
    assert found["hits"] == 0
    assert found["expected"] > 0
    assert client.post("/v1/recommend", json={"user": "nobody"}).json()["confidence"] < before


def test_without_learning_nothing_is_corrected(serve: Any) -> None:
    assert serve().get("/v1/status").json()["confidence"] is None


class Noted:
    """A delegate that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[list[str], list[float]]] = []

    def observe(self, batch: QueryBatch, items: Int32, rewards: Float32) -> None:
        assert len(batch) == len(items) == 1
        self.shown.append((items[0].tolist(), rewards[0].tolist()))


def test_delegates_see_which_of_the_list_was_chosen(finished: Path, tmp_path: Path) -> None:
    run, noted = Recommender.open(finished), Noted()
    run.agent = replace(run.agent, delegates={**run.agent.delegates, "noted": Named("noted", "popularity", noted)})
    follower, user = OutcomeFollower(run, open_store(str(tmp_path / "events.sqlite"))), "somebody"
    answer = run.recommend(user=user, k=run.cutoff)
    listed = [run.dataset.catalog.index[item.id] for item in answer.items]
    other = next(id for id in run.dataset.catalog.ids if run.dataset.catalog.index[id] not in listed)
    for item in (answer.items[1].id, other):
        follower.learn(NextChoice(user, [], item))
    hit = [float(place == 1) for place in range(len(listed))]
    assert noted.shown == [(listed, hit), (listed, [0.0] * len(listed))]
    assert describe_learning(run.agent, learn=True).endswith(
        "popularity and transitions also learn from them; noted learns which of the recommended items are chosen; "
        "toy keeps what the last fit learned."
    )
    assert "noted keep what the last fit learned" in describe_learning(run.agent, learn=False)


def test_nothing_is_observed_where_no_list_is_shown(
    abstaining: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, noted, withheld = Recommender.open(abstaining), Noted(), []
    run.agent = replace(run.agent, delegates={**run.agent.delegates, "noted": Named("noted", "popularity", noted)})
    act = run.act

    def watch(*given: Any) -> Any:
        answered = act(*given)
        withheld.append(bool(answered[0].decisions.abstained[0]))
        return answered

    monkeypatch.setattr(run, "act", watch)
    follower = OutcomeFollower(run, open_store(str(tmp_path / "events.sqlite")))
    log, ids = run.dataset.interactions, run.dataset.catalog.ids
    for name, user in run.dataset.user_index.items():
        history = [ids[each] for each in log.items[log.users == user]]
        follower.learn(NextChoice(str(name), history, next(each for each in ids if each not in history)))
    assert 0 < sum(withheld) < len(withheld)
    assert len(noted.shown) == len(withheld) - sum(withheld)

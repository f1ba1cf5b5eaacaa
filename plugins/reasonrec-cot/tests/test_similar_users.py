"""Who is like a request, and what they clicked: nobody's own clicks, nothing later, only training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from reasonrec_cot.answers import fit_ctr_fusion as fitting_module
from reasonrec_cot.config import CotConfig
from reasonrec_cot.items.similar_users import FILE, SIMILAR, SimilarUsers, keep_clicks
from reasonrec_cot.policy import Cot
from reasonrec_cot.similar_config import SimilarUsersConfig
from tuning_shop import SMALL

from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Float32, History, Observation, QueryBatch, Task

CONFIG = SimilarUsersConfig(delegate="implicit-als", settings={"factors": 8}, count=4)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"), task=Task.CTR)


@pytest.fixture(scope="module")
def similar(world: Tiny) -> SimilarUsers:
    return SimilarUsers.fit(CONFIG, world.fit)


def everybody(data: FitData) -> tuple[QueryBatch, Observation]:
    """A request by every user who clicked, with all of her training clicks as history."""
    clicks = keep_clicks(data.train)
    users, counts = np.unique(clicks.users, return_counts=True)
    history = History(np.concatenate([[0], counts.cumsum()]), clicks.items, clicks.times)
    batch = QueryBatch(Task.CTR, users.astype(np.int32), history, candidates=np.zeros((len(users), 1), np.int32))
    return batch, replace(data.observation, horizon=np.zeros(len(users), np.float32))


def test_nobody_is_like_herself_alone(similar: SimilarUsers, world: Tiny) -> None:
    batch, observation = everybody(world.fit)
    places = similar.find(batch, observation)
    assert places.shape == (len(batch), CONFIG.count)
    named = np.where(places >= 0, similar.users[places], -1)
    assert not (named == batch.users[:, None]).any()
    assert (places >= 0).all()
    # Who asks without a name is found by what she did, and is most like herself.
    nameless = replace(batch, users=np.full_like(batch.users, -1))
    own = similar.find(nameless, observation)
    cosines = similar.vectors @ similar.vectors.T
    best = cosines[np.arange(len(batch)), own[:, 0]]
    np.testing.assert_allclose(best, cosines.max(1), atol=1e-5)


def test_the_most_alike_come_first_and_one_is_found_as_among_many(similar: SimilarUsers, world: Tiny) -> None:
    batch, observation = everybody(world.fit)
    places = similar.find(batch, observation)
    cosines = similar.vectors @ similar.vectors.T
    np.fill_diagonal(cosines, -2)
    np.testing.assert_allclose(np.take_along_axis(cosines, places, 1), -np.sort(-cosines, 1)[:, :4], atol=1e-5)
    for row in range(0, len(batch), 5):
        index = np.array([row])
        np.testing.assert_array_equal(similar.find(batch.take(index), observation.take(index))[0], places[row])


def counted(world: Tiny, similar: SimilarUsers, batch: QueryBatch, observation: Observation) -> Float32:
    """The same by hand."""
    clicks, found = keep_clicks(world.fit.train), np.zeros((len(batch), 1), np.float32)
    assert batch.candidates is not None
    for row, places in enumerate(similar.find(batch, observation)):
        users = similar.users[places[places >= 0]]
        when = np.inf if batch.times is None else batch.times[row]
        theirs = (clicks.items == batch.candidates[row, 0]) & (clicks.times < when)
        found[row] = (len(np.intersect1d(users, clicks.users[theirs])) + 0.5) / (len(users) + 1)
    return found


def test_clicks_of_training_before_the_request_count(similar: SimilarUsers, world: Tiny) -> None:
    batch, observation = everybody(world.fit)
    liked = np.bincount(keep_clicks(world.fit.train).items).argmax()
    batch = replace(batch, candidates=np.full((len(batch), 1), liked, np.int32))
    said = similar.look_up(batch, observation)[SIMILAR]
    np.testing.assert_allclose(said, counted(world, similar, batch, observation))
    assert len(np.unique(said)) > 1
    middle = np.full(len(batch), np.median(world.fit.train.times), np.int64)
    early = similar.look_up(replace(batch, times=middle), observation)[SIMILAR]
    np.testing.assert_allclose(early, counted(world, similar, replace(batch, times=middle), observation))
    assert early.sum() < said.sum()
    first = similar.look_up(replace(batch, times=np.zeros(len(batch), np.int64)), observation)[SIMILAR]
    assert (first == np.float32(0.5 / 5)).all()


def test_labels_of_held_out_rows_change_nothing(similar: SimilarUsers, world: Tiny) -> None:
    again = SimilarUsers.fit(CONFIG, replace(world.fit, valid=None))
    np.testing.assert_array_equal(again.vectors, similar.vectors)
    np.testing.assert_array_equal(again.clicked, similar.clicked)
    values = world.fit.train.values
    assert values is not None
    assert len(keep_clicks(world.fit.train)) == (values > 0).sum()


def test_new_items_padding_and_empty_histories(similar: SimilarUsers, world: Tiny) -> None:
    batch, observation = everybody(world.fit)
    two = batch.take(np.array([0, 1]))
    asked = replace(two, candidates=np.array([[-1, similar.n_items + 3], [0, -1]], np.int32))
    said = similar.look_up(asked, observation.take(np.array([0, 1])))[SIMILAR]
    assert said[0] == pytest.approx([0.1, 0.1])
    empty = replace(two, history=History.of([[], []]))
    assert (similar.find(empty, observation.take(np.array([0, 1]))) == -1).all()
    assert similar.look_up(replace(empty, candidates=asked.candidates), observation.take(np.array([0, 1])))[
        SIMILAR
    ] == pytest.approx(np.full((2, 2), 0.5))


def test_kept_and_read_again(similar: SimilarUsers, world: Tiny, tmp_path: Path) -> None:
    similar.save(tmp_path)
    again = SimilarUsers.load(CONFIG, tmp_path, world.dataset.catalog)
    batch, observation = everybody(world.fit)
    np.testing.assert_array_equal(again.find(batch, observation), similar.find(batch, observation))
    (tmp_path / FILE).write_bytes(b"damaged")
    with pytest.raises(DataError, match="similar users cannot be read"):
        SimilarUsers.load(CONFIG, tmp_path, world.dataset.catalog)


def test_what_cannot_be_compared_is_refused(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="'popularity' has no vectors to compare users by"):
        SimilarUsers.fit(SimilarUsersConfig(delegate="popularity"), world.fit)
    train = world.fit.train
    assert train.values is not None
    with pytest.raises(ValidationError, match="similar_users is weighed on validation rows"):
        CotConfig.model_validate({"similar_users": {}})
    with pytest.raises(DataError, match="nobody clicked anything"):
        SimilarUsers.fit(CONFIG, replace(world.fit, train=replace(train, values=np.zeros_like(train.values))))


@pytest.mark.slow
def test_a_policy_weighs_what_similar_users_clicked(llama: Path, world: Tiny, tmp_path: Path) -> None:
    tree: dict[str, Any] = {
        "backbone": {"model": str(llama), "device": "cpu", "precision": "float32"},
        "prompt": {"history": 4, "history_text": "none"},
        "similar_users": CONFIG.model_dump(),
        "tuning": {**SMALL, "steps": 4, "validations": 1, "shares": {"sequential": 0.0, "direct": 0.0, "ctr": 1.0}},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting_module, "FEWEST", 10)  # the tiny shop has 28 clicks and 20 that are none
        policy = Cot(CotConfig.model_validate(tree))
        policy.fit(world.fit)
    asked = world.test.queries
    seen = world.observation(asked)
    answer = policy.deliberate(asked, seen)
    engine = policy.engine
    assert SIMILAR in policy.report["decision"]["clicks"]["figures"]
    assert engine.decision is not None
    assert engine.decision.clicks is not None
    assert engine.counts is not None
    assert policy.similar is not None
    assert asked.candidates is not None
    said = {"yes": engine.score_clicks(asked).chance, **engine.counts.look_up(asked.candidates)}
    said |= policy.similar.look_up(asked, seen)
    np.testing.assert_allclose(answer.probability, engine.decision.clicks(said, seen.horizon), rtol=1e-4)
    policy.save(tmp_path)
    again = Cot.load(tmp_path, world.dataset.catalog).deliberate(asked, seen)
    assert answer.probability is not None
    np.testing.assert_allclose(again.probability, answer.probability, rtol=1e-4)

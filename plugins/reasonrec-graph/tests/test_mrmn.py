"""Kinds of feedback: the suite, the mathematics, and that a weaker kind teaches what the strongest leads to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from reasonrec_graph.config import MRMNConfig
from reasonrec_graph.feedback import list_feedback, read_kinds
from reasonrec_graph.mrmn import MRMN
from reasonrec_graph.relations import RelationNetwork
from reasonrec_torch.testing import LearningDelegateConformance

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.testing.tiny import N_ITEMS, Tiny, tiny
from reasonrec_core.types import Cases, Interactions, Ranking

TRAINING = {"epochs": 30, "patience": 30, "learning_rate": 0.02, "warmup": 5, "ema": 0.8, "device": "cpu", "batch": 64}
SMALL: dict[str, Any] = {"dimensions": 16, "slots": 4, "training": TRAINING}


class TestMRMN(LearningDelegateConformance):
    component = "mrmn"
    settings = SMALL


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def make(world: Tiny, settings: dict[str, Any] = SMALL, **changes: Any) -> MRMN:
    delegate = MRMN(MRMNConfig.model_validate(settings))
    delegate.fit(replace(world.fit, **changes))
    return delegate


def ndcg(delegate: Delegate[Any], world: Tiny, cases: Cases) -> float:
    def answer(batch: Any) -> Ranking:
        return delegate.recommend(batch, world.observation(batch))

    return evaluate_ranking(answer, cases, (10,), n_items=N_ITEMS).values["NDCG@10"]


def with_carts(world: Tiny) -> Interactions:
    """The training part as purchases, and half of what the users will buy in their carts."""
    train, test = world.fit.train, world.test
    users = np.concatenate([train.users, test.queries.users[test.rows][::2]])
    items = np.concatenate([train.items, test.targets[::2]])
    values = np.repeat(np.array([2, 1], np.float32), [len(train), len(test.targets[::2])])
    order = np.argsort(users, kind="stable")
    return Interactions(users[order], items[order], np.zeros(len(order), np.int64), values[order])


@pytest.mark.parametrize("loss", ["softmax", "hinge"])
def test_it_beats_popularity(loss: str, world: Tiny) -> None:
    popular = Popularity(Popularity.Config())
    popular.fit(world.fit)
    made = make(world, SMALL | {"training": TRAINING | {"loss": loss}})
    assert ndcg(made, world, world.test) > 1.2 * ndcg(popular, world, world.test)


def test_carts_teach_what_is_bought(world: Tiny) -> None:
    """Half of what is asked for was put into carts: with them as a kind of their own more of it is found."""
    log = with_carts(world)
    alone, both = (make(world, SMALL | {"kinds": kinds}, train=log, valid=None) for kinds in ([2], [1, 2]))
    assert ndcg(both, world, world.test) > 1.3 * ndcg(alone, world, world.test)


@pytest.fixture
def network() -> RelationNetwork:
    torch.manual_seed(0)
    return RelationNetwork(MRMNConfig.model_validate(SMALL), 5, 7, 3)


def measure_plainly(network: RelationNetwork, user: int, item: int, kind: int) -> float:
    """As the paper has it, in numpy: ``s = u * v + kind``, ``w = softmax(K s)``, ``|u + M^T w - v|^2``."""
    u, v, e, keys, slots = (
        each.detach().double().numpy()
        for each in (network.users[user], network.items[item], network.kinds[kind], network.keys, network.slots)
    )
    u, v = (x / max(1.0, float(np.linalg.norm(x))) for x in (u, v))
    weights = np.exp(keys @ (u * v + e))
    return float(((u + (weights / weights.sum()) @ slots - v) ** 2).sum())


def test_distances_are_the_published_ones(network: RelationNetwork) -> None:
    with torch.no_grad():
        network.users *= 9  # outside of the unit ball
        users, items = network.place(network.users), network.place(network.items)
        assert users.norm(dim=1).max() <= 1 + 1e-6
        for kind in range(3):
            found = network.memory.measure_all(users, items, network.kinds[kind].expand(5, -1)).numpy()
            pairs = network.memory.measure(users[:, None], items, network.kinds[kind]).numpy()
            expected = [[measure_plainly(network, u, i, kind) for i in range(7)] for u in range(5)]
            np.testing.assert_allclose(found, expected, atol=1e-5)
            np.testing.assert_allclose(pairs, expected, atol=1e-5)


@pytest.mark.parametrize("cells", [1, 60])
def test_a_few_users_at_a_time_change_nothing(
    cells: int, network: RelationNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        kinds = network.kinds[torch.tensor([0, 2, 1, 1, 0])]
        whole = network.memory.measure_all(network.users, network.items, kinds)
        monkeypatch.setattr("reasonrec_graph.relations.CELLS", cells)
        torch.testing.assert_close(network.memory.measure_all(network.users, network.items, kinds), whole)


def test_losses_are_the_published_ones(network: RelationNetwork) -> None:
    """The hinge over the nearest sampled item, weighed by CML's rank, and the softmax, with each kind's margin."""
    network.config = MRMNConfig.model_validate(SMALL | {"training": TRAINING | {"negatives": 12}})
    users, items, kinds = torch.tensor([0, 3]), torch.tensor([1, 6]), torch.tensor([0, 2])
    batch = {"users": users, "items": items, "kinds": kinds}
    margins = 0.5 * np.array([1, 2, 3]) / 3
    torch.manual_seed(3)
    drawn = torch.randint(7, (12,)).tolist()
    assert set(drawn) & {1, 6}
    hinge, softmax = [], []
    for row in range(2):
        u, k, own = int(users[row]), int(kinds[row]), int(items[row])
        right = measure_plainly(network, u, own, k) + margins[k]
        wrong = np.array([measure_plainly(network, u, i, k) if i != own else np.inf for i in drawn])
        hinge.append(np.log1p(7 * (right > wrong).mean()) * max(0.0, right - wrong.min()))
        others = (np.exp(-wrong / 0.1)).sum() * 7 / 12
        softmax.append(np.log(np.exp(-right / 0.1) + others) + right / 0.1)

    def cost() -> float:
        torch.manual_seed(3)
        total = network.loss(batch, np.random.default_rng(0)).total
        assert total is not None
        return float(total.detach())

    assert cost() == pytest.approx(np.mean(softmax), abs=1e-4)
    network.config = MRMNConfig.model_validate(SMALL | {"training": TRAINING | {"negatives": 12, "loss": "hinge"}})
    assert cost() == pytest.approx(np.mean(hinge), abs=1e-4)


def test_a_kind_begins_at_its_lowest_value() -> None:
    values = np.array([1, 3, 5, 4, 2, 5, 5], np.float32)
    log = Interactions(
        np.array([0, 0, 0, 1, 1, 1, 1], np.int32), np.array([0, 1, 1, 2, 3, 2, 2], np.int32), np.arange(7), values
    )
    assert read_kinds(values, None) == (1, 2, 3, 4, 5)
    assert read_kinds(None, None) == (0,)
    users, items, kinds = list_feedback(log, (3, 5))
    assert list(zip(users, items, kinds, strict=True)) == [(0, 1, 0), (0, 1, 1), (1, 2, 0), (1, 2, 1)]


def test_kinds_that_cannot_be_are_refused(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="no values to tell kinds of feedback by"):
        read_kinds(None, (1, 2))
    with pytest.raises(ConfigError, match="12 different values"):
        read_kinds(np.arange(12, dtype=np.float32), None)
    with pytest.raises(DataError, match="no training interaction has a value of 3 or more"):
        list_feedback(with_carts(world), (3,))
    with pytest.raises(ValidationError, match="must rise"):
        MRMNConfig(kinds=(2, 1))


def test_whom_training_did_not_see_is_her_history(world: Tiny) -> None:
    """An unknown user is the mean of the items of her history; a known one stays where training put her."""
    delegate = make(world)
    batch = world.test.queries
    strange = replace(batch, users=np.full(len(batch), -1, np.int32))
    found = delegate._place_users(strange)[0]
    items = delegate._tensors["items"][torch.from_numpy(np.unique(batch.history.row(0))).long()]
    torch.testing.assert_close(found, items.mean(0))
    assert torch.equal(delegate._place_users(batch)[0], delegate._tensors["users"][int(batch.users[0])])

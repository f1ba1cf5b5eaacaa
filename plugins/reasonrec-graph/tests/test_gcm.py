"""GCM is a factorisation machine over vectors that contexts were passed along with, and LightGCN without them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from reasonrec_graph.config import GCMConfig
from reasonrec_graph.delegates import LightGCN
from reasonrec_graph.edge_context import ContextNetwork
from reasonrec_graph.gcm import GCM

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.testing.tiny import N_ITEMS, N_USERS, Tiny, tiny
from reasonrec_core.types import Cases, Float32, Float64, History, QueryBatch, Task, indptr_of

TRAINING = {"epochs": 30, "patience": 30, "learning_rate": 0.05, "warmup": 5, "ema": 0.8, "device": "cpu", "batch": 64}
SMALL: dict[str, Any] = {"dimensions": 16, "layers": 2, "training": TRAINING}
PLACES = ["home", "shop", "station"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def telling(cases: Cases) -> Cases:
    """Queries whose second context tells a third of the items, the first nothing."""
    codes = np.stack([np.ones(len(cases), np.int32), 1 + cases.targets % 3], axis=1).astype(np.int32)
    return replace(cases, queries=replace(cases.queries, context=codes))


def in_context(fit: FitData) -> FitData:
    items = fit.train.items
    codes = np.stack([1 + np.arange(len(items)) % 2, 1 + items % 3], axis=1).astype(np.int32)
    assert fit.valid is not None
    names = {"hour": ["9", "10"], "place": PLACES}
    return replace(fit, train=replace(fit.train, context=codes), valid=telling(fit.valid), context=names)


def make(model: type[LightGCN[Any]], fit: FitData, **settings: Any) -> Any:
    delegate = model(model.Config.model_validate(SMALL | settings))
    delegate.fit(fit)
    return delegate


def ask_as_trained(fit: FitData, context: Any = None) -> QueryBatch:
    """Every user, with the history of the training part."""
    train = fit.train
    history = History(indptr_of(np.bincount(train.users, minlength=N_USERS)), train.items, train.times)
    return QueryBatch(Task.SEQUENTIAL, np.arange(N_USERS, dtype=np.int32), history, context=context)


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_without_context_it_is_lightgcn(loss: str, world: Tiny) -> None:
    training = TRAINING | {"loss": loss, "negatives": 4, "epochs": 3}
    for fit, settings in ((world.fit, {}), (in_context(world.fit), {"context": ()})):
        batch = ask_as_trained(fit)
        seen = world.observation(batch)
        found = make(GCM, fit, training=training, last_item=False, **settings).score(batch, seen)
        assert np.array_equal(found, make(LightGCN, fit, training=training).score(batch, seen))


def pass_densely(network: ContextNetwork, layers: int) -> tuple[Float64, Float64]:
    """float64[n_users, d] and float64[n_items, d]: edge by edge, as the paper writes it."""
    users, items = (part.detach().numpy().astype(np.float64) for part in network.start())
    contexts = network.vectors.detach().numpy().astype(np.float64)
    edges = list(zip(network.graph.rows.tolist(), network.graph.user_items.tolist(), strict=True))
    counts = [
        np.bincount([edge[side] for edge in edges], minlength=size) for side, size in ((0, len(users)), (1, len(items)))
    ]
    sums = [users.copy(), items.copy()]
    for _ in range(layers):
        new = [np.zeros_like(users), np.zeros_like(items)]
        for edge, (user, item) in enumerate(edges):
            weight = 1 / np.sqrt(counts[0][user] * counts[1][item])
            context = sum(contexts[code] for code in network.codes[edge].tolist())
            new[0][user] += weight * (items[item] + context)
            new[1][item] += weight * (users[user] + context)
        users, items = new
        sums = [total + each for total, each in zip(sums, new, strict=True)]
    return sums[0] / (layers + 1), sums[1] / (layers + 1)


def score_pairs(fields: list[Float64]) -> float:
    """A factorisation machine's second order (Rendle, ICDM 2010, equation 1)."""
    return float(sum(one @ other for one, other in combinations(fields, 2)))


@pytest.mark.parametrize("layers", [0, 2])
def test_scores_are_those_of_a_factorisation_machine_over_passed_vectors(layers: int, world: Tiny) -> None:
    """Up to what no item changes; for users who have done nothing since the training."""
    fit = in_context(world.fit)
    delegate: Any = GCM(GCM.Config.model_validate(SMALL | {"layers": layers, "training": TRAINING | {"loss": "bpr"}}))
    networks: list[ContextNetwork] = []
    make_network = delegate.make_network

    def watch(*given: Any) -> Any:
        networks.append(make_network(*given))
        return networks[0]

    delegate.make_network = watch
    delegate.fit(fit)
    codes = np.stack([np.arange(N_USERS) % 3, np.arange(N_USERS) % 4], axis=1).astype(np.int32)
    batch = ask_as_trained(fit, codes)
    found = delegate.score(batch, world.observation(batch))
    users, items = pass_densely(networks[0], layers)
    contexts = networks[0].vectors.detach().numpy().astype(np.float64)
    chosen = np.flatnonzero(delegate._passed.degrees > 0)
    for user in (0, 5, N_USERS - 1):
        hour, place, last = codes[user, 0], codes[user, 1], batch.history.row(user)[-1]
        request = [contexts[hour], contexts[2 + place if place else 0], contexts[6 + last]]
        rest = score_pairs([users[user], *request])
        expected = [score_pairs([users[user], *request, items[item]]) - rest for item in chosen.tolist()]
        np.testing.assert_allclose(found[user, chosen], expected, rtol=1e-3, atol=1e-4)


def ndcg(delegate: Delegate[Any], world: Tiny, cases: Cases) -> float:
    def answer(batch: QueryBatch) -> Any:
        return delegate.recommend(batch, world.observation(batch))

    return evaluate_ranking(answer, cases, (10,), n_items=N_ITEMS).values["NDCG@10"]


def test_it_learns_what_a_context_tells(world: Tiny) -> None:
    fit, cases = in_context(world.fit), telling(world.test)
    with_place = ndcg(make(GCM, fit), world, cases)
    assert with_place > 1.1 * ndcg(make(GCM, fit, context=("hour",)), world, cases)
    assert with_place > 1.1 * ndcg(make(LightGCN, fit), world, cases)


def test_unknown_contexts_say_nothing(world: Tiny, tmp_path: Path) -> None:
    """No context, code 0 and a value that training did not see are one; and a saved one answers as before."""
    fit = in_context(world.fit)
    assert fit.train.context is not None
    codes = fit.train.context.copy()
    codes[codes[:, 1] == 3, 1] = 0
    delegate = make(GCM, replace(fit, train=replace(fit.train, context=codes)), last_item=False)
    delegate.save(tmp_path)

    def score(context: Any, asked: Any = delegate) -> Float32:
        batch = ask_as_trained(fit, context)
        answers: Float32 = asked.score(batch, world.observation(batch))
        return answers

    nothing, never = np.zeros((N_USERS, 2), np.int32), np.tile(np.array([0, 3], np.int32), (N_USERS, 1))
    assert np.array_equal(score(None), score(nothing))
    assert np.array_equal(score(never), score(nothing))
    home = np.tile(np.array([0, 1], np.int32), (N_USERS, 1))
    assert not np.allclose(score(home), score(nothing))
    assert np.array_equal(score(home, GCM.load(tmp_path, fit.catalog)), score(home))


def test_a_context_that_the_data_lack_is_refused(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="the data have no context 'mood'"):
        make(GCM, in_context(world.fit), context=("mood",))


def test_pairs_in_their_contexts_share_nothing() -> None:
    with pytest.raises(ValidationError, match="by_user has nothing to share"):
        GCMConfig.model_validate({"training": {"by_user": True}})

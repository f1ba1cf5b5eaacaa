"""Fusion of rankings: known values, known weights, nothing invented."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reasonrec_core.routing.fit_fusion import fit_fusion
from reasonrec_core.routing.rank_fusion import Fusion
from reasonrec_core.types import Ranking

SIZE, N_ITEMS, WIDTH = 3000, 200, 11


def ranking(items: list[list[int]]) -> Ranking:
    made = np.array(items, np.int32)
    return Ranking(made, -np.arange(made.shape[1], dtype=np.float32) * np.ones((len(made), 1), np.float32))


def fused_by(weights: list[float]) -> Fusion:
    return Fusion(systems=("mind", "quick"), edges=(), weights=[weights], constants=[2.0], report={})


def test_a_score_is_the_weighted_sum_of_reciprocal_ranks() -> None:
    fusion = fused_by([1.0, 0.5])
    found = fusion({"mind": ranking([[7, 8, 9]]), "quick": ranking([[9, 7, -1]])}, np.zeros(1, np.float32))
    assert found.items.tolist() == [[7, 9, 8]]
    expected = [1 / 3 + 0.5 / 4, 1 / 5 + 0.5 / 3, 1 / 4]
    np.testing.assert_allclose(found.scores[0], expected, rtol=1e-6)


def test_the_policy_alone_stays_as_it_is_and_short_lists_stay_short() -> None:
    alone = fused_by([1.0, 0.0])
    found = alone({"mind": ranking([[7, 8, -1]]), "quick": ranking([[1, 2, 3]])}, np.zeros(1, np.float32))
    assert found.items.tolist() == [[7, 8, -1]]
    assert found.scores[0, 2] == -np.inf


class World:
    """The policy knows warm users, the delegate cold ones: a hit is at a random place of a list."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.horizon = rng.random(SIZE).astype(np.float32)
        self.targets = rng.integers(0, N_ITEMS, SIZE).astype(np.int32)
        cold = self.horizon > 0.75
        self.rankings = {
            "mind": self.listed(rng, np.where(cold, 0.05, 0.6)),
            "quick": self.listed(rng, np.where(cold, 0.6, 0.05)),
        }

    def listed(self, rng: np.random.Generator, chance: np.ndarray) -> Ranking:
        items = np.argsort(rng.random((SIZE, N_ITEMS)), axis=1)[:, :WIDTH].astype(np.int32)
        items[items == self.targets[:, None]] = -1
        hit = rng.random(SIZE) < chance
        place = rng.integers(0, 5, SIZE)
        items[hit, place[hit]] = self.targets[hit]
        return ranking(items.tolist())

    def fitted(self) -> Fusion:
        return fit_fusion(self.rankings, np.arange(SIZE + 1), self.targets, self.horizon, 0)

    def ndcg(self, found: Ranking, rows: np.ndarray) -> float:
        at = found.items[rows, :10] == self.targets[rows, None]
        return float(np.where(at.any(axis=1), 1 / np.log2(at.argmax(axis=1) + 2), 0).mean())


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def fusion(world: World) -> Fusion:
    return world.fitted()


def test_weights_follow_the_horizon_and_win_on_new_queries(fusion: Fusion) -> None:
    assert len(fusion.edges) == 3
    assert fusion.weights[0, 1] < 1 <= fusion.weights[-1, 1]
    report = fusion.report
    for form in ("ranks", "scores"):
        assert report[f"grouped {form}"] > report[f"shared {form}"] >= report["policy"] - 1e-9
    assert report["chosen"].startswith("grouped")
    assert report["gain"]["low"] > 0.2
    new = World(seed=1)
    cold, everyone = new.horizon > 0.75, np.ones(SIZE, bool)
    fused = fusion(new.rankings, new.horizon)
    assert new.ndcg(fused, everyone) > max(new.ndcg(r, everyone) for r in new.rankings.values()) + 0.05
    assert new.ndcg(fused, cold) > new.ndcg(new.rankings["mind"], cold) + 0.2
    assert new.ndcg(fused, everyone) == pytest.approx(report["fused"], abs=0.03)


def test_nothing_is_invented_or_repeated_and_a_query_is_fused_alone_as_among_others(
    fusion: Fusion, world: World
) -> None:
    whole = fusion(world.rankings, world.horizon)
    for row in range(0, SIZE, 300):
        given = whole.items[row][whole.items[row] >= 0]
        assert len(set(given)) == len(given)
        assert set(given) <= {*world.rankings["mind"].items[row], *world.rankings["quick"].items[row]}
        at = np.array([row])
        one = fusion({label: r.take(at) for label, r in world.rankings.items()}, world.horizon[at])
        np.testing.assert_array_equal(one.items[0], whole.items[row])
        np.testing.assert_array_equal(one.scores[0], whole.scores[row])
    again = Fusion.model_validate(json.loads(json.dumps(fusion.model_dump(mode="json"))))
    np.testing.assert_array_equal(again(world.rankings, world.horizon).items, whole.items)


def test_few_queries_leave_the_policy_alone(world: World) -> None:
    few = {label: r.take(np.arange(100)) for label, r in world.rankings.items()}
    fusion = fit_fusion(few, np.arange(101), world.targets[:100], world.horizon[:100], 0)
    assert (fusion.systems, fusion.weights.tolist()) == (("mind",), [[1.0]])


def test_delegates_that_only_add_noise_are_not_consulted() -> None:
    random = np.random.default_rng(5)
    queries = 2000
    targets = random.integers(0, 500, queries).astype(np.int32)
    guess = np.stack([random.permutation(500)[:20] for _ in range(queries)]).astype(np.int32)
    right = guess.copy()
    right[:, 0] = targets  # the policy is always right, the delegate is chance
    scores = np.tile(np.arange(20, 0, -1, dtype=np.float32), (queries, 1))
    noise = np.stack([random.permutation(500)[:20] for _ in range(queries)]).astype(np.int32)
    rankings = {"policy": Ranking(right, scores), "chance": Ranking(noise, scores)}
    horizon = random.random(queries).astype(np.float32)
    found = fit_fusion(rankings, np.arange(queries + 1), targets, horizon, 0)
    assert found.systems == ("policy",)
    fused = found({"policy": rankings["policy"]}, horizon)
    assert (fused.items[:, 0] == targets).all()

"""Whose belief in the next item's labels counts: the likelier one, unless the other ranks better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reasonrec_chain import fitting
from reasonrec_chain.delegate_experts import GateFold
from reasonrec_chain.fit_gating import FittedGates
from reasonrec_chain.gate_network import GateNetwork
from small import config, fitted

from reasonrec_core.testing.tiny import Tiny


def judged(ranks: Any) -> FittedGates:
    """Gates that put the unseen targets at these ranks."""
    gains = 1 / np.log2(1 + np.asarray(ranks, np.float64))
    return FittedGates(GateNetwork(1, 1, 1, "static", 0, 0.0, 0.1), gains, {})


def test_better_is_more_than_chance_and_only_the_first_ten_ranks_count() -> None:
    some, rng = np.tile([1, 2, 3, 5, 40], 100), np.random.default_rng(0)
    assert judged(np.maximum(some - 1, 1)).better_than(judged(some))
    assert not judged(some).better_than(judged(some))
    assert not judged(rng.permutation(some)).better_than(judged(some))
    assert not judged(np.full(50, 11)).better_than(judged(np.full(50, 99)))
    assert not judged([]).better_than(judged([]))


@pytest.mark.parametrize(("counted", "chosen"), [(1, "counted"), (2, "likeliest"), (3, "likeliest")])
def test_the_belief_that_ranks_unseen_pairs_better_is_the_one_that_counts(
    world: Tiny, monkeypatch: pytest.MonkeyPatch, counted: int, chosen: str
) -> None:
    policy = fitted(world.fit, training={"epochs": 1})
    experts = policy.model.experts
    trusted = tuple(0.5 for _ in experts.trust)
    monkeypatch.setattr(fitting, "_trust", lambda *_: trusted)
    monkeypatch.setattr(fitting, "_propose", lambda config, data, experts, folds: experts.trust)
    ranks = {trusted: np.full(30, 2), tuple(0.0 for _ in trusted): np.full(30, counted)}
    monkeypatch.setattr(fitting, "fit_gates", lambda trust, *_: judged(ranks[trust]))
    nobody = fitting._nobody(world.fit)
    kept, found = fitting.weigh_beliefs(config(), world.fit, replace(experts, trust=trusted), [GateFold((), nobody)])
    assert kept.trust == (trusted if chosen == "likeliest" else tuple(0.0 for _ in trusted))
    assert found.unseen.tolist() == judged(ranks[kept.trust]).unseen.tolist()
    assert found.report["NDCG@10 on unseen pairs, likeliest labels"] == pytest.approx(1 / np.log2(3))
    assert found.report["NDCG@10 on unseen pairs, counted labels"] == pytest.approx(1 / np.log2(1 + counted))


def test_a_fit_says_what_it_trusts_and_how_either_ranks(world: Tiny) -> None:
    report = fitted(world.fit).report
    trust, gates = report["trust"], report["gates"]
    assert isinstance(trust, dict)
    assert isinstance(gates, dict)
    told = [gates.get(f"NDCG@10 on unseen pairs, {kind} labels") for kind in ("likeliest", "counted")]
    if any(trust.values()):
        assert None not in told
    else:
        assert told == [None, None] or told[1] > told[0]

"""Gates: a mixture, powers and labels that are read from what is known, and judged on pairs they never saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_chain import fit_gating as module
from reasonrec_chain.config import GateConfig
from reasonrec_chain.deliberate import deliberate_chunk
from reasonrec_chain.fit_gating import GatePairs, compute_gains, fit_gates, make_pairs, train_gates
from reasonrec_chain.gate_network import GateNetwork
from reasonrec_chain.gating import GateKind, compute_facts, compute_mass, follow_assumptions, weigh_experts
from reasonrec_chain.propose import Proposals
from reasonrec_profile.api import HistoryWeights
from small import answer, asking, fitted

from reasonrec_core.testing.tiny import Tiny

KINDS: tuple[GateKind, ...] = ("static", "linear", "hidden")
FAST = GateConfig(steps=150, epochs=2, folds=3, hidden=6, learning_rate=0.05)


def proposals(size: int = 6, seed: int = 0) -> Proposals:
    """Three experts, two fields, pools of eight with padding at the end."""
    rng = np.random.default_rng(seed)
    items = np.tile(np.arange(8, dtype=np.int32), (size, 1))
    items[1:2, 5:] = -1
    shares = rng.dirichlet(np.ones(10), (size, 3)).astype(np.float32)[:, :, :8] * (items >= 0)[:, None, :]
    ratios = rng.standard_normal((size, 2, 8)).astype(np.float32)
    return Proposals(("a", "b", "c"), items, shares, rng.random((size, 3)).astype(np.float32), ratios)


def beliefs(size: int = 6) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(9)
    return tuple(rng.dirichlet(np.ones(n), size).astype(np.float32) for n in (3, 5))


def moved(kind: GateKind, x: int) -> GateNetwork:
    torch.manual_seed(1)
    gates = GateNetwork(3, 2, x, kind, 6, 0.1, 1e-3).eval()
    for value in gates.parameters():
        value.data += torch.randn_like(value)
    return gates


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixture_and_an_answer_that_are_probabilities(kind: GateKind) -> None:
    found, horizon = proposals(), np.linspace(0, 1, 6, dtype=np.float32)
    gates = moved(kind, compute_facts(found, beliefs(), horizon).shape[1])
    weighed = weigh_experts(gates.to_arrays(), found, beliefs(), horizon)
    np.testing.assert_allclose(weighed.experts.sum(axis=1), 1, rtol=1e-5)
    mass = compute_mass(gates.to_arrays(), found, weighed)
    assert (mass >= 0).all()
    assert not mass[found.items < 0].any()
    mixed = np.einsum("be,bec->b", weighed.experts, found.shares)
    np.testing.assert_allclose(mass.sum(axis=1), mixed, rtol=1e-4)
    assert (weighed.experts.std(axis=0).max() > 1e-3) == (kind != "static"), "only static gates are the same for all"


def test_the_score_is_the_formula() -> None:
    found, gates = proposals(), moved("linear", compute_facts(proposals(), beliefs(), np.zeros(6, np.float32)).shape[1])
    x = torch.from_numpy(compute_facts(found, beliefs(), np.zeros(6, np.float32)))
    with torch.no_grad():
        log_w, c, b = gates.weights(x)
        scores = gates(torch.from_numpy(found.shares), torch.from_numpy(found.ratios), x)
    w = log_w.exp().numpy()
    for q, i in ((0, 0), (3, 7), (1, 2)):
        p = found.shares[q, :, i]
        wanted = np.log(w[q] @ p + 1e-9) + c[q].numpy() @ np.log(p + 1e-3) + b[q].numpy() @ found.ratios[q, :, i]
        assert scores[q, i].item() == pytest.approx(wanted, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 99), size=st.integers(1, 5), fields=st.sampled_from([0, 2]))
def test_answers_are_what_numpy_makes_of_the_formula(kind: GateKind, seed: int, size: int, fields: int) -> None:
    found, horizon = proposals(size), np.linspace(0, 1, size, dtype=np.float32)
    found = replace(found, ratios=found.ratios[:, :fields])
    known = compute_facts(found, beliefs(size)[:fields], horizon)
    torch.manual_seed(seed)
    gates = GateNetwork(3, fields, known.shape[1], kind, 6, 0.1, 1e-3).eval()
    assert (
        compute_mass(
            gates.to_arrays(), found, weigh_experts(gates.to_arrays(), found, beliefs(size)[:fields], horizon)
        ).shape
        == found.items.shape
    )
    for value in gates.parameters():
        value.data += torch.randn_like(value)
    held = {name: value.double().numpy() for name, value in gates.state_dict().items()}
    layers = sorted(name.removesuffix(".weight") for name in held if name.endswith(".weight"))
    seen, out = np.clip((known - held["mean"]) / held["spread"], -4, 4), np.tile(held["base"], (size, 1))
    for n, layer in enumerate(layers):
        seen = (np.tanh(seen) if n else seen) @ held[f"{layer}.weight"].T + held[f"{layer}.bias"]
    out = out + seen if layers else out
    w, c, b = np.exp(out[:, :3]) / np.exp(out[:, :3]).sum(axis=1, keepdims=True), out[:, 3:6], out[:, 6:]
    weighed = weigh_experts(gates.to_arrays(), found, beliefs(size)[:fields], horizon)
    for mine, expected in ((weighed.experts, w), (weighed.agreement, c), (weighed.labels, b)):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)
    mixed = np.einsum("be,bec->bc", w, found.shares)
    scores = np.log(mixed + 1e-9) + np.einsum("be,bec->bc", c, np.log(found.shares + 1e-3))
    scores = np.where(found.items < 0, -np.inf, scores + np.einsum("bf,bfc->bc", b, found.ratios))
    mass = np.exp(scores - scores.max(axis=1, keepdims=True))
    mass *= np.minimum(mixed.sum(axis=1), 1.0)[:, None] / mass.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(compute_mass(gates.to_arrays(), found, weighed), mass, rtol=1e-3, atol=1e-6)


def test_a_pool_of_padding_has_no_mass() -> None:
    found = proposals(2)
    found = replace(found, items=np.full_like(found.items, -1), shares=np.zeros_like(found.shares))
    gates = moved("hidden", compute_facts(found, beliefs(2), np.zeros(2, np.float32)).shape[1])
    assert not compute_mass(
        gates.to_arrays(), found, weigh_experts(gates.to_arrays(), found, beliefs(2), np.zeros(2, np.float32))
    ).any()


def test_an_assumed_label_counts_in_full() -> None:
    found, horizon = proposals(), np.zeros(6, np.float32)
    gates = moved("linear", compute_facts(found, beliefs(), horizon).shape[1]).to_arrays()
    weighed = weigh_experts(gates, found, beliefs(), horizon)
    assumed = np.full((6, 2), -1, np.int32)
    assumed[2, 1] = 0
    after = follow_assumptions(replace(weighed, labels=weighed.labels - 5), assumed)
    assert after.labels[2, 1] == 1
    assert (after.labels != weighed.labels - 5).sum() == 1


def planted(size: int, seed: int = 0) -> GatePairs:
    """Expert 0 knows the target where the first fact is positive, expert 1 where it is not, expert 2 never."""
    rng = np.random.default_rng(seed)
    fact = rng.choice([-1.0, 1.0], size)
    shares = rng.dirichlet(np.ones(20), (size, 3)).astype(np.float32)
    target = rng.integers(0, 20, size)
    knows = np.where(fact > 0, 0, 1)
    shares[np.arange(size), knows, target] += 0.5
    shares /= shares.sum(axis=2, keepdims=True)
    return GatePairs(
        torch.from_numpy(shares),
        torch.zeros(size, 0, 20),
        torch.from_numpy(np.stack([fact, rng.random(size)], axis=1).astype(np.float32)),
        torch.ones(size, 20, dtype=torch.bool),
        torch.from_numpy(target),
    )


def test_gates_that_read_learn_whom_to_believe_when() -> None:
    fitted = fit_gates(planted(600), FAST, 100, 0, lambda done, total: None)
    assert fitted.gates.kind in ("linear", "hidden")
    fresh = planted(300, seed=5)
    assert (
        compute_gains(fitted.gates, fresh).mean()
        > compute_gains(train_gates(planted(600), FAST, "static", 100, 0), fresh).mean() + 0.02
    )
    with torch.no_grad():
        w = fitted.gates.weights(torch.tensor([[1.0, 0.5], [-1.0, 0.5]]))[0].exp()
    assert w[0].argmax() == 0
    assert w[1].argmax() == 1
    assert fitted.report["targets in the pool"] == 1


def test_every_figure_comes_from_gates_that_were_fitted_on_other_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pair is named by a fact; whoever judges it must not have been fitted on it."""
    pairs = planted(60)
    named = replace(pairs, facts=torch.stack([torch.arange(60.0), torch.zeros(60)], dim=1))
    learned: dict[int, set[float]] = {}
    judged: list[float] = []
    train, judge = module.train_gates, module.compute_gains

    def training(some: GatePairs, *rest: object) -> GateNetwork:
        gates = train(some, *rest)  # type: ignore[arg-type]
        learned[id(gates)] = set(some.facts[:, 0].tolist())
        kept.append(gates)
        return gates

    def judging(gates: GateNetwork, some: GatePairs) -> np.ndarray:
        names = some.facts[:, 0].tolist()
        assert not learned[id(gates)] & set(names)
        judged.extend(names)
        return judge(gates, some)

    kept: list[GateNetwork] = []
    monkeypatch.setattr(module, "train_gates", training)
    monkeypatch.setattr(module, "compute_gains", judging)
    found = fit_gates(named, FAST, 100, 0, lambda done, total: None)
    assert sorted(judged) == sorted([float(i) for i in range(60)] * len(KINDS))
    assert learned[id(found.gates)] == set(map(float, range(60)))
    assert len(found.unseen) == 60


def test_a_target_that_no_expert_proposed_stays_out_of_the_pool() -> None:
    found = proposals()
    targets = np.array([3, 7, 99, 0, 5, 99], np.int32)
    pairs = make_pairs(found, beliefs(), np.zeros(6, np.float32), targets, np.full((6, 1), -1, np.int32))
    assert pairs.target.tolist() == [3, -1, -1, 0, 5, -1]
    assert (pairs.allowed.numpy() == found.allowed).all()
    gains = compute_gains(moved("static", pairs.facts.shape[1]), pairs)
    assert (gains[[1, 2, 5]] == 0).all()
    assert (gains[[0, 3, 4]] > 0).all()


def test_pools_of_validation_pairs_are_what_anyone_would_be_shown(world: Tiny) -> None:
    """How often they hold the target is how often the pools of the same queries, asked without it, do."""
    policy, valid, seen = fitted(world.fit, gates={"depth": 2}), world.fit.valid, world.fit.observation
    assert valid is not None
    model = policy.model
    cache, evidence = model.experts.cache_items(seen), HistoryWeights.of(valid.queries.history, 50)
    states = model.experts.sequence.states(evidence, cache.tables)
    thought = deliberate_chunk(model, valid.queries, evidence, states, cache, seen.horizon)
    held = (thought.proposals.items == valid.targets[:, None]).any(axis=1).mean()
    report = policy.report["gates"]
    assert isinstance(report, dict)
    assert report["targets in the pool"] == pytest.approx(held)
    assert 0.3 < held < 1


def test_further_targets_are_no_wrong_answers() -> None:
    found = proposals()
    others = np.array([[4]] + [[-1]] * 5, np.int32)
    pairs = make_pairs(found, beliefs(), np.zeros(6, np.float32), np.full(6, 3, np.int32), others)
    assert not pairs.allowed[0, 4]
    assert pairs.allowed[2, 4]


@pytest.mark.parametrize("size", [0, 1, 2])
def test_few_pairs_or_none(size: int) -> None:
    found = fit_gates(planted(size), FAST, 100, 0, lambda done, total: None)
    assert np.isfinite(found.unseen).all()
    assert len(found.unseen) == size


def test_without_validation_the_experts_count_alike(world: Tiny) -> None:
    policy = fitted(replace(world.fit, valid=None))
    assert policy.model.gates.kind == "static"
    weigh_step = answer(policy, world).steps[0][-2]
    names = policy.model.experts.names
    assert weigh_step.weight == pytest.approx(1 / len(names), abs=1e-3)
    assert answer(policy, world, asking([[1, 2], []])).steps[1]

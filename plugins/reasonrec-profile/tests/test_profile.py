"""The `profile` policy: conformance, steps that cause the answer, cold items, masked modalities."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from reasonrec_profile.api import Profile, ProfileConfig, name_expert
from reasonrec_profile.decide import attribute
from reasonrec_profile.field_parsing import name_bands
from reasonrec_profile.item_fields import find_fields
from reasonrec_profile.neighbours import find_neighbours, fit_space
from reasonrec_profile.propose import choose_chunk_size
from reasonrec_transitions.api import TransitionsConfig
from scipy import sparse, stats
from shops import ShopWorld, make_shop, ndcg

from reasonrec_core.errors import ConfigError, DataError, PluginError
from reasonrec_core.testing import EditablePolicyConformance
from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import History, Observation, QueryBatch, StepKind, Task

FAST = ProfileConfig(trials=90)


class TestProfile(EditablePolicyConformance):
    component = "profile"
    settings: ClassVar = {"trials": 30, "transitions": {"trials": 5}}


def fitted(shop: ShopWorld, config: ProfileConfig = FAST) -> Profile:
    policy = Profile(config)
    policy.fit(shop.fit)
    return policy


@pytest.fixture(scope="module")
def shop() -> ShopWorld:
    return make_shop()


@pytest.fixture(scope="module")
def policy(shop: ShopWorld) -> Profile:
    return fitted(shop)


def top(policy: Profile, shop: ShopWorld, **edits: object) -> np.ndarray:
    batch = shop.test.queries
    ranking = policy.answer(batch, shop.observe(batch), **edits).ranking  # type: ignore[arg-type]
    assert ranking is not None
    return ranking.items


def test_text_and_pictures_together_beat_either_alone_and_both_beat_neither(shop: ShopWorld) -> None:
    quality = {}
    for name, gone in {"both": (), "text": ("image",), "image": ("text",), "neither": ("text", "image")}.items():
        world = shop.without(*gone)
        quality[name] = ndcg(top(fitted(world), world), shop.test)
    for less in ("text", "image", "neither"):
        assert stats.ttest_rel(quality["both"], quality[less], alternative="greater").pvalue < 0.01, less


def test_masking_pictures_when_answering_loses_what_they_gave(shop: ShopWorld, policy: Profile) -> None:
    """A picture that is not there now cannot speak, though it was there when the policy was fitted."""
    full = ndcg(top(policy, shop), shop.test)
    blind = shop.without("image")
    assert stats.ttest_rel(full, ndcg(top(policy, blind), shop.test), alternative="greater").pvalue < 0.01
    nothing = {**shop.fit.observation.present, "image": np.zeros(len(shop.fit.catalog), np.bool_)}
    masked = replace(shop, fit=replace(shop.fit, observation=replace(shop.fit.observation, present=nothing)))
    np.testing.assert_array_equal(top(policy, masked), top(policy, blind))


def test_cold_items_are_recommended_for_their_content(shop: ShopWorld, policy: Profile) -> None:
    """Items that nobody had before are found for users whose history looks like them."""
    cold = np.arange(len(shop.fit.catalog))[-12:]
    history = [[int(i) for i in np.flatnonzero((shop.looks == shop.looks[c]) & (shop.themes == shop.themes[c]))[:5]]
               for c in cold]  # fmt: skip
    history = [[i for i in row if i < cold[0]] for row in history]
    kept = [(c, row) for c, row in zip(cold, history, strict=True) if row]
    batch = QueryBatch(Task.SEQUENTIAL, np.full(len(kept), -1, np.int32), History.of([row for _, row in kept]), k=30)
    ranking = policy.deliberate(batch, shop.observe(batch)).ranking
    assert ranking is not None
    found = [c in row for (c, _), row in zip(kept, ranking.items, strict=True)]
    assert len(kept) >= 6
    assert np.mean(found) > 0.5, "by chance 30 of 240 places hold an item in one of eight cases"


def test_removing_cited_evidence_moves_the_answer_more_than_other_evidence(shop: ShopWorld, policy: Profile) -> None:
    batch = shop.test.queries
    answer = policy.deliberate(batch, shop.observe(batch))
    assert answer.ranking is not None
    rng = np.random.default_rng(0)
    cited, other = policy.evidence(batch), policy.evidence(batch)
    for row in range(len(batch)):
        positions = [p for p in answer.steps[row][0].evidence if isinstance(p, int)]
        length, start = int(batch.history.lengths[row]), int(batch.history.indptr[row])
        rest = np.setdiff1d(np.arange(length), positions)
        if not len(rest):
            continue
        n = min(len(positions), len(rest))
        cited.relevance[start + np.array(positions[:n], int)] = 0
        other.relevance[start + rng.choice(rest, n, replace=False)] = 0
    first = answer.ranking.items[:, 0]
    moved = {n: top(policy, shop, evidence=e)[:, 0] != first for n, e in {"cited": cited, "other": other}.items()}
    assert moved["cited"].mean() > moved["other"].mean() + 0.2


def test_ignored_item_leaves_the_answer_but_is_not_recommended(shop: ShopWorld, policy: Profile) -> None:
    batch = shop.test.queries.slice(0, 1)
    item = int(batch.history.items[-1])
    without = policy.answer(batch, shop.observe(batch), evidence=policy.evidence(batch).ignore(item))
    assert without.ranking is not None
    before = policy.deliberate(batch, shop.observe(batch)).ranking
    assert before is not None
    assert not np.array_equal(without.ranking.items, before.items)
    assert item not in without.ranking.items
    assert all(len(batch.history.items) - 1 not in step.evidence for step in without.steps[0])


def test_assumed_label_fills_the_ranking_and_only_where_it_is_assumed(shop: ShopWorld, policy: Profile) -> None:
    batch = shop.test.queries.slice(0, 40)
    seen = shop.observe(batch)
    inference = policy.infer(policy.evidence(batch), seen)
    edited = inference.assume("shelf", "shelf 1", rows=range(20))
    answer = policy.answer(batch, seen, inference=edited).ranking
    plain = policy.deliberate(batch, seen).ranking
    assert answer is not None
    assert plain is not None
    shelf = np.array([label or "" for label in shop.fit.catalog.column("shelf")])
    assert (np.isin(shelf[answer.items[:20]], ["shelf 1", ""])).all()
    assert (shelf[answer.items[:20]] == "shelf 1").mean() > 0.8
    assert (shelf[plain.items[:20]] == "shelf 1").mean() < 0.6
    np.testing.assert_array_equal(answer.items[20:], plain.items[20:])
    np.testing.assert_array_equal(
        inference.beliefs[0], policy.infer(policy.evidence(batch), shop.observe(batch)).beliefs[0]
    )


def test_moving_belief_towards_a_label_lifts_its_items_step_by_step(shop: ShopWorld, policy: Profile) -> None:
    batch = replace(shop.test.queries.slice(0, 30), k=228)
    inference = policy.infer(policy.evidence(batch), shop.observe(batch))
    column = inference.fields[0].labels.index("shelf 2")
    on_shelf = np.array([label == "shelf 2" for label in shop.fit.catalog.column("shelf")])
    masses = []
    for belief in (0.05, 0.3, 0.6, 0.9):
        moved = inference.beliefs[0].copy()
        moved *= ((1 - belief) / (1 - moved[:, column]))[:, None]
        moved[:, column] = belief
        answer = policy.answer(
            batch, shop.observe(batch), inference=replace(inference, beliefs=(moved, *inference.beliefs[1:]))
        )
        assert answer.ranking is not None
        assert answer.mass is not None
        masses.append(np.where(on_shelf[answer.ranking.items], answer.mass, 0).sum(axis=1))
    assert (np.diff(np.stack(masses), axis=0) >= -1e-5).all()
    assert (masses[-1] > masses[0]).all()


def test_unknown_edits_are_refused_with_what_is_near(shop: ShopWorld, policy: Profile) -> None:
    inference = policy.infer(policy.evidence(shop.test.queries), shop.observe(shop.test.queries))
    with pytest.raises(ConfigError, match=r"unknown field 'shelv'\. Did you mean 'shelf'"):
        inference.assume("shelv", "shelf 1")
    with pytest.raises(ConfigError, match=r"unknown label of 'shelf' 'shelf 9'"):
        inference.assume("shelf", "shelf 9")


def test_mass_is_the_probability_of_the_listed_items(shop: ShopWorld, policy: Profile) -> None:
    batch = replace(shop.test.queries, k=len(shop.fit.catalog))
    answer = policy.deliberate(batch, shop.observe(batch))
    assert answer.mass is not None
    np.testing.assert_allclose(answer.mass.sum(axis=1), 1, atol=1e-4)
    short = policy.deliberate(shop.test.queries, shop.observe(shop.test.queries))
    np.testing.assert_allclose(short.mass, answer.mass[:, :10], rtol=1e-6)
    hits = (short.ranking.items == shop.test.targets[:, None]).any(axis=1)  # type: ignore[union-attr]
    assert short.confidence.mean() == pytest.approx(hits.mean(), abs=0.15), "roughly, before any calibration"


def test_chunks_do_not_show(shop: ShopWorld, policy: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = top(policy, shop)
    monkeypatch.setattr("reasonrec_profile.policy.choose_chunk_size", lambda n_items: 7)
    np.testing.assert_array_equal(top(policy, shop), whole)


@pytest.mark.parametrize("n_items", [1, 1000, 12_101, 100_000, 5_000_000])
def test_working_memory_does_not_grow_with_the_catalogue(n_items: int) -> None:
    assert choose_chunk_size(n_items) * n_items * 4 <= max(2**24, 4 * n_items)


def test_candidates_get_the_order_and_proportions_of_the_whole_ranking(shop: ShopWorld, policy: Profile) -> None:
    batch = shop.test.queries
    everything = policy.deliberate(replace(batch, k=len(shop.fit.catalog)), shop.observe(batch))
    assert everything.ranking is not None
    rng = np.random.default_rng(0)
    owned = np.zeros((len(batch), len(shop.fit.catalog)), np.bool_)
    owned[batch.history.rows, batch.history.items] = True
    rows = [rng.choice(np.flatnonzero(~o), 20, replace=False) for o in owned]
    candidates = np.stack(rows).astype(np.int32)
    candidates[:, -1] = -1
    direct = replace(batch, task=Task.DIRECT, candidates=candidates)
    answer = policy.deliberate(direct, shop.observe(direct))
    assert answer.ranking is not None
    for row in range(0, len(batch), 23):
        whole = everything.ranking.items[row]
        expected = whole[np.isin(whole, candidates[row])][:10]
        np.testing.assert_array_equal(answer.ranking.items[row], expected)


def test_steps_in_words_name_titles_fields_and_shares(shop: ShopWorld, policy: Profile) -> None:
    batch = shop.test.queries
    answer = policy.deliberate(batch, shop.observe(batch))
    assert answer.ranking is not None
    steps = answer.steps[4]
    by_kind = {kind: [s for s in steps if s.kind is kind] for kind in StepKind}
    best = shop.fit.catalog.titles[int(answer.ranking.items[4, 0])]
    assert best in by_kind[StepKind.DECIDE][0].claim
    inferred = {re.search(r"” \((.+?)\)", s.claim)[1]: s for s in by_kind[StepKind.INFER]}  # type: ignore[index]
    assert set(inferred) == {"shelf", "image group", "text group"}
    assert "shelf" in inferred["shelf"].evidence
    assert "image" in inferred["image group"].evidence
    assert {s.claim.split(":")[0] for s in by_kind[StepKind.PROPOSE]} == {
        name_expert(n) for n in policy.model.weights.names
    }
    weighed = by_kind[StepKind.WEIGH][0]
    assert f"for a history of {batch.history.lengths[4]} item" in weighed.claim
    assert sum(w for _, w in weighed.alternatives) + weighed.weight == pytest.approx(1, abs=0.05)
    assert {n for n, _ in weighed.alternatives} < {name_expert(n) for n in policy.model.weights.names}


def test_contributions_of_the_history_add_up_to_what_the_experts_gave(shop: ShopWorld, policy: Profile) -> None:
    """The evidence that is cited is what the score was computed from: the parts sum to the whole."""
    batch = shop.test.queries.slice(3, 4)
    seen, evidence = shop.observe(batch), policy.evidence(batch)
    _, proposals, weights, decision = policy._decide(policy.model, batch, seen, evidence, None)
    parts = attribute(policy.model.experts, seen, evidence, proposals, weights, decision)
    best = int(decision.ranking.items[0, 0])
    experts = range(len(policy.model.experts))
    whole = sum(float(proposals.scores[e][0, best] * proposals.normaliser(e)[0] * weights[0, e]) for e in experts)
    assert float(parts.sum()) == pytest.approx(whole, rel=1e-4)
    np.testing.assert_allclose(decision.shares.sum(axis=2), 1, atol=1e-5)


def test_report_has_unseen_validation_beside_searched(policy: Profile) -> None:
    assert {"NDCG@10 on searched", "NDCG@10 on unseen"} <= set(policy.report)
    assert policy.report["searched pairs"] + policy.report["unseen pairs"] == 500


def test_groups_are_what_users_agree_in_and_have_no_part_in_what_they_ignore(shop: ShopWorld, policy: Profile) -> None:
    """Groups of pictures are looks, of texts themes, though nobody said which look or theme an item has."""
    for name, truth in (("image group", shop.looks), ("text group", shop.themes)):
        field = next(f for f in policy.model.fields if f.name == name)
        items = np.flatnonzero(np.diff(field.membership.indptr))
        group = field.membership.indices
        pure = sum(np.bincount(truth[items][group == g]).max() for g in np.unique(group)) / len(items)
        assert pure > 0.9, name
        assert field.exponent > 0
    noise = np.random.default_rng(0).normal(size=(len(shop.fit.catalog), 16)).astype(np.float32)
    seen = replace(shop.fit.observation, features={"noise": noise}, present={"noise": np.ones(len(noise), np.bool_)})
    blind = fitted(replace(shop, fit=replace(shop.fit, observation=seen)))
    gates = {f.name: f.exponent for f in blind.model.fields}
    assert gates.get("noise group", 0.0) <= 0.1
    without = shop.without("text", "image")
    difference = ndcg(top(blind, shop_with(shop, seen)), shop.test) - ndcg(top(fitted(without), without), shop.test)
    assert abs(difference.mean()) < 2 * difference.std() / np.sqrt(len(difference)) + 0.005


def shop_with(shop: ShopWorld, seen: Observation) -> ShopWorld:
    return replace(shop, fit=replace(shop.fit, observation=seen))


def test_assumed_group_of_pictures_fills_the_ranking_with_that_look(shop: ShopWorld, policy: Profile) -> None:
    batch = shop.test.queries.slice(0, 20)
    inference = policy.infer(policy.evidence(batch), shop.observe(batch))
    field = next(f for f in inference.fields if f.name == "image group")
    label = field.labels[2]
    members = np.flatnonzero(field.membership[:, [2]].toarray()[:, 0] > 0)
    answer = policy.answer(batch, shop.observe(batch), inference=inference.assume("image group", label)).ranking
    assert answer is not None
    assert np.isin(answer.items, members).mean() > 0.8


def test_fields_are_labels_that_repeat(shop: ShopWorld) -> None:
    counts = np.ones(len(shop.fit.catalog), np.float32)
    (field,) = find_fields(shop.fit.catalog, counts, None, 6)
    assert field.name == "shelf", "neither titles nor prose"
    assert field.labels == ("shelf 0", "shelf 1", "shelf 2")
    rows = np.asarray(field.membership.sum(axis=1)).ravel()
    np.testing.assert_array_equal(rows, [float(i % 10 > 0) for i in range(len(rows))])
    assert field.prior.sum() == pytest.approx(1)
    with pytest.raises(ConfigError, match="no field 'shelv'"):
        find_fields(shop.fit.catalog, counts, ["shelv"], 6)
    with pytest.raises(ConfigError, match="'title' has no label that at least"):
        find_fields(shop.fit.catalog, counts, ["title"], 6)


def test_neighbours_are_the_nearest_by_cosine() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5)).astype(np.float32)
    present = np.ones(60, np.bool_)
    present[7] = False
    features[7] = np.nan
    found = find_neighbours(features, present, fit_space(features, present, "centred", 128), most=4, power=2.0)
    known = features[present] - features[present].mean(axis=0)
    unit = known / np.linalg.norm(known, axis=1, keepdims=True)
    cosine = np.full((60, 60), -1.0)
    cosine[np.ix_(present, present)] = unit @ unit.T
    np.fill_diagonal(cosine, -1)
    for item in range(60):
        row = found[[item]]
        expected = {int(j): max(cosine[item, j], 0) ** 2 for j in np.argsort(-cosine[item])[:4] if cosine[item, j] > 0}
        assert set(row.indices.tolist()) == set(expected) if present[item] else row.nnz == 0
        for j, value in zip(row.indices, row.data, strict=True):
            assert value == pytest.approx(expected[int(j)], rel=1e-4)


def test_neighbours_of_one_or_no_item_are_none() -> None:
    features, present = np.ones((3, 2), np.float32), np.array([True, False, False])
    alone = find_neighbours(features, present, fit_space(features, present, "whitened", 128))
    assert isinstance(alone, sparse.csr_matrix)
    assert alone.nnz == 0


def test_misuse_is_refused(shop: ShopWorld) -> None:
    with pytest.raises(PluginError, match="before it was fitted"):
        Profile(FAST).deliberate(shop.test.queries, shop.observe(shop.test.queries))
    with pytest.raises(ConfigError, match="there are no item features called 'sound'"):
        fitted(shop, ProfileConfig(modalities=("sound",)))
    empty = shop.fit.train.take(np.zeros(len(shop.fit.train), np.bool_))
    with pytest.raises(DataError, match="no training interactions"):
        Profile(FAST).fit(replace(shop.fit, train=empty))


ANSWERING = """
import sys
from pathlib import Path
import numpy as np
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.types import History, Observation, QueryBatch, Task
from reasonrec_profile.policy import Profile

dataset = Dataset.open(Path(sys.argv[1]))
policy = Profile.load(Path(sys.argv[2]), dataset.catalog)
query = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[1, 2, 3]]), k=3)
answer = policy.deliberate(query, Observation({}, {}, np.zeros(1, np.float32)))
assert len(answer.steps[0]) > 3
print(*sorted({"sklearn", "scipy.optimize", "scipy.stats", "torch"} & set(sys.modules)))
"""


def test_answering_loads_no_library_that_only_fitting_needs(tmp_path: Path) -> None:
    world = tiny(tmp_path)
    policy = fitted(world, ProfileConfig(trials=3, transitions=TransitionsConfig(trials=2)))  # type: ignore[arg-type]
    (tmp_path / "saved").mkdir()
    policy.save(tmp_path / "saved")
    command = [sys.executable, "-c", ANSWERING, str(world.dataset.folder), str(tmp_path / "saved")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("low", "high", "name", "expected"),
    [
        ([17.3975, 19.56], [19.56, 24.999], "price", ["17.40 to 19.56", "19.56 to 25.00"]),
        ([1.0, 1200.0], [1200.0, 3500.0], "sales_rank", ["1 to 1,200", "1,200 to 3,500"]),
        ([757382400.0], [852076800.0], "release_date", ["1994-01-01 to 1997-01-01"]),
        ([0.001, 0.002], [0.002, 0.004], "share", ["0.001 to 0.002", "0.002 to 0.004"]),
    ],
)
def test_bands_read_like_prices_counts_and_dates(
    low: list[float], high: list[float], name: str, expected: list[str]
) -> None:
    assert name_bands(low, high, name) == expected

"""Items are what can be seen of them: cold ones, hidden ones, new ones, features that are gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from reasonrec_chain.policy import Chain
from reasonrec_torch.batching import TensorBatch
from reasonrec_torch.item_features import FeatureProjection
from small import answer, asking, fitted, network_of

from reasonrec_core.testing.compare import assert_same_deliberation
from reasonrec_core.testing.later import with_new_items
from reasonrec_core.testing.tiny import NEVER_SEEN, Tiny, item_id
from reasonrec_core.types import Observation


def cold(world: Tiny) -> int:
    return int(world.dataset.catalog.index[item_id(NEVER_SEEN)])


def hidden(seen: Observation, *names: str) -> Observation:
    """The observation with nothing to see of some modalities."""
    return replace(seen, present={m: p & (m not in names) for m, p in seen.present.items()})


def test_a_cold_item_has_no_vector_of_its_own_but_one_from_content(chain: Chain, world: Tiny) -> None:
    item, sequence = cold(world), chain.model.experts.sequence
    seen, network = world.fit.observation, chain.model.experts.sequence.networks[0]
    before = sequence.tables(seen)[0][0]
    other = replace(network, tensors={**network.tensors, "items.ids": network.tensors["items.ids"] + 1})
    moved = np.abs(replace(sequence, networks=(other,)).tables(seen)[0][0] - before).max(axis=1) > 1e-3
    assert not moved[item]
    assert moved.sum() == len(moved) - 1
    assert np.abs(before[item]).max() > 0.01


def test_items_without_interactions_are_no_negatives(chain: Chain, world: Tiny) -> None:
    """Content that only the cold item has gets no gradient from being a wrong answer."""
    item, network = cold(world), network_of(chain, world.fit.observation)
    batch = TensorBatch(torch.tensor([[0, 1, 2]]), torch.tensor([[1, 2, 3]]), None, torch.tensor([0]))
    table = torch.zeros_like(network.table()[0], requires_grad=True)

    class Fixed:
        def __call__(self) -> tuple[torch.Tensor, torch.Tensor]:
            return table + network.items(network.inputs)[0].detach(), torch.zeros(len(table))

    network.table, keep = Fixed(), network.table  # type: ignore[method-assign]
    try:
        network.loss(batch, np.random.default_rng(0)).total.backward()
    finally:
        network.table = keep  # type: ignore[method-assign]
    assert table.grad is not None
    reached = table.grad.abs().amax(dim=1) > 0
    assert not reached[item]
    assert reached.sum() == len(reached) - 1


def test_hidden_ids_are_drawn_anew_in_training_and_never_when_answering(world: Tiny) -> None:
    network = network_of(fitted(world.fit, network={"hidden_ids": 0.5}, training={"epochs": 1}), world.fit.observation)
    network.items.hidden_ids = 0.5
    with torch.no_grad():
        assert torch.equal(network.table()[0], network.table()[0])
        network.train()
        one, other = network.table()[0], network.table()[0]
    changed = (one != other).any(dim=1).float().mean()
    assert 0.2 < changed < 0.8


def test_without_ids_items_are_their_content_alone(world: Tiny) -> None:
    policy = fitted(world.fit, network={"ids": False})
    tables, _ = policy.model.experts.sequence.tables(hidden(world.fit.observation, "text", "image"))
    alike: dict[bytes, list[int]] = {}
    members = [policy.membership(name).toarray() for name in ("categories", "brand")]
    for item, labels in enumerate(np.concatenate(members, axis=1)):
        alike.setdefault(labels.tobytes(), []).append(item)
    assert max(map(len, alike.values())) > 2
    for same in alike.values():
        np.testing.assert_allclose(tables[0][same], np.repeat(tables[0][same[:1]], len(same), 0), atol=1e-6)


def test_features_that_are_gone_say_nothing_in_any_step(chain: Chain, world: Tiny) -> None:
    """Present nowhere is the same as not observed, whatever stands in the rows; and it changes the answer."""
    batch = world.test.queries
    full = world.observation(batch)
    masked, bare = hidden(full, "text"), replace(full, features={"image": full.features["image"]})
    bare = replace(bare, present={"image": full.present["image"]})
    noise = {**full.features, "text": np.full_like(full.features["text"], 1e3)}
    found = chain.deliberate(batch, masked)
    assert_same_deliberation(chain.deliberate(batch, bare), found, "not observed")
    assert_same_deliberation(chain.deliberate(batch, replace(masked, features=noise)), found, "noise behind the mask")
    assert (found.ranking.items != chain.deliberate(batch, full).ranking.items).mean() > 0.2  # type: ignore[union-attr]
    nothing = chain.deliberate(batch, replace(full, features={}, present={}))
    silent = [s.claim for s in nothing.steps[0] if s.claim.startswith(("text:", "pictures:"))]
    assert silent == ["pictures: nothing to propose", "text: nothing to propose"]


def test_an_observation_with_other_arrays_is_looked_at_anew(chain: Chain, world: Tiny) -> None:
    seen = world.fit.observation
    one = chain.model.experts.cache_items(seen)
    assert chain.model.experts.cache_items(replace(seen, horizon=np.zeros(3, np.float32))) is one
    assert chain.model.experts.cache_items(hidden(seen, "image")) is not one
    again = chain.model.experts.cache_items(seen)
    np.testing.assert_array_equal(again.tables[0], one.tables[0])


def test_a_view_is_centred_of_unit_variance_and_blind_to_missing_rows() -> None:
    rng = np.random.default_rng(0)
    features = (rng.standard_normal((50, 6)) @ rng.standard_normal((6, 6)) + 3).astype(np.float32)
    present = rng.random(50) < 0.8
    features[~present] = np.nan
    view = FeatureProjection.of("text", features, present, 4)
    values, shown = view(Observation({"text": features}, {"text": present}, np.zeros(0, np.float32)))
    assert (shown == present).all()
    assert not values[~present].any()
    np.testing.assert_allclose(values[present].mean(axis=0), 0, atol=1e-5)
    assert (values[present] ** 2).mean() == pytest.approx(1, rel=1e-3)
    covariance = values[present].T @ values[present] / present.sum()
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-4)


@pytest.fixture(scope="module")
def later(chain: Chain, world: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, Tiny]:
    """The policy loaded for a catalogue with new items: a lamp like others, and some that are unlike."""
    folder = tmp_path_factory.mktemp("later")
    (folder / "saved").mkdir()
    chain.save(folder / "saved")
    grown = with_new_items(world, folder / "grown")
    return Chain.load(folder / "saved", grown.dataset.catalog), grown


def test_a_new_item_is_recommended_to_those_who_want_its_like(later: tuple[Chain, Tiny]) -> None:
    policy, world = later
    lamps = np.flatnonzero(policy.membership("categories").toarray()[:40, policy.labels["categories"].index("Lamps")])
    boots = np.flatnonzero(policy.membership("categories").toarray()[:40, policy.labels["categories"].index("Boots")])
    lamp, rng = 40, np.random.default_rng(0)
    rows = [rng.choice(kind, 3, replace=False).tolist() for kind in (lamps, boots) for _ in range(20)]
    found = answer(policy, world, asking(rows, k=44))
    assert found.ranking is not None
    assert found.mass is not None
    mass = (found.mass * (found.ranking.items == lamp)).sum(axis=1)
    assert mass[:20].mean() > 1.5 * mass[20:].mean(), "lovers of lamps want it more than lovers of boots"
    assert np.mean([row.tolist().index(lamp) < 10 for row in found.ranking.items[:20]]) > 0.5
    only = answer(policy, world, asking([[lamp]], k=10))
    assert only.ranking is not None
    assert np.isin(only.ranking.items[0], lamps).mean() > 0.4, "a history of a new lamp alone leads to lamps"


def test_new_items_leave_old_answers_nearly_as_they_were(chain: Chain, later: tuple[Chain, Tiny], world: Tiny) -> None:
    policy, grown = later
    before, after = answer(chain, world), answer(policy, grown, world.test.queries)
    assert before.ranking is not None
    assert after.ranking is not None
    old = [[i for i in row if 0 <= i < 40] for row in after.ranking.items]
    same = [len({*row[:5]} & {*b[:5].tolist()}) / 5 for row, b in zip(old, before.ranking.items, strict=True)]
    assert np.mean(same) > 0.7


def test_saved_after_growing_it_is_the_same(later: tuple[Chain, Tiny], tmp_path: Path) -> None:
    policy, world = later
    expected = answer(policy, world)
    policy.save(tmp_path)
    again = Chain.load(tmp_path, world.dataset.catalog)
    assert again.model.experts.sequence.networks[0].tensors["items.ids"].shape[0] == 40
    assert_same_deliberation(answer(again, world), expected, "saved and loaded after growing")

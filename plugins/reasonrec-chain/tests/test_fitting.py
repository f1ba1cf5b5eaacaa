"""Fitting and keeping: interrupted, in every form, saved, damaged, with settings that make no sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from reasonrec_chain.policy import Chain
from small import answer, asking, config, fitted, network_of

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.testing.compare import assert_same_deliberation
from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import Interactions


def weights(policy: Chain) -> dict[str, np.ndarray]:
    parts = enumerate(policy.model.experts.sequence.networks)
    found = {f"{m}.{name}": value for m, network in parts for name, value in network.tensors.items()}
    return found | dict(policy.model.gates.tensors)


def same(one: Chain, other: Chain) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def killed_after(calls: int) -> Callable[[int, int, str], None]:
    left = iter(range(calls))

    def progress(done: int, total: int, label: str) -> None:
        if "epoch" in label and next(left, None) is None:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("members", [1, 2])
def test_a_fit_that_was_killed_goes_on_and_ends_the_same(world: Tiny, tmp_path: Path, members: int) -> None:
    settings = {"network": {"members": members}, "training": {"checkpoint_seconds": 0, "batch_tokens": 40}}
    whole = fitted(world.fit, **settings)
    for calls in (3, 9):
        with pytest.raises(KeyboardInterrupt):
            fitted(replace(world.fit, workdir=tmp_path, progress=killed_after(calls)), **settings)
    told: list[str] = []
    data = replace(world.fit, workdir=tmp_path, progress=lambda done, total, label: told.append(label))
    again = fitted(data, **settings)
    assert same(whole, again)
    assert not any("epoch 1 of 3" in label for label in told if members == 1), "it began anew"
    assert "chain: gates" in told


def test_same_seed_same_weights_another_seed_others(world: Tiny, chain: Chain) -> None:
    torch.manual_seed(77)
    assert same(fitted(world.fit), chain)
    assert not same(fitted(replace(world.fit, seed=1)), chain)


def test_loading_draws_no_random_numbers(chain: Chain, world: Tiny, tmp_path: Path) -> None:
    chain.save(tmp_path)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    loaded = Chain.load(tmp_path, world.dataset.catalog)
    assert np.array_equal(torch.rand(3), wanted)
    assert same(loaded, chain)
    assert loaded.report == json.loads(json.dumps(chain.report))


def test_several_networks_are_averaged_and_kept(world: Tiny, tmp_path: Path) -> None:
    policy = fitted(world.fit, network={"members": 3}, training={"epochs": 1})
    seen = world.fit.observation
    cache = policy.model.experts.cache_items(seen)
    states = np.random.default_rng(0).standard_normal((4, 48)).astype(np.float32)
    each = []
    with torch.no_grad():
        for which, part in enumerate(torch.from_numpy(states).chunk(3, dim=1)):
            table, bias = network_of(policy, seen, which).table()
            each.append((part @ table.T + bias).numpy())
    found = cache.logits(states, np.empty((4, 40), np.float32))
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-4, atol=1e-5)
    assert np.std(each, axis=0).min() > 0
    policy.save(tmp_path)
    loaded = Chain.load(tmp_path, world.dataset.catalog)
    assert_same_deliberation(answer(loaded, world), answer(policy, world), "three networks, loaded")


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"precision": "bfloat16"}},
        {"network": {"filter_share": 1.0}},
        {"network": {"filter_share": 0.5, "refinements": 2, "layers": 2}},
        {"network": {"ids": False, "intent_weight": 0.0}},
        {"training": {"loss": "sampled", "negatives": 8, "samples": "prefixes"}},
        {"curriculum": {"kind": "three-phase"}},
        {"gates": {"hidden": 0}, "experts": ["sequence", "transitions"]},
        {"experts": ["popularity", "affinity"]},
        {"experts": ["text"]},
        {"counted": {"fields": [], "groups": False}},
        {"network": {"modalities": []}, "counted": {"modalities": ["image"]}},
    ],
    ids=str,
)
def test_every_form_fits_answers_and_is_loaded(world: Tiny, tmp_path: Path, changes: dict[str, Any]) -> None:
    more = changes.pop("training", {}) if "training" in changes else {}
    policy = fitted(world.fit, training={"epochs": 1, **more}, **changes)
    policy.save(tmp_path)
    found = answer(policy, world)
    assert found.ranking is not None
    assert (found.ranking.items >= 0).all()
    assert found.steps[0]
    assert answer(policy, world, asking([[], [1], [2] * 30])).steps[2]
    loaded = answer(Chain.load(tmp_path, world.dataset.catalog), world)
    assert_same_deliberation(loaded, found, "loaded")


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "noise":
        path.write_bytes(b"\x93noise" + data[7:])
    else:
        path.write_text("[1, 2]")


@pytest.mark.parametrize("how", ["gone", "cut", "noise", "other"])
@pytest.mark.parametrize("name", ["chain.json", "chain.safetensors", "counted/profile.json", "counted/profile.npz"])
def test_a_damaged_file_is_one_clear_error(chain: Chain, world: Tiny, tmp_path: Path, name: str, how: str) -> None:
    chain.save(tmp_path)
    damage(tmp_path / name, how)
    with pytest.raises(DataError) as error:
        Chain.load(tmp_path, world.dataset.catalog)
    assert str(tmp_path) in str(error.value)


def test_parts_of_two_models_do_not_pass_for_one(chain: Chain, world: Tiny, tmp_path: Path) -> None:
    chain.save(tmp_path)
    other = fitted(world.fit, training={"epochs": 1}, counted={"fields": ["brand"], "modalities": ["text"]})
    (tmp_path / "other").mkdir()
    other.save(tmp_path / "other")
    for name in ("profile.json", "profile.npz"):
        (tmp_path / "other" / "counted" / name).replace(tmp_path / "counted" / name)
    with pytest.raises(DataError, match="Fit again"):
        Chain.load(tmp_path, world.dataset.catalog)


def test_a_catalogue_that_shrank_is_refused(chain: Chain, world: Tiny, tmp_path: Path) -> None:
    chain.save(tmp_path)
    with pytest.raises(DataError, match="may grow at its end"):
        Chain.load(tmp_path, Catalog(world.dataset.catalog.table.slice(0, 39)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experts": ["sequences"]}, r"no expert 'sequences'.*Experts: sequence, transitions, image, text"),
        ({"experts": []}, "there are no experts to use"),
        ({"network": {"modalities": ["sound"]}}, "sound"),
        ({"training": {"device": "cuda:7"}}, "no device"),
    ],
)
def test_settings_that_cannot_be_met_are_said(world: Tiny, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitted(world.fit, **changes)


def test_a_curriculum_without_a_horizon_is_said(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="evidence horizon"):
        fitted(replace(world.fit, horizon=None), curriculum={"kind": "three-phase"})


def test_heads_divide_the_dimensions() -> None:
    with pytest.raises(ValidationError, match="do not divide"):
        config(network={"heads": 3})


def test_a_log_to_learn_nothing_from_is_said(world: Tiny) -> None:
    nothing = np.zeros(0, np.int32)
    with pytest.raises(DataError, match="no training interactions"):
        fitted(replace(world.fit, train=Interactions(nothing, nothing, nothing.astype(np.int64))))
    first = np.unique(world.fit.train.users, return_index=True)[1]
    with pytest.raises(DataError):
        fitted(replace(world.fit, train=world.fit.train.take(first)))

"""On how much evidence an answer rests: trained last, with an installed loss, and it changes no answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reasonrec_chain import fit_masses
from reasonrec_chain.policy import Chain
from reasonrec_chain.strength_network import StrengthNetwork
from reasonrec_clicks.evidence import EvidenceLoss, find_loss
from small import fitted
from torch import Tensor

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.testing.tiny import Tiny

HEAD = {"loss": "of-a-test", "steps": 60, "hidden": 4}


def likelihood(evidence: Tensor, target: Tensor, divergence: float, progress: float) -> Tensor:
    """-log E[p of what happened]; needs no other plugin."""
    assert 0 <= progress < 1
    alpha = evidence + 1
    loss = (target * (alpha.sum(dim=1, keepdim=True).log() - alpha.log())).sum(dim=1) + divergence * 0 * alpha[:, 0]
    return loss.mean()


@pytest.fixture(scope="module")
def stating(world: Tiny) -> Chain:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_masses, "find_loss", _known)
        patch.setattr("reasonrec_chain.fitting.find_loss", _known)
        return fitted(world.fit, evidence=HEAD)


def _known(name: str, where: str) -> EvidenceLoss:
    assert (name, where) == ("of-a-test", "evidence.loss")
    return likelihood


def test_the_estimator_of_reasonrec_evidential_can_ask_it(stating: Chain) -> None:
    assert isinstance(stating, pytest.importorskip("reasonrec_evidential.estimator").EvidentialPolicy)


def test_evidence_is_strength_times_mass(stating: Chain, world: Tiny) -> None:
    assert stating.evidential
    batch = world.test.queries
    seen = world.observation(batch)
    answer = stating.deliberate(batch, seen)
    assert answer.ranking is not None
    assert answer.mass is not None
    found = stating.evidence(batch, seen, answer.ranking.items)
    assert found.shape == (len(batch), answer.mass.shape[1] + 1)
    strength = found.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, :-1] / strength, answer.mass, atol=1e-5)
    assert np.ptp(strength) > 0, "some is known better than other"


def test_it_changes_no_answer(stating: Chain, chain: Chain, world: Tiny) -> None:
    batch = world.test.queries
    seen = world.observation(batch)
    mine, other = stating.deliberate(batch, seen), chain.deliberate(batch, seen)
    assert mine.ranking is not None
    assert other.ranking is not None
    assert np.array_equal(mine.ranking.items, other.ranking.items)
    np.testing.assert_array_equal(mine.mass, other.mass)


def test_it_is_saved(stating: Chain, world: Tiny, tmp_path: Path) -> None:
    stating.save(tmp_path)
    again, batch = Chain.load(tmp_path, world.dataset.catalog), world.test.queries
    seen, items = world.observation(batch), np.zeros((len(batch), 3), np.int32)
    np.testing.assert_array_equal(again.evidence(batch, seen, items), stating.evidence(batch, seen, items))


def test_a_chain_without_it_says_so(chain: Chain, world: Tiny) -> None:
    assert not chain.evidential
    batch = world.test.queries
    with pytest.raises(PluginError, match="not trained to state its evidence"):
        chain.evidence(batch, world.observation(batch), np.zeros((len(batch), 3), np.int32))


def test_a_loss_that_nobody_offers_is_told_before_training(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="no evidential loss 'wishful'"):
        fitted(world.fit, evidence={"loss": "wishful"})


@pytest.mark.parametrize("name", ["dirichlet-mse", "dirichlet-log", "dirichlet-digamma"])
def test_strength_follows_how_often_it_is_right(name: str) -> None:
    """Half of the cases happen as the masses say, the other half do not: only the first deserve evidence."""
    pytest.importorskip("reasonrec_evidential")
    loss, rng = find_loss(name), np.random.default_rng(0)
    honest = torch.from_numpy((np.arange(400) % 2).astype(np.float32))
    masses = torch.tensor([[0.8, 0.1]]).repeat(400, 1)
    said, even = rng.choice(3, 400, p=[0.8, 0.1, 0.1]), rng.integers(0, 3, 400)
    target = torch.nn.functional.one_hot(torch.from_numpy(np.where(honest > 0, said, even)), 3).float()
    torch.manual_seed(0)
    head = StrengthNetwork(1, 4)
    optimiser = torch.optim.AdamW(head.parameters(), 0.05)
    for step in range(150):
        optimiser.zero_grad()
        loss(head(honest[:, None], masses), target, 0.1, step / 150).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    strength = head(honest[:, None], masses).sum(dim=1)
    assert strength[honest > 0].mean() > 2 * strength[honest == 0].mean()
    found = head.to_arrays().evidence(honest[:, None].numpy(), masses.numpy())
    np.testing.assert_allclose(found, head(honest[:, None], masses).detach().numpy(), rtol=1e-5)

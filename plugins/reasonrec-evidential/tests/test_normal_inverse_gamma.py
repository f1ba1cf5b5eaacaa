"""The likelihood is a Student t, the parts are moments, gradients match finite differences."""

from __future__ import annotations

import torch
from reasonrec_evidential.normal_inverse_gamma import (
    NormalInverseGamma,
    NormalInverseGammaHead,
    misplaced_evidence,
    negative_log_likelihood,
    regression_loss,
)
from torch.distributions import InverseGamma, Normal, StudentT

RAW = torch.tensor([[0.5, 1.0, 2.0, 0.3], [-1.0, -0.5, 3.0, 1.5]], dtype=torch.float64)
VALUE = torch.tensor([0.9, -3.0], dtype=torch.float64)


def test_likelihood_is_that_of_a_student_t() -> None:
    found = NormalInverseGamma.of(RAW)
    scale = (found.beta * (1 + found.nu) / (found.nu * found.alpha)).sqrt()
    exact = -StudentT(2 * found.alpha, found.gamma, scale).log_prob(VALUE)
    torch.testing.assert_close(negative_log_likelihood(found, VALUE), exact)


def test_parts_are_the_moments_of_samples() -> None:
    found = NormalInverseGamma.of(RAW)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        variance = InverseGamma(found.alpha, found.beta).sample((400_000,))
        mean = Normal(found.gamma, (variance / found.nu).sqrt()).sample()
    torch.testing.assert_close(found.aleatoric, variance.mean(0), rtol=0.03, atol=0)
    torch.testing.assert_close(found.epistemic, mean.var(0), rtol=0.06, atol=0)


def test_gradients() -> None:
    raw = RAW.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: regression_loss(NormalInverseGamma.of(x), VALUE, 0.3), (raw,))


def test_evidence_for_a_wrong_value_costs() -> None:
    one = torch.ones(1)
    little, much = (NormalInverseGamma(one * 0, one * nu, one * 2, one) for nu in (0.1, 5.0))
    assert misplaced_evidence(much, one) > misplaced_evidence(little, one)
    assert misplaced_evidence(much, one * 0) == 0


def test_a_head_learns_where_values_scatter() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        group = torch.arange(2000) % 2
        x = torch.nn.functional.one_hot(group, 2).float()
        y = torch.randn(2000) * torch.where(group == 0, 0.2, 1.0) + group
        head = NormalInverseGammaHead(2)
        optimiser = torch.optim.Adam(head.parameters(), 0.05)
        for _ in range(400):
            optimiser.zero_grad()
            regression_loss(head(x), y, 0.01).backward()
            optimiser.step()
        found = head(torch.eye(2))
    assert (found.gamma - torch.tensor([0.0, 1.0])).abs().max() < 0.1
    spread = found.aleatoric + found.epistemic
    assert 0.025 < spread[0].item() < 0.06, "the variance of the value was 0.04"
    assert 0.75 < spread[1].item() < 1.35, "the variance of the value was 1"
    assert found.aleatoric[1] > 4 * found.aleatoric[0]


def test_extreme_outputs_stay_finite() -> None:
    found = NormalInverseGamma.of(torch.tensor([[0.0, -200.0, -200.0, -200.0], [1e3, 200.0, 200.0, 200.0]]))
    assert torch.isfinite(regression_loss(found, torch.tensor([1.0, 0.0])))
    assert torch.isfinite(found.epistemic).all()

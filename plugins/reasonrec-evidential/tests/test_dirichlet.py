"""The closed forms against sampling, gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from reasonrec_evidential.dirichlet import (
    DirichletHead,
    Loss,
    Opinion,
    anneal,
    compute_evidence,
    evidential_loss,
    fit_loss,
    kl_from_no_evidence,
)
from torch import Tensor
from torch.distributions import Dirichlet

EVIDENCE = torch.tensor([[0.0, 2.5, 7.0], [1.0, 0.3, 0.2], [0.0, 0.0, 0.0]], dtype=torch.float64)
TARGET = torch.eye(3, dtype=torch.float64)


def drawn(alpha: Tensor, n: int = 200_000) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Dirichlet(alpha).sample((n,))


@pytest.mark.parametrize(
    ("kind", "sampled"),
    [
        ("mse", lambda p: ((TARGET - p) ** 2).sum(-1).mean(0)),
        ("log", lambda p: -(TARGET * p.mean(0)).sum(-1).log()),
        ("digamma", lambda p: -((TARGET * p).sum(-1)).clamp_min(1e-300).log().mean(0)),
    ],
)
def test_losses_are_the_expectations_that_they_stand_for(kind: Loss, sampled: Callable[[Tensor], Tensor]) -> None:
    found = fit_loss(Opinion(EVIDENCE), TARGET, kind)
    torch.testing.assert_close(found, sampled(drawn(EVIDENCE + 1)), rtol=0.02, atol=0.01)


def test_entropies_are_those_of_samples() -> None:
    opinion, p = Opinion(EVIDENCE), drawn(EVIDENCE + 1)
    expected = torch.special.entr(p).sum(-1).mean(0)
    torch.testing.assert_close(opinion.expected_entropy, expected, rtol=0.01, atol=0.005)
    total = torch.special.entr(p.mean(0)).sum(-1)
    torch.testing.assert_close(opinion.mutual_information, total - expected, rtol=0.02, atol=0.005)


def test_divergence_is_that_of_the_library_and_of_samples() -> None:
    alpha = TARGET + (1 - TARGET) * (EVIDENCE + 1)
    found = kl_from_no_evidence(Opinion(EVIDENCE), TARGET)
    exact = torch.distributions.kl_divergence(Dirichlet(alpha), Dirichlet(torch.ones_like(alpha)))
    torch.testing.assert_close(found, exact)
    p = drawn(alpha)
    sampled = (Dirichlet(alpha).log_prob(p) - Dirichlet(torch.ones_like(alpha)).log_prob(p)).mean(0)
    torch.testing.assert_close(found, sampled, rtol=0.02, atol=0.01)
    assert found[2] == pytest.approx(0, abs=1e-12)


def test_known_opinion() -> None:
    opinion = Opinion(torch.tensor([[8.0, 0.0], [0.0, 0.0]]))
    assert opinion.probability.tolist() == [pytest.approx([0.9, 0.1]), [0.5, 0.5]]
    assert opinion.vacuity.tolist() == pytest.approx([0.2, 1.0])
    torch.testing.assert_close(opinion.belief.sum(-1) + opinion.vacuity, torch.ones(2))


@pytest.mark.parametrize("kind", ["mse", "log", "digamma"])
@pytest.mark.parametrize("activation", ["softplus", "exp"])
def test_gradients(kind: Loss, activation: str) -> None:
    logits = torch.tensor([[0.3, -1.2, 2.0], [0.1, 0.7, -0.4]], dtype=torch.float64, requires_grad=True)

    def loss(x: Tensor) -> Tensor:
        return evidential_loss(Opinion(compute_evidence(x, activation)), TARGET[:2], kind, 0.7)  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(loss, (logits,))


@pytest.mark.parametrize("kind", ["mse", "log", "digamma"])
def test_padding_changes_nothing(kind: Loss) -> None:
    short = Opinion(EVIDENCE)
    listed = torch.tensor([[True, True, True, False]]).expand(3, 4)
    padded = Opinion(torch.nn.functional.pad(EVIDENCE, (0, 1), value=9.0), listed)
    target = torch.nn.functional.pad(TARGET, (0, 1))
    torch.testing.assert_close(evidential_loss(padded, target, kind), evidential_loss(short, TARGET, kind))
    torch.testing.assert_close(padded.vacuity, short.vacuity)
    torch.testing.assert_close(padded.expected_entropy, short.expected_entropy)


def test_annealing() -> None:
    assert [anneal(t, 10) for t in (0, 5, 10, 50)] == [0, 0.5, 1, 1]
    assert anneal(0, 0) == 1


def test_a_head_finds_evidence_where_there_is_some() -> None:
    """Two sure groups and an even one: the mean is right, and the evidence larger where cases agree."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.eye(3).repeat(200, 1)
        y = torch.nn.functional.one_hot(torch.stack([torch.zeros(200), torch.ones(200), torch.arange(200) % 2], 1)
                                        .reshape(-1).long(), 2).float()  # fmt: skip
        head = DirichletHead(3)
        optimiser = torch.optim.Adam(head.parameters(), 0.1)
        for step in range(200):
            optimiser.zero_grad()
            evidential_loss(head(x), y, "mse", 0.1 * anneal(step, 100)).backward()
            optimiser.step()
        opinion = head(torch.eye(3))
    assert opinion.probability[0, 0] > 0.9
    assert opinion.probability[1, 1] > 0.9
    assert opinion.probability[2, 0].item() == pytest.approx(0.5, abs=0.05)
    assert opinion.vacuity[2] > 2 * opinion.vacuity[:2].max()

"""Evidential regression: a network gives the parameters of a normal-inverse-gamma over mean and variance of a value.

Amini, Schwarting, Soleimany and Rus, NeurIPS 2020. The likelihood sees only the Student t that is left when mean and
variance are integrated out, so data pin down the sum of aleatoric and epistemic variance; how it is split is the
regulariser's doing (Meinert, Gawlikowski and Lavin, AAAI 2023). Compare the parts between cases, not with a truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 1e-6
"""Added to what must be positive: softplus underflows to 0."""


@dataclass(frozen=True)
class NormalInverseGamma:
    """``mean ~ N(gamma, variance / nu)``, ``variance ~ InverseGamma(alpha, beta)``; float[...] each."""

    gamma: Tensor
    nu: Tensor
    alpha: Tensor
    beta: Tensor

    @classmethod
    def of(cls, raw: Tensor) -> NormalInverseGamma:
        """From float[..., 4] outputs of a network: nu, beta > 0 and alpha > 1 by softplus."""
        gamma, nu, alpha, beta = raw.unbind(dim=-1)
        return cls(gamma, F.softplus(nu) + LEAST, F.softplus(alpha) + 1.0 + LEAST, F.softplus(beta) + LEAST)

    @property
    def aleatoric(self) -> Tensor:
        """``E[variance] = beta / (alpha - 1)`` (eq. 5)."""
        return self.beta / (self.alpha - 1.0)

    @property
    def epistemic(self) -> Tensor:
        """``Var[mean] = beta / (nu (alpha - 1))`` (eq. 5)."""
        return self.beta / (self.nu * (self.alpha - 1.0))


def negative_log_likelihood(found: NormalInverseGamma, value: Tensor) -> Tensor:
    """float[...]: of ``value`` under the Student t that is left when mean and variance are integrated out (eq. 8)."""
    nu, alpha = found.nu, found.alpha
    omega = 2.0 * found.beta * (1.0 + nu)
    return (
        0.5 * (math.log(math.pi) - nu.log())
        - alpha * omega.log()
        + (alpha + 0.5) * (nu * (value - found.gamma) ** 2 + omega).log()
        + torch.lgamma(alpha)
        - torch.lgamma(alpha + 0.5)
    )


def misplaced_evidence(found: NormalInverseGamma, value: Tensor) -> Tensor:
    """float[...]: ``|value - gamma| (2 nu + alpha)``, evidence times error (eq. 9)."""
    return (value - found.gamma).abs() * (2.0 * found.nu + found.alpha)


def regression_loss(found: NormalInverseGamma, value: Tensor, weight: float = 0.01) -> Tensor:
    """Scalar: mean of the likelihood's loss and ``weight`` times the regulariser (eq. 10)."""
    return (negative_log_likelihood(found, value) + weight * misplaced_evidence(found, value)).mean()


class NormalInverseGammaHead(nn.Module):
    """A linear layer: float[..., d] -> `NormalInverseGamma` over one value."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dimensions, 4)

    def forward(self, states: Tensor) -> NormalInverseGamma:
        """The distribution for each of float[..., d] states."""
        return NormalInverseGamma.of(self.linear(states))

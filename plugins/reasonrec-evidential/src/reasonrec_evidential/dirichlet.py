"""Evidential classification: a network gives the parameters of a Dirichlet over K outcomes.

Sensoy, Kaplan and Kandemir, NeurIPS 2018. Outcomes are the items of a candidate list, or yes and no; over a whole
catalogue K / S says nothing. Lists of unequal length are padded: ``listed`` is bool[..., K], False for padding.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["relu", "softplus", "exp"]
Loss = Literal["mse", "log", "digamma"]
CLAMP = 10.0
"""Logits within +-10 before `exp`."""


def compute_evidence(logits: Tensor, kind: Activation = "softplus") -> Tensor:
    """float[..., K], not negative: what a network's outputs count as."""
    if kind == "relu":
        return F.relu(logits)
    if kind == "softplus":
        return F.softplus(logits)
    return logits.clamp(-CLAMP, CLAMP).exp()


class Opinion:
    """A Dirichlet over the outcomes of B cases.

    Args:
        evidence: float[..., K], not negative; ``alpha = evidence + 1``.
        listed: bool[..., K], or None where every outcome is one.
    """

    def __init__(self, evidence: Tensor, listed: Tensor | None = None) -> None:
        self.mask = torch.ones_like(evidence) if listed is None else listed.to(evidence.dtype)
        self.alpha = evidence * self.mask + 1.0
        """float[..., K]; 1 for padding, which no sum counts."""

    @property
    def outcomes(self) -> Tensor:
        """float[...]: K without padding."""
        return self.mask.sum(dim=-1)

    @property
    def strength(self) -> Tensor:
        """float[...]: ``S = sum alpha``."""
        return (self.alpha * self.mask).sum(dim=-1)

    @property
    def probability(self) -> Tensor:
        """float[..., K]: the mean, ``alpha / S``; 0 for padding."""
        return self.alpha * self.mask / self.strength.unsqueeze(-1)

    @property
    def belief(self) -> Tensor:
        """float[..., K]: ``(alpha - 1) / S``; with `vacuity` it sums to 1."""
        return (self.alpha - 1.0) / self.strength.unsqueeze(-1)

    @property
    def vacuity(self) -> Tensor:
        """float[...] in (0, 1]: ``K / S``, 1 without any evidence. Epistemic."""
        return self.outcomes / self.strength

    @property
    def expected_entropy(self) -> Tensor:
        """float[...], nats: the mean entropy under the Dirichlet, ``psi(S + 1) - sum p psi(alpha + 1)``. Aleatoric."""
        return torch.digamma(self.strength + 1.0) - (self.probability * torch.digamma(self.alpha + 1.0)).sum(dim=-1)

    @property
    def mutual_information(self) -> Tensor:
        """float[...], nats: entropy of the mean less the mean entropy."""
        entropy: Tensor = torch.special.entr(self.probability).sum(dim=-1)
        return entropy - self.expected_entropy


def fit_loss(opinion: Opinion, target: Tensor, kind: Loss = "mse") -> Tensor:
    """float[...]: how badly the Dirichlet fits ``target``, float[..., K] with a 1 at what happened.

    - mse: ``E |y - p|^2 = sum (y - p)^2 + p (1 - p) / (S + 1)`` (eq. 5)
    - log: ``-log E[p_y] = sum y (log S - log alpha)`` (eq. 3)
    - digamma: ``E[-log p_y] = sum y (psi(S) - psi(alpha))`` (eq. 4)
    """
    alpha, whole = opinion.alpha, opinion.strength.unsqueeze(-1)
    if kind == "mse":
        p = opinion.probability
        return ((target - p) ** 2 + p * (1.0 - p) / (whole + 1.0)).sum(dim=-1)
    if kind == "log":
        return (target * (whole.log() - alpha.log())).sum(dim=-1)
    return (target * (torch.digamma(whole) - torch.digamma(alpha))).sum(dim=-1)


def kl_from_no_evidence(opinion: Opinion, target: Tensor) -> Tensor:
    """float[...]: ``KL[Dir(a) || Dir(1)]`` of the evidence for what did not happen, ``a = y + (1 - y) alpha``."""
    alpha = target + (1.0 - target) * opinion.alpha
    whole, outcomes = (alpha * opinion.mask).sum(dim=-1), opinion.outcomes
    norm = torch.lgamma(whole) - (torch.lgamma(alpha) * opinion.mask).sum(dim=-1) - torch.lgamma(outcomes)
    spread = (alpha - 1.0) * (torch.digamma(alpha) - torch.digamma(whole).unsqueeze(-1)) * opinion.mask
    return norm + spread.sum(dim=-1)


def anneal(step: float, over: float) -> float:
    """``min(1, step / over)``: evidence may be found before it is held against the network (section 4)."""
    return 1.0 if over <= 0 else min(1.0, step / over)


def evidential_loss(opinion: Opinion, target: Tensor, kind: Loss = "mse", kl: float = 1.0) -> Tensor:
    """Scalar: mean over cases of `fit_loss` and ``kl`` times `kl_from_no_evidence`."""
    total = fit_loss(opinion, target, kind)
    if kl:
        total = total + kl * kl_from_no_evidence(opinion, target)
    return total.mean()


ANNEALED_SHARE = 0.3
"""Of a training, until the divergence counts in full."""


def mse(evidence: Tensor, target: Tensor, divergence: float, progress: float) -> Tensor:
    """Scalar: `evidential_loss` of float[..., K] evidence, for trainings that know their progress, in [0, 1].

    With `log_likelihood` and `digamma` an entry point of the group ``reasonrec.losses``: what other plugins train with.
    """
    return evidential_loss(Opinion(evidence), target, "mse", divergence * anneal(progress, ANNEALED_SHARE))


def log_likelihood(evidence: Tensor, target: Tensor, divergence: float, progress: float) -> Tensor:
    """See `mse`."""
    return evidential_loss(Opinion(evidence), target, "log", divergence * anneal(progress, ANNEALED_SHARE))


def digamma(evidence: Tensor, target: Tensor, divergence: float, progress: float) -> Tensor:
    """See `mse`."""
    return evidential_loss(Opinion(evidence), target, "digamma", divergence * anneal(progress, ANNEALED_SHARE))


class DirichletHead(nn.Module):
    """A linear layer whose outputs are evidence: float[..., d] -> `Opinion` over ``outcomes``."""

    def __init__(self, dimensions: int, outcomes: int = 2, activation: Activation = "softplus") -> None:
        super().__init__()
        self.linear, self.activation = nn.Linear(dimensions, outcomes), activation

    def forward(self, states: Tensor, listed: Tensor | None = None) -> Opinion:
        """The opinion on each of float[..., d] states."""
        return Opinion(compute_evidence(self.linear(states), self.activation), listed)

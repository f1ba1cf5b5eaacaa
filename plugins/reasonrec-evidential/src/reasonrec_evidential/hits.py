"""A small network that learns from answers whose targets are known how likely a hit is, and on how much evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from reasonrec_torch.optimiser import minimise
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from reasonrec_core.evaluate.calibration import reliability
from reasonrec_core.types import Bool, Float64
from reasonrec_evidential.dirichlet import DirichletHead, Loss, Opinion, anneal, evidential_loss

Weights = Mapping[str, npt.NDArray[np.float64]]

FOLDS = 5
MIN_PER_CLASS = 2 * FOLDS
DIVERGENCES = (0.01, 0.1, 1.0)
EVERY = 25
"""Steps between looks at the held-out part."""
ANNEALED_OVER = 100
RATE = 0.03


@dataclass(frozen=True)
class HitTraining:
    """How the network is made and trained."""

    loss: Loss
    hidden: int
    steps: int
    seed: int


class HitNetwork(nn.Module):
    """float64[B, F] standardised features -> `Opinion` over (hit, miss)."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(features, dtype=torch.float64))
        self.scale = nn.Buffer(torch.ones(features, dtype=torch.float64))
        self.inner = nn.Linear(features, hidden, dtype=torch.float64)
        self.head = DirichletHead(hidden).double()

    def forward(self, features: Tensor) -> Opinion:
        """The opinion on each case."""
        opinion: Opinion = self.head(torch.tanh(self.inner((features - self.mean) / self.scale)))
        return opinion


def train_hit_network(features: Float64, hit: Bool, recipe: HitTraining) -> tuple[HitNetwork, dict[str, float]]:
    """Choose steps and divergence by cross-fitted Brier score, then train on everything.

    Returns:
        the network, and the cross-fitted figures of the choice: ``brier``, ``log_loss``, ``ece``, ``auc``, ``kl``,
        ``steps``.
    """
    from sklearn.model_selection import StratifiedKFold

    looks = np.arange(EVERY, recipe.steps + 1, EVERY) if recipe.steps >= EVERY else np.array([recipe.steps])
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=recipe.seed).split(features, hit))
    best: tuple[float, float, int, Float64] | None = None
    with threadpool_limits(1), torch.random.fork_rng(devices=[]):
        for kl in DIVERGENCES:
            crossed = np.empty((len(looks), len(hit)))
            for train, test in folds:
                _, crossed[:, test] = _train(features[train], hit[train], recipe, kl, looks, features[test])
            scores = ((crossed - hit) ** 2).mean(axis=1)
            at = int(scores.argmin())
            if best is None or scores[at] < best[0]:
                best = (float(scores[at]), kl, int(looks[at]), crossed[at])
        assert best is not None
        net, _ = _train(features, hit, recipe, best[1], np.array([best[2]]), features[:0])
    return net, {**_compute_figures(best[3], hit), "kl": best[1], "steps": float(best[2])}


def predict_hits(net: HitNetwork, features: Float64) -> tuple[Float64, Float64, Float64]:
    """float64[B] each: P(hit), expected entropy in units of log 2, vacuity."""
    with torch.no_grad():
        opinion = net(torch.from_numpy(features))
    return split_opinion(opinion)


def split_opinion(opinion: Opinion) -> tuple[Float64, Float64, Float64]:
    """See `predict_hits`."""
    entropy = opinion.expected_entropy / np.log(2.0)
    return opinion.probability[..., 0].numpy(), entropy.numpy(), opinion.vacuity.numpy()


def _train(
    features: Float64, hit: Bool, recipe: HitTraining, kl: float, looks: npt.NDArray[np.int64], test: Float64
) -> tuple[HitNetwork, Float64]:
    """A network after ``looks[-1]`` steps on all cases, and float64[looks, test] P(hit) on the way."""
    torch.manual_seed(recipe.seed)
    net = HitNetwork(features.shape[1], recipe.hidden)
    scale = features.std(axis=0)
    net.mean.copy_(torch.from_numpy(features.mean(axis=0)))
    net.scale.copy_(torch.from_numpy(np.where(scale > 1e-9, scale, 1.0)))
    x, other = torch.from_numpy(features), torch.from_numpy(test)
    target = torch.from_numpy(np.stack([hit, ~hit], axis=1).astype(np.float64))
    seen, steps = [], int(looks[-1])

    def count_steps() -> Iterator[int]:
        for step in range(1, steps + 1):
            yield step
            if step in looks:
                with torch.no_grad():
                    seen.append(net(other).probability[..., 0].numpy())

    def loss(step: int, progress: float) -> Tensor:
        return evidential_loss(net(x), target, recipe.loss, kl * anneal(step, ANNEALED_OVER))

    minimise(torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-2), count_steps(), loss, steps=steps)
    return net.eval(), np.stack(seen)


def _compute_figures(predicted: Float64, hit: Bool) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    safe = np.clip(predicted, 1e-12, 1 - 1e-12)
    return {
        "brier": float(((predicted - hit) ** 2).mean()),
        "log_loss": float(-np.log(np.where(hit, safe, 1 - safe)).mean()),
        "ece": reliability(predicted, hit).ece,
        "auc": float(roc_auc_score(hit, predicted)),
    }

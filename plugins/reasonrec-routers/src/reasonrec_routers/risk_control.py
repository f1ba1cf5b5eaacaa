"""Conformal risk control (Angelopoulos et al., 2024): as much delegated as keeps the expected loss below a limit.

The loss of a query is what its answer lost against the policy's, ``max(0, policy - answer)``, in [0, 1]. It can only
grow with the share, so the largest share with ``n / (n + 1) R + 1 / (n + 1) <= limit``, where ``R`` is the mean loss of
n validation queries that the order was not learned on, keeps the expected loss of an exchangeable query at most
``limit``. The guarantee is for queries like those of validation.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing import EXPLORED, Assignment, CalibrationData, Threshold
from reasonrec_core.types import Float64
from reasonrec_routers.deferral import DeferralRouter

LARGEST = 1.0
"""No query can lose more."""


class RiskControlRouter(DeferralRouter):
    """Learned deferral on one half of the queries, its threshold on the other; a share is learned from all."""

    def fit(self, data: CalibrationData, *, with_confidence: bool = True) -> Self:
        """Learn from validation queries."""
        if self.config.share is not None:
            return super().fit(data, with_confidence=with_confidence)
        limit, seed = self.config.risk, self.config.seed
        assert limit is not None
        first = np.random.default_rng(seed).permutation(len(data)) % 2 == 0
        learned = DeferralRouter(self.config.at(EXPLORED)).fit(data.take(first), with_confidence=False)
        rest, spare = data.take(~first), learned.fallback
        assigned = learned.assign(rest.signals, rest.keys)
        lost = _lost(rest, assigned)
        threshold = threshold_for_loss(assigned.order, lost, limit, seed)
        replaced, own = threshold(assigned.order, rest.keys), rest.quality[rest.policy]
        self._state = learned.state.model_copy(update={"threshold": threshold})
        if spare is not None:
            fallback = spare.assign(rest.signals, rest.keys)
            placed = threshold_for_loss(fallback.order, _lost(rest, fallback), limit, seed)
            self.update(fallback=learned.state.fallback.model_copy(update={"threshold": placed}))
        self.note(
            share=float(replaced.mean()),
            routed_quality=float(np.mean(np.where(replaced, _theirs(rest, assigned), own))),
            loss=float(np.mean(np.where(replaced, lost, 0.0))),
            quality=rest.mean_quality(),
        )
        if with_confidence:
            self.learn_confidence(data)
        return self


def _theirs(data: CalibrationData, assigned: Assignment) -> Float64:
    """float64[B]: the quality of the delegate that would answer."""
    return np.select([assigned.best == label for label in data.delegates], [data.quality[d] for d in data.delegates])


def _lost(data: CalibrationData, assigned: Assignment) -> Float64:
    """float64[B]: what a query would lose if it were replaced."""
    return np.clip(data.quality[data.policy] - _theirs(data, assigned), 0.0, LARGEST)


def threshold_for_loss(order: Float64, lost: Float64, limit: float, seed: int = 0) -> Threshold:
    """The lowest threshold whose bound on the expected loss is at most ``limit``.

    Args:
        order: float64[n].
        lost: float64[n] in [0, 1], what each query loses if it is replaced.
        limit: of the expected loss.
        seed: of the threshold.

    Raises:
        ConfigError: there are too few queries to promise that.
    """
    n, levels = len(order), np.unique(order)
    if LARGEST / (n + 1) > limit:
        raise ConfigError(
            f"{n} validation requests are too few to guarantee a loss of at most {limit:g}",
            where="router.risk",
            fix=f"Allow at least {LARGEST / (n + 1):.2g}.",
        )
    total = np.bincount(np.searchsorted(levels, order), lost, len(levels))
    above = np.cumsum(total[::-1])[::-1] - total  # lost by the queries above each level
    kept = (above + LARGEST) / (n + 1) <= limit
    if kept.all() and (total.sum() + LARGEST) / (n + 1) <= limit:
        return Threshold(level=float(levels[0]), part=1.0, seed=seed)
    return Threshold(level=float(levels[np.flatnonzero(kept)[0]]), part=0.0, seed=seed)

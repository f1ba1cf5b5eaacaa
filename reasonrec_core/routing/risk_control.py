"""Conformal risk control (Angelopoulos et al., 2024): as much delegated as keeps the expected loss below a limit.

The loss of a query is what its answer lost against the policy's, ``max(0, policy - answer)``, in [0, 1]. It can only
grow with the share, so the largest share with ``n / (n + 1) R + 1 / (n + 1) <= limit``, where ``R`` is the mean loss of
n validation queries that the order was not learned on, keeps the expected loss of an exchangeable query at most
``limit``. Unlike a share, the cut stays where it is when histories grow: the guarantee is for queries like those of
validation.
"""

from __future__ import annotations

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.cut import Cut
from reasonrec_core.routing.deferral import learn_deferral
from reasonrec_core.routing.deferral_model import Learned
from reasonrec_core.routing.fitting import Lessons
from reasonrec_core.types import Float64

LARGEST = 1.0
"""No query can lose more."""


def learn_risk_control(config: RouterConfig, lessons: Lessons) -> Learned:
    """Learned deferral on one half of the queries, its cut on the other; a share is learned from all."""
    if config.share is not None:
        return learn_deferral(config, lessons)
    assert config.risk is not None
    first = np.random.default_rng(config.seed).permutation(len(lessons.policy)) % 2 == 0
    learned, rest = learn_deferral(config.at(0.5), lessons.take(first)), lessons.take(~first)
    found = learned.judge(rest.uncertainty)
    theirs = rest.quality_of(found.who)
    lost = np.clip(rest.policy - theirs, 0.0, LARGEST)
    learned.cut = cut_for_loss(found.order, lost, config.risk, config.seed)
    if learned.spare is not None:
        spare = learned.spare.judge(rest.uncertainty)
        worse = np.clip(rest.policy - rest.quality_of(spare.who), 0.0, LARGEST)
        learned.spare.cut = cut_for_loss(spare.order, worse, config.risk, config.seed)
    replaced = learned.cut(found.order, rest.keys)
    learned.report |= {
        "share": float(replaced.mean()),
        "routed_quality": float(np.mean(np.where(replaced, theirs, rest.policy))),
        "loss": float(np.mean(np.where(replaced, lost, 0.0))),
        "quality": rest.qualities(),
    }
    return learned


def cut_for_loss(place: Float64, lost: Float64, limit: float, seed: int = 0) -> Cut:
    """The lowest cut whose bound on the expected loss is at most ``limit``.

    Args:
        place: float64[n] the order.
        lost: float64[n] in [0, 1], what each query loses if it is replaced.
        limit: of the expected loss.
        seed: of the cut.

    Raises:
        ConfigError: there are too few queries to promise that.
    """
    n, levels = len(place), np.unique(place)
    if LARGEST / (n + 1) > limit:
        raise ConfigError(
            f"{n} validation queries are too few to promise a loss of at most {limit:g}",
            where="router.risk",
            fix=f"Allow at least {LARGEST / (n + 1):.2g}.",
        )
    total = np.bincount(np.searchsorted(levels, place), lost, len(levels))
    above = np.cumsum(total[::-1])[::-1] - total  # lost by the queries above each level
    kept = (above + LARGEST) / (n + 1) <= limit
    if kept.all() and (total.sum() + LARGEST) / (n + 1) <= limit:
        return Cut(float(levels[0]), 1.0, seed)
    return Cut(float(levels[np.flatnonzero(kept)[0]]), 0.0, seed)

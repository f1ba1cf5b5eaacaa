"""From what is wanted (a tolerated loss, tokens) to the share of requests that delegates answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing.calibration_data import Evidence, fit_router
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.costs import EXPLORED
from reasonrec_core.routing.noninferiority import Relative, numbered, relative
from reasonrec_core.routing.router import Router
from reasonrec_core.types import Bool, Float64, Int64

SHARES = np.linspace(0.0, 1.0, 21)
"""Shares that are tried for a tolerated loss."""
PERCENT = np.linspace(0.0, 1.0, 101)
"""Shares that are tried for a cost."""
FOLDS = 5


def share_for_loss(
    known: Evidence, config: RouterConfig, limit: float, users: Int64, *, seed: int, resamples: int
) -> tuple[float, Relative]:
    """The largest share whose loss is at most ``limit``, chosen on validation, and what was found there.

    A share is accepted where the lower end of the 95 % interval of the relative difference to the policy alone is
    above ``-limit`` (a test of non-inferiority), and so it is for all smaller shares that are tried: shares are tested
    in ascending order until one fails, which keeps the error of the choice at that of one test (fixed-sequence testing,
    as in Learn then Test: Angelopoulos et al., 2021). Every query is decided by a router that was calibrated on the
    other folds of the users.

    Args:
        known: what was answered on validation.
        config: of the router; its goal does not matter.
        limit: tolerated relative loss.
        users: int64[B] equal for equal users, -1 where unknown.
        seed: of folds and intervals.
        resamples: of intervals.
    """
    answering_all = {"abstain": None, "selective_risk": None}
    learn, users, known = config.at(EXPLORED).model_copy(update=answering_all), numbered(users), known.at(EXPLORED)
    confident = learn.kind == "table"  # the others decide by no confidence
    mine = known.quality[known.policy]
    fold = np.random.default_rng(seed).integers(0, FOLDS, int(users.max(initial=-1)) + 2)[users]
    routed = np.tile(mine, (len(SHARES), 1))
    for left_out in range(FOLDS):
        rows = np.flatnonzero(fold == left_out)
        if not len(rows) or len(rows) == len(fold):
            continue
        part, learned = known.take(rows), fit_router(learn, known.take(fold != left_out), confident=confident)
        for row, share in enumerate(SHARES[1:], 1):
            routed[row, rows] = routed_quality(part, learned.at_share(float(share), part.signals))
    best = (0.0, Relative(0.0, 0.0, 0.0))
    for share, values in zip(SHARES[1:], routed[1:], strict=True):
        found = relative(values, mine, users, seed=seed, resamples=resamples)
        if not found.low > -limit:
            break
        best = (float(share), found)
    return best


def routed_quality(known: Evidence, router: Router) -> Float64:
    """float64[B]: the quality of whoever answers, the policy or a delegate."""
    judged = router.judge(known.signals, known.keys)
    replaced, made = router.replaced(judged, known.keys), known.quality[known.policy].copy()
    for label in sorted(set(judged.who[replaced])):
        rows = replaced & (judged.who == label)
        made[rows] = known.quality[label][rows]
    return made


def share_for_tokens(
    replaced: Callable[[float], Bool], tokens: Int64 | Float64, stage: str, limit: float, where: str
) -> float:
    """The smallest share at which a request costs at most ``limit`` tokens on average.

    Args:
        replaced: share -> bool[B], who does not go to the policy.
        tokens: [B] what the policy spends on each.
        stage: of the router; one that decides after the policy has answered saves nothing.
        limit: tokens.
        where: names the setting in messages.

    Raises:
        ConfigError: the limit is out of reach.
    """
    spent = float(np.mean(tokens))
    for share in PERCENT if stage == "before" else PERCENT[:1]:
        if float(np.mean(np.where(replaced(float(share)), 0, tokens))) <= limit:
            return float(share)
    raise ConfigError(
        f"{limit:g} tokens cannot be reached: the policy spends {spent:.1f} on a request and has answered before "
        "the router decides",
        where=where,
        fix='Set router.stage = "before".',
    )


def share_for_time(slow: float, fast: float, limit: float, stage: str, where: str) -> float:
    """The share at which a request takes ``limit`` seconds on average.

    Args:
        slow, fast: mean seconds where the policy, or where delegates answer everything.
        limit: seconds.
        stage: of the router.
        where: names the setting in messages.

    Raises:
        ConfigError: the limit is out of reach.
    """
    if slow <= limit:
        return 0.0
    if fast <= limit:
        return (slow - limit) / (slow - fast)
    late = "" if stage == "before" else ' Its router decides after the policy has answered: try stage = "before".'
    raise ConfigError(
        f"{1000 * limit:g} ms cannot be reached: the policy answering everything takes {1000 * slow:.2f} ms, "
        f"delegates {1000 * fast:.2f} ms",
        where=where,
        fix=f"Allow at least {1000 * min(slow, fast):.2f} ms.{late}",
    )

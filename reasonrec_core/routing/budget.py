"""From what is wanted (a tolerated loss, tokens, a latency) to the share of requests that delegates answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate import Totals
from reasonrec_core.evaluate.bootstrap import LEVEL, interval, resample
from reasonrec_core.routing.calibration_data import EXPLORED, CalibrationData
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.decision import Assignment
from reasonrec_core.routing.logistic import unit_folds
from reasonrec_core.routing.signals import Signals
from reasonrec_core.types import Bool, Float64, Int64

if TYPE_CHECKING:
    from reasonrec_core.routing.router import Router

SHARES, PERCENT = np.linspace(0.0, 1.0, 21), np.linspace(0.0, 1.0, 101)
"""Shares that are tried for a tolerated loss, and for a cost."""


@dataclass(frozen=True)
class RelativeDifference:
    """Mean quality against that of the policy alone: ``mean(a) / mean(policy) - 1`` with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        parts = (f"{100 * part:+.1f}".replace("-", "\N{MINUS SIGN}") for part in (self.value, self.low, self.high))
        return "{}\N{NO-BREAK SPACE}% ({} to {}\N{NO-BREAK SPACE}%)".format(*parts)


def relative_difference(
    quality: Float64, policy: Float64, users: Int64, *, seed: int, resamples: int, tests: int = 1
) -> RelativeDifference:
    """How much better or worse than the policy alone, paired by user; of several ``tests`` together (Bonferroni).

    Args:
        quality, policy: float64[B]; NaN where it is not known.
        users: int64[B] equal for equal users, -1 where unknown.
        seed, resamples: of the paired bootstrap over users.
    """
    known = ~(np.isnan(quality) | np.isnan(policy))
    units = separate_unknown(users)
    columns = [np.bincount(units[known], v[known], int(units.max(initial=-1)) + 1) for v in (quality - policy, policy)]
    parts = np.stack(columns, axis=1).astype(np.float64)

    def ratio(sums: Float64) -> Float64:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(sums[:, 0] == 0, 0.0, sums[:, 0] / sums[:, 1]))

    made = Totals(parts, ratio, "user")
    draws = resample({"relative": made}, seed=seed, resamples=resamples)["relative"]
    return RelativeDifference(made.value, *interval(draws, made.value, level=1 - (1 - LEVEL) / tests))


def separate_unknown(users: Int64) -> Int64:
    """int64[B]: the same, each unknown user (-1) a number of its own after all others."""
    return np.where(users < 0, int(users.max(initial=-1)) + np.cumsum(users < 0), users)


def renumber_users(users: Int64) -> Int64:
    """Users numbered as they first appear: the same folds and draws whatever numbers they had; -1 stays."""
    made, known = np.full(len(users), -1, np.int64), users >= 0
    _, first, inverse = np.unique(users[known], return_index=True, return_inverse=True)
    made[known] = np.argsort(np.argsort(first))[inverse]
    return made


def share_for_loss(
    data: CalibrationData, router: Router[Any], limit: float, users: Int64, *,
    seed: int, resamples: int, tests: int = 1, following: Callable[[Router[Any]], Signals] | None = None,
) -> tuple[float, RelativeDifference]:  # fmt: skip
    """The largest share whose loss is at most ``limit``, chosen on validation, and what was found there (of 0: at the
    smallest share that is tried).

    A share is accepted where the lower end of the 95 % interval of the relative difference to the policy alone is
    above ``-limit`` (a test of non-inferiority), and so it is for all smaller shares that are tried: shares are tested
    in ascending order until one fails, which keeps the error of the choice at that of one test (fixed-sequence testing,
    as in Learn then Test: Angelopoulos et al., 2021). Every query is decided by a router that was fitted to the other
    folds of the users, and weighs as many of the requests that come next as are scored like it (`compute_weights`).

    Args:
        data: what was answered on validation.
        router: of the kind and settings; what it has learned and its goal do not matter.
        limit: tolerated relative loss.
        users: int64[B] equal for equal users, -1 where unknown.
        seed, resamples: of folds and intervals.
        tests: how many routers are tried, of which one is then chosen.
        following: what a router is to know of the requests that come next; None: they are like ``data``.
    """
    answering_all: dict[str, Any] = {"abstain": None, "selective_risk": None}
    config: RouterConfig = router.config.at(EXPLORED).model_copy(update=answering_all)
    users, data = renumber_users(users), data.at(EXPLORED)
    routed = np.tile(own := data.quality[data.policy], (len(SHARES), 1))
    for rest, left_out in unit_folds(separate_unknown(users), seed):
        if not rest.any():
            continue
        part = data.take(left_out)
        learned = type(router)(config).fit(data.take(rest), with_confidence=False)
        coming = part.signals if following is None else following(learned)
        assigned = [learned.at_share(float(s), coming).assign(part.signals, part.keys) for s in SHARES[1:]]
        weight = np.ones(len(part)) if following is None else compute_weights([each.replaced for each in assigned])
        for row, each in enumerate(assigned, 1):
            routed[row, left_out] += weight * (routed_quality(part, each) - own[left_out])
    best: tuple[float, RelativeDifference] | None = None
    for share, values in zip(SHARES[1:], routed[1:], strict=True):
        found = relative_difference(values, own, users, seed=seed, resamples=resamples, tests=tests)
        if not found.low > -limit:
            return best or (0.0, found)
        best = (float(share), found)
    return best or (0.0, found)


def compute_weights(replaced: list[Bool]) -> Float64:
    """float64[B] importance weights: of how many coming requests each tells (covariate shift: Shimodaira, 2000).

    Scores change as histories grow. Where a threshold hands over a twentieth more of what comes next, it hands over
    another part of validation, whose requests weigh the one by the other. ``replaced``: bool[B] of each share but 0.
    """
    weight, before, due = np.ones(len(replaced[0])), np.zeros(len(replaced[0]), np.bool_), 0.0
    for handed, step in zip(replaced, np.diff(SHARES), strict=True):
        new, due = handed & ~before, due + step
        if new.any():
            weight[new], due = due / new.mean(), 0.0
        before |= handed
    return weight


def routed_quality(data: CalibrationData, assigned: Assignment) -> Float64:
    """float64[B]: the quality of whoever is to answer, the policy or a delegate."""
    made, who = data.quality[data.policy].copy(), assigned.who
    for label in sorted(set(who) - {""}):
        made[who == label] = data.quality[label][who == label]
    return made


def share_for_tokens(
    replaced: Callable[[float], Bool], tokens: Int64 | Float64, stage: str, limit: float, where: str
) -> float:
    """The smallest share at which a request costs at most ``limit`` tokens on average.

    Args:
        replaced: share -> bool[B], who does not go to the policy.
        tokens: [B] what the policy spends on each.
        stage: of the router; one that decides after the policy has answered saves nothing.
        limit, where: tokens, and the setting's name for messages.

    Raises:
        ConfigError: the limit is out of reach.
    """
    spent = float(np.mean(tokens))
    for share in PERCENT if stage == "before" else PERCENT[:1]:
        if float(np.mean(np.where(replaced(float(share)), 0, tokens))) <= limit:
            return float(share)
    raise ConfigError(
        f"{limit:g} tokens cannot be reached: the policy spends {spent:.1f} on each request, and it answers "
        "before the router decides",
        where=where,
        fix='Set router.stage = "before".',
    )


def share_for_time(slow: float, fast: float, limit: float, stage: str, where: str) -> float:
    """The share at which a request takes ``limit`` seconds on average.

    Args:
        slow, fast: mean seconds where the policy, or where delegates answer everything.
        limit, stage, where: seconds, the router's, and the setting's name for messages.

    Raises:
        ConfigError: the limit is out of reach.
    """
    if slow <= limit:
        return 0.0
    if fast <= limit:
        return (slow - limit) / (slow - fast)
    late = "" if stage == "before" else ' This router decides after the policy has answered: try stage = "before".'
    raise ConfigError(
        f"{1000 * limit:g} ms cannot be reached: the policy alone takes {1000 * slow:.2f} ms, delegates "
        f"{1000 * fast:.2f} ms",
        where=where,
        fix=f"Allow at least {1000 * min(slow, fast):.2f} ms.{late}",
    )

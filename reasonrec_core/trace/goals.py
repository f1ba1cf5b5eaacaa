"""From what is wanted (a latency, a loss) to the share of requests that delegates answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.act import Router, fit_router
from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate.bootstrap import interval, resample
from reasonrec_core.evaluate.estimates import Estimate
from reasonrec_core.trace.costs import seconds, spread
from reasonrec_core.trace.decide import BEFORE, Decisions, decide, evidence
from reasonrec_core.trace.recorded import Float64, Recorded
from reasonrec_core.types import Int64

SHARES = np.linspace(0.0, 1.0, 21)
"""Shares that are tried for a tolerated loss."""
PERCENT = np.linspace(0.0, 1.0, 101)
"""Shares that are tried for a latency."""
FOLDS = 5


@dataclass(frozen=True)
class Relative:
    """Mean quality against that of the policy alone: ``mean(a) / mean(policy) - 1`` with its 95 % interval."""

    value: float
    low: float
    high: float


def relative(quality: Float64, policy: Float64, users: Int64, *, seed: int, resamples: int) -> Relative:
    """How much better or worse than the policy alone, paired by user."""
    known = ~(np.isnan(quality) | np.isnan(policy))
    units = users.copy()
    units[units < 0] = int(users.max(initial=-1)) + 1 + np.arange(int((units < 0).sum()))
    columns = [np.bincount(units[known], v[known], int(units.max(initial=-1)) + 1) for v in (quality - policy, policy)]
    parts = np.stack(columns, axis=1).astype(np.float64)

    def ratio(sums: Float64) -> Float64:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(sums[:, 0] == 0, 0.0, sums[:, 0] / sums[:, 1]))

    made = Estimate("relative", parts, ratio)
    low, high = interval(resample([made], seed=seed, resamples=resamples)["relative"], made.value)
    return Relative(made.value, low, high)


def share_for_latency(found: Recorded, router: Router, limit: float) -> float:
    """The smallest share at which a request takes at most ``limit`` seconds on average.

    Raises:
        ConfigError: the run timed nothing, or the limit is out of reach.
    """
    takes = []
    for share in PERCENT:
        takes.append(_mean_seconds(found, decide(found, router.at_share(float(share), found.signals))))
        if takes[-1] <= limit:
            return float(share)
    if np.isnan(takes).all():
        raise ConfigError(
            "the trace holds no latencies",
            where="--max-latency",
            fix="Evaluate the run again: the trace then times a sample of requests.",
        )
    least = int(np.nanargmin(takes))
    late = "" if router.config.stage == BEFORE else " Its router decides after the policy has thought: try another."
    raise ConfigError(
        f"{1000 * limit:g} ms cannot be reached: the policy answering everything takes {1000 * takes[0]:.2f} ms, "
        f"{router.delegate} {1000 * takes[-1]:.2f} ms",
        where="--max-latency",
        fix=f"Allow at least {1000 * takes[least]:.2f} ms.{late}",
    )


def _mean_seconds(found: Recorded, decisions: Decisions) -> float:
    told = spread(seconds(found, decisions))
    return told["mean"] if told else float("nan")


def share_for_loss(
    valid: Recorded, router: Router, limit: float, *, seed: int, resamples: int
) -> tuple[float, Relative]:
    """The largest share whose loss is at most ``limit``, chosen on validation, and what was found there.

    A share is accepted where the lower end of the 95 % interval of the relative difference to the policy alone is
    above ``-limit`` (a test of non-inferiority). Every query is decided by a router that was calibrated on the other
    folds of the users.
    """
    known, learn = evidence(valid), router.config.model_copy(update={"share": 0.5, "risk": None})
    mine, folds = (
        known.quality[known.policy],
        np.random.default_rng(seed).integers(0, FOLDS, int(valid.users.max()) + 2),
    )
    fold = folds[valid.users]
    routed = np.tile(mine, (len(SHARES), 1))
    for left_out in range(FOLDS):
        rows = np.flatnonzero(fold == left_out)
        if not len(rows) or len(rows) == len(fold):
            continue
        part, learned = known.take(rows), fit_router(learn, known.take(fold != left_out))
        theirs = part.quality[learned.delegate]
        for row, share in enumerate(SHARES):
            sent = learned.at_share(float(share), part.signals).replace(part.signals, part.keys)
            routed[row, rows] = np.where(sent, theirs, mine[rows])
    best = (0.0, Relative(0.0, 0.0, 0.0))
    for share, values in zip(SHARES, routed, strict=True):
        found = relative(values, mine, valid.users, seed=seed, resamples=resamples)
        if found.low >= -limit:
            best = (float(share), found)
    return best

"""From what is wanted (a latency, a loss) to the share of requests that delegates answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing import Router, budget
from reasonrec_core.routing.budget import PERCENT, RelativeDifference, relative_difference
from reasonrec_core.types import Bool
from reasonrec_trace.costs import estimate_seconds, summarise_known
from reasonrec_trace.replay_router import BEFORE, Replayed, decide, make_calibration_data
from reasonrec_trace.trace_arrays import Recorded

__all__ = ["RelativeDifference", "relative_difference", "share_for_latency", "share_for_loss", "share_for_tokens"]


def share_for_latency(found: Recorded, router: Router[Any], limit: float) -> float:
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
            "the trace has no latencies",
            where="--max-latency",
            fix="Evaluate the run again: the trace then times a sample of requests.",
        )
    least = int(np.nanargmin(takes))
    late = (
        "" if router.config.stage == BEFORE else " Its router decides after the policy has answered: try another one."
    )
    raise ConfigError(
        f"{1000 * limit:g} ms cannot be reached: the policy alone takes {1000 * takes[0]:.2f} ms, "
        f"{router.delegate} {1000 * takes[-1]:.2f} ms",
        where="--max-latency",
        fix=f"Allow at least {1000 * takes[least]:.2f} ms.{late}",
    )


def _mean_seconds(found: Recorded, decisions: Replayed) -> float:
    times = summarise_known(estimate_seconds(found, decisions))
    return times["mean"] if times else float("nan")


def share_for_tokens(found: Recorded, router: Router[Any], limit: float) -> float:
    """The smallest share at which a request costs at most ``limit`` tokens on average.

    Raises:
        ConfigError: the limit is out of reach, or the trace does not say what the policy spent.
    """
    spent = found.numbers["policy_tokens"]
    known = ~np.isnan(spent)
    if not known.any():
        raise ConfigError("the trace has no tokens of the policy", where="--max-tokens")

    def replaced(share: float) -> Bool:
        return router.at_share(share, found.signals).assign(found.signals, found.keys).replaced

    spent = np.where(known, spent, spent[known].mean())
    return budget.share_for_tokens(replaced, spent, router.config.stage, limit, "--max-tokens")


def share_for_loss(
    valid: Recorded, router: Router[Any], limit: float, *, seed: int, resamples: int
) -> tuple[float, RelativeDifference]:
    """The largest share whose loss is at most ``limit``: `reasonrec_core.routing.budget.share_for_loss`."""
    data = make_calibration_data(valid)
    return budget.share_for_loss(data, router, limit, valid.users, seed=seed, resamples=resamples)

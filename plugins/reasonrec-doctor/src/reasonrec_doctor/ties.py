"""Does time say in which order things happened?"""

from __future__ import annotations

import numpy as np

from reasonrec_core.data.cases import compute_user_bounds
from reasonrec_core.types import format_percent
from reasonrec_doctor.finding import Examined, Finding, Severity

NAME = "time-ties"
TOO_MANY = 0.05
"""Share of users from which ties are a warning."""


def check(examined: Examined) -> list[Finding]:
    """Users whose last two interactions have the same time: which of them is "the next" is the file's order."""
    dataset, log = examined.dataset, examined.dataset.interactions
    if not dataset.has_clock:
        return [
            Finding(
                NAME,
                Severity.INFO,
                "the log has an order within each user, but no times",
                len(log),
                len(log),
                "times are positions in each sequence",
                "The order is used as given; a temporal split is not possible.",
            )
        ]
    ends = compute_user_bounds(log, dataset.n_users)
    last = ends[1:][np.diff(ends) >= 2] - 1
    tied = log.times[last] == log.times[last - 1]
    if not tied.any():
        return []
    by_time = examined.split is not None and examined.split.config.get("kind") == "temporal"
    row = int(last[np.flatnonzero(tied)[0]])
    many = tied.mean() > TOO_MANY and not by_time
    return [
        Finding(
            NAME,
            Severity.WARNING if many else Severity.INFO,
            f"for {format_percent(float(tied.mean()), 1)} of users the last two interactions have the same time, "
            "so their order is that of the file",
            int(tied.sum()),
            len(tied),
            f"user {examined.user(int(log.users[row]))}: {examined.item(int(log.items[row - 1]))} and "
            f"{examined.item(int(log.items[row]))} at {log.times[row]}",
            "Make sure that the order in the file is meaningful, or use the temporal split, which never "
            "divides equal times.",
        )
    ]

"""Quality against that of the policy alone, paired by user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.evaluate.bootstrap import UserSums, interval, resample
from reasonrec_core.types import Float64, Int64


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

    made = UserSums("relative", parts, ratio)
    low, high = interval(resample([made], seed=seed, resamples=resamples)["relative"], made.value)
    return Relative(made.value, low, high)


def numbered(users: Int64) -> Int64:
    """Users numbered as they first appear: the same folds and draws whatever numbers they had."""
    made, known = np.full(len(users), -1, np.int64), users >= 0
    _, first, inverse = np.unique(users[known], return_index=True, return_inverse=True)
    made[known] = np.argsort(np.argsort(first))[inverse]
    return made

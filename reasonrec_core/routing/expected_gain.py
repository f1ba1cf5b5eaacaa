"""What a delegate's answer is expected to lose, if the policy's own probabilities are right.

The quality of one answer to one query is nearly all chance: most targets are in nobody's list. What routers learn from
it is therefore noise for the most part. Where the policy says how likely each item is, the difference between two lists
can be stated without waiting for the target, as its expectation: far less noisy, and blind only where the policy is.
Soft labels of a teacher in place of hard ones, as in distillation (Hinton, Vinyals and Dean, 2015). Whether it is the
better teacher is measured on validation targets.
"""

from __future__ import annotations

import numpy as np

from reasonrec_core.ranking import compute_gain
from reasonrec_core.types import Float32, Float64, Ranking

DEPTH = 10
EXPECTED = "expected:"
"""How a trace names, for each delegate, what its answer is expected to gain."""
CHUNK = 1024


def expected_gain(policy: Ranking, masses: Float32, delegate: Ranking, depth: int = DEPTH) -> Float64:
    """float64[B]: expected NDCG of the delegate's answer minus the policy's, for one target per query.

    Rounded as a trace holds it (`stated`), so that a router that a replay learns anew is the same.

    Args:
        policy: its answers.
        masses: float32[B, K], P(target) of each of its items.
        delegate: answers to the same queries. What the policy does not list counts as impossible.
        depth: of the NDCG.
    """
    discount = compute_gain(np.arange(1, depth + 1))
    known = np.where(policy.items >= 0, masses, 0.0).astype(np.float64)
    own = (known[:, :depth] * discount[: known.shape[1]]).sum(axis=1)
    theirs = np.empty(len(own))
    top = delegate.items[:, :depth]
    for start in range(0, len(own), CHUNK):
        rows = slice(start, start + CHUNK)
        same = (top[rows, :, None] == policy.items[rows, None, :]) & (top[rows, :, None] >= 0)
        theirs[rows] = ((same * known[rows, None, :]).sum(axis=2) * discount[: top.shape[1]]).sum(axis=1)
    return gained(stated(theirs - own))


def stated(gains: Float64) -> Float32:
    """float32[B] in [0, 1] for float64[B] in [-1, 1]; `gained` turns it back."""
    return (0.5 + 0.5 * gains).astype(np.float32)


def gained(values: Float32) -> Float64:
    """float64[B] in [-1, 1] for what `stated` gave."""
    return 2.0 * values.astype(np.float64) - 1.0

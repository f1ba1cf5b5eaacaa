"""What a delegate's answer is expected to gain, by the policy's own word: softer than what the target says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reasonrec_core.ranking import compute_gain
from reasonrec_core.routing import Signals
from reasonrec_core.types import Float32, Float64, Ranking

EXPECTED = "expected:"
"""How the signal is called, for each delegate, that holds what its answer is expected to gain."""
DEPTH = 10
CHUNK = 1024


def read_gains(signals: Signals, delegates: Sequence[str]) -> Float64 | None:
    """float64[B, D]: what each delegate's answer is expected to gain; None where that is not known of all."""
    names = [f"{EXPECTED}{label}" for label in delegates]
    if not set(names) <= set(signals):
        return None
    return np.stack([decode_gain(signals[name].total) for name in names], axis=1)


def expected_gain(policy: Ranking, masses: Float32, delegate: Ranking, depth: int = DEPTH) -> Float64:
    """float64[B]: expected NDCG of the delegate's answer minus the policy's, for one target per query.

    The quality of one answer to one query is nearly all chance: most targets are in nobody's list. Where the policy
    says how likely each item is, the difference between two lists can be stated without waiting for the target, as its
    expectation: far less noisy, and blind only where the policy is. Soft labels of a teacher in place of hard ones, as
    in distillation (Hinton, Vinyals and Dean, 2015). Whether it is the better teacher is measured on validation.
    Rounded as a signal holds it (`encode_gain`), so that a router that a replay fits anew is the same.

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
    return decode_gain(encode_gain(theirs - own))


def encode_gain(gains: Float64) -> Float32:
    """float32[B] in [0, 1] for float64[B] in [-1, 1]; `decode_gain` turns it back."""
    return (0.5 + 0.5 * gains).astype(np.float32)


def decode_gain(values: Float32) -> Float64:
    """float64[B] in [-1, 1] for what `encode_gain` gave."""
    return 2.0 * values.astype(np.float64) - 1.0

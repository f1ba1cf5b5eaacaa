"""Entropy of several networks' answers, split into what they agree on and what they disagree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.types import Bool, Float32, Float64, Int64


@dataclass(frozen=True)
class EntropySplit:
    """Of B queries, float64[B] each, divided by the log of the number of outcomes: in [0, 1].

    Attributes:
        total: ``H(mean_t p_t)``, the predictive entropy.
        aleatoric: ``mean_t H(p_t)``, the expected entropy.
        epistemic: their difference, the mutual information of the outcome and the network (BALD).
    """

    total: Float64
    aleatoric: Float64
    epistemic: Float64


def split_entropy(samples: Float32, listed: Bool, others: Int64 | None) -> EntropySplit:
    """Split the uncertainty of T passes over the same list of items.

    Gal and Ghahramani, ICML 2016; Houlsby et al., 2011, eq. 2 (BALD); for the members of a deep ensemble the formulas
    are the same (Lakshminarayanan et al., NeurIPS 2017).

    Args:
        samples: float32[T, B, K], P(item) in each pass; a row sums to at most 1.
        listed: bool[B, K], which of them are items; the others have no probability.
        others: int64[B], over how many items the mass off the list is spread evenly in every pass: the most that they
            can hold of total and aleatoric uncertainty, and the least of epistemic. None: only how the list divides
            its own mass counts, a list without any being divided evenly.
    """
    p = np.clip(samples.astype(np.float64), 0.0, 1.0) * listed
    sums = p.sum(axis=2, keepdims=True)
    outcomes, inside = listed.sum(axis=1), np.zeros(len(listed))
    if others is not None:
        p = np.concatenate([p, np.where(others > 0, np.maximum(1.0 - sums[..., 0], 0.0), 0.0)[..., None]], axis=2)
        p /= np.maximum(p.sum(axis=2, keepdims=True), 1e-300)
        # What the even spread adds, alike to the entropy of the mean and to the mean entropy.
        outcomes, inside = outcomes + others, np.log(np.maximum(others, 1)) * p[:, :, -1].mean(axis=0)
    else:
        even = listed / np.maximum(outcomes, 1)[:, None]
        p = np.where(sums > 0, p / np.where(sums > 0, sums, 1.0), even)
    largest, mean = np.log(np.maximum(outcomes, 2)), p.mean(axis=0)
    total = np.clip((_entropy(mean) + inside) / largest, 0.0, 1.0)
    expected = np.clip((_entropy(p).mean(axis=0) + inside) / largest, 0.0, 1.0)
    return EntropySplit(total, np.minimum(expected, total), np.maximum(total - expected, 0.0))


def _entropy(p: Float64) -> Float64:
    """In nats, over the last axis."""
    return np.asarray(-np.where(p > 0, p * np.log(np.maximum(p, 1e-300)), 0.0).sum(axis=-1))

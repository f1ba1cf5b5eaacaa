"""Step *decide*: the ranking, and each expert's share in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.builtin.profile.infer import Inference
from reasonrec_core.builtin.profile.propose import Proposals
from reasonrec_core.ranking import rank
from reasonrec_core.types import Bool, Float32, Int32, QueryBatch, Ranking

TINY = np.float32(1e-30)
SHARED = 10
"""Items whose mass is told by expert."""


@dataclass(frozen=True)
class Decision:
    """The answer to B queries.

    Attributes:
        ranking: K items; the scores are the masses.
        mass: float32[B, K] P(next item), 0 for padding; a row sums to at most 1.
        shares: float32[B, S, E] part of each of the first S = min(K, 10) items' mass that each expert gave; sums to 1
            over experts.
    """

    ranking: Ranking
    mass: Float32
    shares: Float32


def decide(batch: QueryBatch, inference: Inference, proposals: Proposals, weights: Float32) -> Decision:
    """``P(i) ~ prod_f R_f(i)^b_f * sum_e w_e p_e(i)``, normalised over what may be recommended, best first.

    Args:
        batch: the queries.
        inference: whose exponents ``b_f`` say how strongly each field gates.
        proposals: the experts' scores and the fields' likelihood ratios ``R_f``.
        weights: float32[B, E] mixture weights.
    """
    mixed, allowed, voices = mix(inference, proposals, weights)
    scores = np.where(allowed, mixed, np.float32(-np.inf))
    ranking = rank(scores, batch)
    mass = np.where(ranking.items >= 0, ranking.scores, np.float32(0.0)).astype(np.float32)
    return Decision(ranking, mass, _shares(ranking.items[:, :SHARED], batch, proposals, voices))


def mix(inference: Inference, proposals: Proposals, weights: Float32) -> tuple[Float32, Bool, Float32]:
    """The distribution that `decide` ranks by.

    Returns:
        float32[B, n_items or C] P(next item), 0 for what may not be recommended; bool of the same shape, what may;
        float32[B, E], what turns each expert's scores into its part.
    """
    voices = np.stack([proposals.voice(e) for e in range(len(proposals.names))], axis=1) * weights
    mixed = proposals.scores[0] * voices[:, :1]
    for e, scores in enumerate(proposals.scores[1:], start=1):
        mixed += scores * voices[:, e : e + 1]
    allowed = proposals.scores[-1] > 0  # popularity is positive wherever an item may be recommended
    gate(mixed, inference.exponents, proposals.ratios)
    np.maximum(mixed, TINY, out=mixed, where=allowed)
    mixed[~allowed] = 0.0
    total = np.maximum(mixed.sum(axis=1, keepdims=True), TINY)
    mixed /= total
    return mixed, allowed, voices


def gate(mixed: Float32, exponents: Float32, ratios: tuple[Float32, ...]) -> None:
    """Multiply ``mixed`` in place by ``prod_f R_f^b_f``; fields with exponent 0 for all queries cost nothing."""
    used = [f for f in range(len(ratios)) if exponents[:, f].any()]
    if not used:
        return
    log = np.log(ratios[used[0]]) * exponents[:, used[0], None]
    for f in used[1:]:
        log += np.log(ratios[f]) * exponents[:, f, None]
    mixed *= np.exp(np.clip(log, -60.0, 60.0, out=log), out=log)


def _shares(items: Int32, batch: QueryBatch, proposals: Proposals, voices: Float32) -> Float32:
    if batch.candidates is None:
        columns = np.maximum(items, 0)
    else:
        match = (batch.candidates[:, None, :] == items[:, :, None]) & (items[:, :, None] >= 0)
        columns = match.argmax(axis=2).astype(np.int32)
    parts = [np.take_along_axis(s, columns, axis=1) * voices[:, e, None] for e, s in enumerate(proposals.scores)]
    stacked = np.stack(parts, axis=2)
    whole = stacked.sum(axis=2, keepdims=True)
    shares = np.divide(stacked, whole, out=np.zeros_like(stacked), where=whole > 0)
    shares[items < 0] = 0.0
    return np.asarray(shares, dtype=np.float32)

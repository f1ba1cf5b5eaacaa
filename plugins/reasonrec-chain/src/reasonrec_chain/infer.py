"""Step *infer*: what the next item will be like, as the trained network sees it and as the history counts it."""

from __future__ import annotations

import numpy as np
from reasonrec_profile.api import HistoryWeights, Inference
from scipy import sparse

from reasonrec_chain.item_cache import ItemCache
from reasonrec_chain.label_sets import LabelSets
from reasonrec_chain.propose import Experts
from reasonrec_core.types import Float32, Int32

TRUSTS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
USUAL_TRUST = 0.5
"""Where no validation data say better."""


def infer(states: Float32, evidence: HistoryWeights, experts: Experts, cache: ItemCache) -> Inference:
    """P(label of the next item) per field; the gates say later how much each counts.

    ``trust_f * trained + (1 - trust_f) * counted``: the network knows what usually follows, the count (labels of the
    history, faded by age, and the prior) what this user is like; with little data to train on it is the better one.

    Args:
        states: float32[B, M d].
        evidence: of the same queries.
        experts: whose network and trust.
        cache: the items as they can be seen now.
    """
    beliefs = []
    for f, trained in enumerate(experts.sequence.beliefs(states)):
        trust = np.float32(experts.trust[f])
        if trust < 1:
            counted = count_belief(evidence, experts.labels[f], cache.sets[f])
            trained = trust * trained + (1 - trust) * counted
        beliefs.append(trained)
    fields = tuple(each.field for each in experts.labels)
    size = (len(states), len(fields))
    return Inference(fields, tuple(beliefs), np.zeros(size, np.float32), np.full(size, -1, np.int32))


def count_belief(evidence: HistoryWeights, labels: LabelSets, shown: Int32) -> Float32:
    """float32[B, L]: the history's labels by weight, and the prior by its strength; a row sums to 1.

    Args:
        evidence: of B queries.
        labels: of one field.
        shown: int32[n_items], the set of labels that each item shows now.
    """
    history, field = evidence.history, labels.field
    entries = (evidence.weights(field.fade), (history.rows, shown[history.items]))
    sets = sparse.csr_matrix(entries, shape=(len(history), labels.members.shape[0]))
    counts = (sets @ labels.members).toarray() + np.float32(field.strength) * field.prior
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float32)


def fit_trust(
    states: Float32, evidence: HistoryWeights, targets: Int32, experts: Experts, cache: ItemCache
) -> tuple[float, ...]:
    """Per field the trust under which the labels of int32[B] targets are likeliest."""
    chosen = []
    for f, trained in enumerate(experts.sequence.beliefs(states)):
        labels = experts.labels[f]
        member = labels.members[cache.sets[f][targets]]
        known = np.diff(member.indptr) > 0
        if not known.any():
            chosen.append(USUAL_TRUST)
            continue
        counted = count_belief(evidence, labels, cache.sets[f])
        odds = [
            np.asarray(member.multiply(belief / labels.field.prior).sum(axis=1)).ravel()[known]
            for belief in (trained, counted)
        ]
        gains = [np.log(np.maximum(t * odds[0] + (1 - t) * odds[1], 1e-6)).mean() for t in TRUSTS]
        chosen.append(TRUSTS[int(np.argmax(gains))])
    return tuple(chosen)

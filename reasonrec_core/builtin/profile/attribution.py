"""Which history entries the best item's score came from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reasonrec_core.builtin.profile.decide import Decision
from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.builtin.profile.propose import Expert, Proposals
from reasonrec_core.types import Float32, Int32, Observation


def attribute(
    experts: tuple[Expert, ...],
    observation: Observation,
    evidence: Evidence,
    proposals: Proposals,
    weights: Float32,
    decision: Decision,
) -> Float32:
    """float32[L]: how much of the best item's mixed score each entry gave, through the item-to-item experts."""
    total = np.zeros(len(evidence.history.items), dtype=np.float32)
    if not decision.ranking.items.shape[1]:
        return total
    best = decision.ranking.items[:, 0]
    for e, expert in enumerate(experts):
        voice = proposals.voice(e) * weights[:, e]
        total += links(expert, evidence, observation, best) * voice[evidence.history.rows]
    return total


def links(expert: Expert, evidence: Evidence, observation: Observation, items: Int32) -> Float32:
    """float32[L]: each entry's vote for its query's item, int32[B] (-1 = none: no votes)."""
    history = evidence.history
    targets = items[history.rows]
    known = np.flatnonzero(targets >= 0)
    present = expert.present(observation)
    if present is not None:
        known = known[present[history.items[known]] & present[targets[known]]]
    found: npt.NDArray[np.float32] = np.zeros(len(history.items), dtype=np.float32)
    if len(known):
        found[known] = np.asarray(expert.matrix[history.items[known], targets[known]]).ravel()
    return np.asarray(found * evidence.weights(expert.fade), dtype=np.float32)

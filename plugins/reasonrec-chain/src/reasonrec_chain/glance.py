"""The best items of one request under `reflex`'s formula, without a score for each item of the catalogue.

Items without links to the history differ by the sequence expert's share alone. While its exponent is not negative,
their scores rise with it, so of those only the ones with the largest logits can be among the best. They and the linked
items are scored by the formula; what is left out scores less.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reasonrec_chain.gates import TINY, Ready
from reasonrec_chain.pool import voices
from reasonrec_chain.propose import SEQUENCE, Experts
from reasonrec_chain.scene import Room, Scene
from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.ranking import top_k
from reasonrec_core.types import Float32, Ranking

Index = npt.NDArray[np.intp]


def known_of(horizon: Float32, totals: Float32, surest: Float32) -> Float32:
    """float32[B, 2 + 2 E], what the gates see: the horizon and its square, evidence (float32[B, E]), the best share."""
    h, told = horizon[:, None].astype(np.float32), np.sign(totals) * np.log1p(np.abs(totals))
    return np.concatenate([h, h * h, told, np.log(np.maximum(surest, 1e-8))], axis=1).astype(np.float32)


def glance(
    names: tuple[str, ...],
    gates: Ready,
    experts: Experts,
    scene: Scene,
    evidence: Evidence,
    states: Float32,
    horizon: Float32,
    k: int,
) -> Ranking | None:
    """The ``k`` best of one query, what the user has left out; None where the shortcut does not hold.

    Args:
        names: E experts, the sequence among them.
        gates: their weights.
        experts, scene: who is asked, and about what.
        evidence: of one query.
        states: float32[1, M d].
        horizon: float32[1].
        k: how many.
    """
    own, at, floor = evidence.history.items, names.index(SEQUENCE), gates.floor
    with scene.room(1) as room:
        logits = scene.logits(states, room.array(at, 1, scene.n_items))[0]
        logits[own] = -np.inf
        linked, votes = _linked(names, experts, scene, evidence, room)
        totals, surest = np.zeros((2, 1, len(names)), np.float32)
        totals[0] = votes.sum(axis=1)
        surest[0] = votes.max(axis=1, initial=0.0) / np.maximum(totals[0], np.float32(1e-30))
        totals[0, at], surest[0, at] = _level(logits)
        weighed = gates.weights(known_of(horizon, totals, surest))
        if not weighed.agreement[0, at] >= 0:
            return None
        theirs = logits[linked]
        logits[linked] = -np.inf
        others = top_k(logits[None], k)[0]
        others = others[np.isfinite(logits[others])]
        shares = np.zeros((len(names), len(linked) + len(others)), np.float32)
        shares[at] = np.exp(np.concatenate([theirs, logits[others]]) - totals[0, at])
    totals[0, at] = 1.0
    shares[:, : len(linked)] += votes / np.maximum(totals[0, :, None], np.float32(1e-30))
    scores = np.exp(weighed.agreement[0] @ np.log(shares + floor))
    scores *= TINY + weighed.experts[0] @ shares
    return _best(np.concatenate([linked, others]), scores, min(k, scene.n_items))


def _linked(
    names: tuple[str, ...], experts: Experts, scene: Scene, evidence: Evidence, room: Room
) -> tuple[Index, Float32]:
    """intp[L] items that are linked to the history, ascending, and float32[E, L] each expert's votes for them."""
    links = {link.name: (found, link) for found, link in zip(scene.links, experts.links, strict=True)}
    marks, counted = room.marks[: scene.n_items], dict[int, Float32]()
    for e, name in enumerate(names):
        if name != SEQUENCE:
            cells = counted[e] = room.array(e, 1, scene.n_items)[0]
            cells.fill(0.0)
            items, given = voices(links[name][0], links[name][1].fade, evidence)
            np.add.at(cells, items, given)
            marks[items] = True
    marks[evidence.history.items] = False
    linked = np.flatnonzero(marks)
    marks[linked] = False
    votes = np.zeros((len(names), len(linked)), np.float32)
    for e, cells in counted.items():
        cells.take(linked, out=votes[e])
    return linked, votes


def _level(logits: Float32) -> tuple[np.float32, np.float32]:
    """The logarithm of the sum of exponentials, as `reflex` has it, and the largest share."""
    top = logits.max()
    if not np.isfinite(top):
        return np.float32(np.log(1e-30)), np.float32(0)
    whole = np.exp(logits - top).sum() + np.float32(1e-30)
    return np.float32(np.log(whole) + top), np.float32(1 / whole)


def _best(items: Index, scores: Float32, k: int) -> Ranking:
    """The ``k`` largest of N different items' scores, of equal ones the first item; padded with -1."""
    order = np.lexsort((items, -scores))[:k]
    found, best = np.full((1, k), -1, np.int32), np.full((1, k), -np.inf, np.float32)
    found[0, : len(order)], best[0, : len(order)] = items[order], scores[order]
    return Ranking(found, best)

"""Faithfulness: whether the steps that a policy states cause its answer.

Two interventions on test queries with at least two history entries:

- *Evidence.* Comprehensiveness and sufficiency (DeYoung et al., ERASER, ACL 2020, section 4.2): how much of the
  best item's probability, and of the top-k list, is lost when the cited entries are ignored, or when nothing but
  them counts; against as many entries drawn at random. Cited are the ``ceil(share * length)`` entries with the
  largest `EditablePolicy.attribution`, ties in random order.
- *Intent.* The share of the top k that carries a label, before and after that label is assumed: each query's second
  most likely one, so an alternative that the policy itself holds possible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import PluginError
from reasonrec_core.evaluate.scores import Scores
from reasonrec_core.evaluate.significance import compare_all, summarise
from reasonrec_core.pipeline import EditedPolicy
from reasonrec_core.types import Bool, Edits, Float32, Float64, History, Int32, Int64, QueryBatch, Task

Progress = Callable[[int, int], None]

if TYPE_CHECKING:
    from scipy import sparse

SHARES = (0.2, 0.5)
DRAWS = 5
LISTED = 10
SHORTEST = 2
"""Entries that a history needs: of one entry, the cited and a random one are the same."""
CELLS = 1 << 20
"""Masses held at a time: answers list all that can be ranked."""


@dataclass(frozen=True)
class Effects:
    """What editing did to each of Q queries.

    Attributes:
        users: int32[Q].
        mass: float64[Q] probability of the best item of the unedited answer.
        cited: by `measure_name` float64[Q], what was lost when the cited evidence was removed (or kept alone).
        random: the same for as much random evidence, the mean over draws.
        before: by item field float64[Q], the share of the top k that carries the alternative label, unedited.
        after: the same after the label was assumed.
    """

    users: Int32
    mass: Float64
    cited: Mapping[str, Float64] = field(default_factory=dict)
    random: Mapping[str, Float64] = field(default_factory=dict)
    before: Mapping[str, Float64] = field(default_factory=dict)
    after: Mapping[str, Float64] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.users)


def measure_name(kind: str, of: str, share: float) -> str:
    """``comprehensiveness/mass/0.2``: ``kind`` also sufficiency, ``of`` also list."""
    return f"{kind}/{of}/{share:g}"


def choose_queries(queries: QueryBatch, wanted: int, seed: int) -> npt.NDArray[np.intp]:
    """Ascending positions of at most ``wanted`` queries with at least `SHORTEST` history entries, drawn at random."""
    fit = np.flatnonzero(queries.history.lengths >= SHORTEST)
    return np.sort(np.random.default_rng(seed).permutation(fit)[:wanted])


def measure_effects(
    policy: EditedPolicy,
    queries: QueryBatch,
    *,
    n_items: int,
    shares: Sequence[float] = SHARES,
    draws: int = DRAWS,
    k: int = LISTED,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> Effects:
    """Edit every query of ``queries`` and see what happens to its answer.

    Costs about ``2 * len(shares) * (1 + draws) + fields`` answers per query. What is drawn depends on the seed and
    the queries only. Memory: answers of `CELLS` items at a time.

    Args:
        policy: it must state the mass of its answers.
        queries: `Task.SEQUENTIAL` or `Task.DIRECT`, each with at least `SHORTEST` history entries.
        n_items: size of the catalogue.
        shares: of the history that is cited.
        draws: of random evidence, averaged.
        k: length of the lists that are compared.
        seed: of the draws.
        progress: called with the queries done and all.

    Raises:
        PluginError: an answer states no mass.
    """
    width = n_items if queries.candidates is None else queries.candidates.shape[1]
    rng = np.random.default_rng([seed, 1])
    # Per entry: one number that breaks ties of attribution, and one per draw of random evidence.
    keys = rng.random((1 + draws, len(queries.history.items)))
    members = {name: policy.membership(name) for name, known in policy.labels.items() if len(known) > 1}
    parts: list[Effects] = []
    for start, batch in replace(queries, k=width).chunks(max(1, min(256, CELLS // max(width, 1)))):
        low, high = queries.history.indptr[[start, start + len(batch)]]
        whole = _answer(policy, batch, None, k)
        effects = _evidence(policy, batch, whole, keys[:, low:high], shares, k)
        before, after = _intent(policy, batch, whole, members, k)
        parts.append(replace(effects, before=before, after=after))
        progress(start + len(batch), len(queries))
    return _concatenate_effects(parts, queries)


@dataclass(frozen=True)
class _Answer:
    """All that can be ranked, int32[B, width], its mass float64[B, width], and the first k items int32[B, k]."""

    items: Int32
    mass: Float64
    listed: Int32

    def mass_of(self, items: Int32) -> Float64:
        """float64[B]: the mass of one item per query, 0 where it is not ranked."""
        return np.asarray(np.where(self.items == items[:, None], self.mass, 0.0).sum(axis=1))

    def kept(self, listed: Int32) -> Float64:
        """float64[B]: the share of another answer's list that is in this one's; 1 for an empty list."""
        real = listed >= 0
        found = (listed[:, :, None] == self.listed[:, None, :]).any(axis=2) & real
        return np.asarray((found.sum(axis=1) + (~real.any(axis=1))) / np.maximum(real.sum(axis=1), 1))


def _answer(policy: EditedPolicy, batch: QueryBatch, edits: Edits | None, k: int) -> _Answer:
    found = policy.deliberate(batch, edits)
    if found.ranking is None or found.mass is None:
        raise PluginError(
            "the answer gives no probabilities (mass)",
            fix="An editable policy must give the probability (mass) of what it ranks.",
        )
    return _Answer(found.ranking.items, found.mass.astype(np.float64), found.ranking.items[:, :k])


def _evidence(
    policy: EditedPolicy, batch: QueryBatch, whole: _Answer, keys: Float64, shares: Sequence[float], k: int
) -> Effects:
    """What is lost without, and with nothing but, cited and random evidence."""
    best, attribution = whole.listed[:, 0], policy.attribution(batch)
    mass = whole.mass_of(best)
    cited: dict[str, Float64] = {}
    random: dict[str, Float64] = {}

    def lost(chosen: Bool) -> dict[tuple[str, str], Float64]:
        found: dict[tuple[str, str], Float64] = {}
        for kind, relevance in (("comprehensiveness", ~chosen), ("sufficiency", chosen)):
            answer = _answer(policy, batch, Edits(relevance.astype(np.float32)), k)
            found[kind, "mass"] = mass - answer.mass_of(best)
            found[kind, "list"] = 1.0 - answer.kept(whole.listed)
        return found

    for share in shares:
        size = np.ceil(share * batch.history.lengths - 1e-9).astype(np.int64)
        for (kind, of), value in lost(find_largest(attribution, keys[0], batch.history, size)).items():
            cited[measure_name(kind, of, share)] = value
        drawn = [lost(find_largest(np.zeros_like(attribution), key, batch.history, size)) for key in keys[1:]]
        for kind, of in drawn[0]:
            random[measure_name(kind, of, share)] = np.mean([each[kind, of] for each in drawn], axis=0)
    return Effects(batch.users, mass, cited, random)


def find_largest(values: Float32, ties: Float64, history: History, size: Int64) -> Bool:
    """bool[L]: each row's ``size`` (int64[B]) entries with the largest values; among equal ones by ``ties``."""
    order = np.lexsort((ties, -values, history.rows))
    place = np.arange(len(order)) - np.repeat(history.indptr[:-1] - history.indptr[0], history.lengths)
    chosen = np.zeros(len(order), dtype=np.bool_)
    chosen[order] = place < size[history.rows]
    return chosen


def _intent(
    policy: EditedPolicy, batch: QueryBatch, whole: _Answer, members: Mapping[str, sparse.csr_matrix], k: int
) -> tuple[dict[str, Float64], dict[str, Float64]]:
    """The share of the list that carries the second most likely label of each field, before and after it is assumed."""
    before, after = {}, {}
    beliefs = policy.infer_labels(batch) if members else {}
    for name, member in members.items():
        label = np.argsort(-beliefs[name], axis=1, kind="stable")[:, 1].astype(np.int32)
        before[name] = _carrying(whole.listed, member, label)
        edited = _answer(policy, batch, Edits(None, {name: label}), k)
        after[name] = _carrying(edited.listed, member, label)
    return before, after


def _carrying(listed: Int32, member: sparse.csr_matrix, label: Int32) -> Float64:
    """float64[B]: the share of the items int32[B, k] that carry each query's label."""
    real = listed >= 0
    at = np.maximum(listed, 0).ravel()
    carried = np.asarray(member[at, np.repeat(label, listed.shape[1])]).reshape(listed.shape) > 0
    return np.asarray((carried & real).sum(axis=1) / np.maximum(real.sum(axis=1), 1))


def _concatenate_effects(parts: Sequence[Effects], queries: QueryBatch) -> Effects:
    def join(name: str) -> dict[str, Float64]:
        return {key: np.concatenate([getattr(p, name)[key] for p in parts]) for key in getattr(parts[0], name)}

    mass = np.concatenate([part.mass for part in parts])
    return Effects(queries.users, mass, join("cited"), join("random"), join("before"), join("after"))


def summarise_effects(effects: Effects, *, seed: int, resamples: int) -> dict[str, Any]:
    """As JSON values: how many queries, the best item's mean mass, and two tables.

    ``evidence`` has a row per measure with what was lost by the ``cited`` and by ``random`` evidence; ``edits`` one
    per item field with the share of the list that carries the label ``before`` and ``after``. Values have 95 %
    intervals; ``difference`` (cited - random, after - before) has the interval and p-value of the paired bootstrap,
    ``p_corrected`` is Holm's within its table.
    """
    mass = summarise(_scores(effects.users, {"mass": effects.mass}), seed=seed, resamples=resamples)["mass"]
    evidence = []
    for name, row in summarise_pairs(
        effects.users, ("cited", effects.cited), ("random", effects.random), seed, resamples
    ):
        kind, of, share = name.split("/")
        evidence.append({"measure": kind, "of": of, "share": float(share), **row})
    edits = [
        {"field": name, **row}
        for name, row in summarise_pairs(
            effects.users, ("after", effects.after), ("before", effects.before), seed, resamples
        )
    ]
    return {"n": len(effects), "mass": mass, "evidence": evidence, "edits": edits}


def summarise_pairs(
    users: Int32,
    ours: tuple[str, Mapping[str, Float64]],
    theirs: tuple[str, Mapping[str, Float64]],
    seed: int,
    resamples: int,
) -> list[tuple[str, dict[str, Any]]]:
    """Per measure both values with their intervals, and their paired comparison; p is corrected within the table."""
    if not ours[1]:
        return []
    systems = {name: _scores(users, values) for name, values in (ours, theirs)}
    values = {name: summarise(scores, seed=seed, resamples=resamples) for name, scores in systems.items()}
    made = compare_all(systems, theirs[0], list(ours[1]), seed=seed, resamples=resamples)
    return [
        (
            each.metric,
            {name: values[name][each.metric] for name in systems}
            | {"difference": each.difference, "low": each.low, "high": each.high}
            | {"p": each.p, "p_corrected": each.p_corrected},
        )
        for each in made
    ]


def _scores(users: Int32, values: Mapping[str, Float64]) -> Scores:
    return Scores(Task.SEQUENTIAL, users, dict(values))

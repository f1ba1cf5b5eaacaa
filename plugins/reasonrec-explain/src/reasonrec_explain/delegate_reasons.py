"""Faithfulness of what delegates name as their reasons: removing it moves the item more than as much other history.

Each query's best item, how far it falls without the history entries of the largest shares (`Delegate.attribute`), and
without as many entries drawn at random; in standard deviations of all scores, since scores of shorter histories may be
smaller altogether.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reasonrec_core.components import Kind, standardise
from reasonrec_core.pipeline import Agent
from reasonrec_core.types import Bool, Float32, Float64, History, Int32, QueryBatch, indptr_of
from reasonrec_core.validation import check_scores
from reasonrec_explain.faithfulness import (
    DRAWS,
    SHARES,
    Effects,
    Progress,
    find_largest,
    measure_name,
    summarise_pairs,
)

SAMPLED = 200
"""Queries, at most: a delegate without a way of its own is asked again for every entry of their histories."""
CHUNK = 64


def measure_delegate(
    agent: Agent,
    label: str,
    queries: QueryBatch,
    *,
    shares: Sequence[float] = SHARES,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> Effects | None:
    """What happens to the best item of each query; None where the delegate names nothing of any history.

    Args:
        agent: with the delegate.
        label: of the delegate.
        queries: each with at least two history entries.
        shares: of the history that is removed.
        draws: of random entries, averaged.
        seed: of the draws.
        progress: called with the queries done and all.
    """
    keys = np.random.default_rng([seed, 2]).random((1 + draws, len(queries.history.items)))
    cited: dict[str, list[Float64]] = {measure_name("comprehensiveness", "standing", share): [] for share in shares}
    random: dict[str, list[Float64]] = {name: [] for name in cited}
    whole, named = list[Float64](), False
    for start, batch in queries.chunks(CHUNK):
        low, high = queries.history.indptr[[start, start + len(batch)]]
        items = agent.delegate(label, replace(batch, k=1), agent.observe(batch)).items
        own = agent.attribute(label, batch, items)[:, 0]
        named |= bool(own.any())
        before = _find_standing(agent, label, batch, items)
        whole.append(before)
        for share, name in zip(shares, cited, strict=True):
            size = np.ceil(share * batch.history.lengths - 1e-9).astype(np.int64)

            def fall(chosen: Bool) -> Float64:
                return before - _find_standing(agent, label, remove_entries(batch, chosen), items)  # noqa: B023

            cited[name].append(fall(find_largest(own, keys[0, low:high], batch.history, size)))
            nothing = np.zeros_like(own)
            drawn = [fall(find_largest(nothing, key[low:high], batch.history, size)) for key in keys[1:]]
            random[name].append(np.mean(drawn, axis=0))
        progress(start + len(batch), len(queries))
    if not named:
        return None
    joined = ({name: np.concatenate(parts) for name, parts in each.items()} for each in (cited, random))
    return Effects(queries.users, np.concatenate(whole), *joined)


def remove_entries(batch: QueryBatch, chosen: Bool) -> QueryBatch:
    """The queries without bool[L] of their history entries."""
    history, kept = batch.history, ~chosen
    lengths = np.bincount(history.rows[kept], minlength=len(history))
    return replace(
        batch, history=History(indptr_of(lengths), history.items[kept], history.times[kept], history.skipped)
    )


def summarise_delegates(found: dict[str, Effects | None], *, seed: int, resamples: int) -> list[dict[str, Any]]:
    """A row per delegate and share: mean fall without what is named (``cited``) and without ``random`` entries, paired.

    ``n`` queries; a delegate that names nothing has ``none``: its answers do not rest on histories.
    """
    rows: list[dict[str, Any]] = []
    for label, effects in found.items():
        if effects is None:
            rows.append({"system": label, "none": True})
            continue
        for name, row in summarise_pairs(
            effects.users, ("cited", effects.cited), ("random", effects.random), seed, resamples
        ):
            rows.append({"system": label, "share": float(name.rpartition("/")[2]), "n": len(effects), **row})
    return rows


def _find_standing(agent: Agent, label: str, batch: QueryBatch, items: Int32) -> Float64:
    """float64[B]: how far above all others each query's item stands."""
    named = agent.delegates[label]
    with agent.registry.guard(Kind.DELEGATE, named.name, "score"):
        scores: Float32 = check_scores(named.part.score(batch, agent.observe(batch)), batch, agent.n_items)
    return standardise(scores, batch, items)[:, 0].astype(np.float64)

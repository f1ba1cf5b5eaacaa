"""A small world where taste has a part that only pictures show and a part that only text shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.types import Cases, Float32, History, Interactions, Observation, QueryBatch, Task

KINDS = 6


@dataclass(frozen=True)
class ShopWorld:
    """What a policy may learn from, test cases, and which look and theme each item has."""

    fit: FitData
    test: Cases
    looks: np.ndarray
    themes: np.ndarray

    def observe(self, batch: QueryBatch) -> Observation:
        """What can be seen when ``batch`` is answered."""
        assert self.fit.horizon is not None
        return replace(self.fit.observation, horizon=self.fit.horizon(batch))

    def without(self, *modalities: str) -> ShopWorld:
        """The same world, some of its features gone."""
        seen = self.fit.observation
        features = {m: v for m, v in seen.features.items() if m not in modalities}
        present = {m: v for m, v in seen.present.items() if m not in modalities}
        return replace(self, fit=replace(self.fit, observation=replace(seen, features=features, present=present)))


def make_shop(seed: int = 0, users: int = 500, items: int = 240, cold: int = 12) -> ShopWorld:
    """Users love one look and one theme; the last ``cold`` items are in no interaction but like the others."""
    rng = np.random.default_rng(seed)
    looks, themes = rng.integers(0, KINDS, items), rng.integers(0, KINDS, items)
    table = pa.table(
        {
            "item_id": [f"i{i}" for i in range(items)],
            "title": [f"Thing {i}" for i in range(items)],
            "shelf": [f"shelf {t // 2}" if i % 10 else None for i, t in enumerate(themes)],
            "story": ["A long story of many words that nobody would take for the name of a kind"] * items,
        }
    )
    rows = []
    for _ in range(users):
        utility = 2.2 * (looks == rng.integers(KINDS)) + 2.2 * (themes == rng.integers(KINDS)) + rng.gumbel(size=items)
        utility[items - cold :] = -np.inf
        rows.append(np.argsort(-utility)[: int(rng.integers(4, 12))])
    log = [Interactions(*_flat([row[: len(row) - drop] for row in rows])) for drop in (2, 1)]
    cases = [_cases([row[: len(row) - drop] for row in rows], [row[-drop] for row in rows]) for drop in (2, 1)]
    scale = EvidenceHorizonScale.fit(np.bincount(log[0].users))
    features = {"text": _noisy(themes, rng), "image": _noisy(looks, rng)}
    present = {m: np.isfinite(v[:, 0]) for m, v in features.items()}
    seen = Observation(features, present, scale(cases[0].queries))
    fit = FitData(Catalog(table), users, log[0], cases[0], seen, horizon=scale)
    return ShopWorld(fit, cases[1], looks, themes)


def ndcg(items: np.ndarray, cases: Cases) -> np.ndarray:
    """float64[B]: NDCG@10 of each query."""
    hit = items[:, :10] == cases.targets[:, None]
    return np.where(hit.any(axis=1), 1 / np.log2(2.0 + hit.argmax(axis=1)), 0.0)


def _noisy(kinds: np.ndarray, rng: np.random.Generator) -> Float32:
    """PreferenceDirections of the kinds, in noise, two items missing."""
    directions = rng.normal(size=(KINDS, 16))
    values = (directions[kinds] + 0.5 * rng.normal(size=(len(kinds), 16))).astype(np.float32)
    values[rng.integers(0, len(kinds), 2)] = np.nan
    return values


def _flat(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lengths = [len(row) for row in rows]
    users = np.repeat(np.arange(len(rows), dtype=np.int32), lengths)
    return users, np.concatenate(rows).astype(np.int32), np.concatenate([np.arange(n) for n in lengths])


def _cases(histories: list[np.ndarray], targets: list[int]) -> Cases:
    history = History.of([row.tolist() for row in histories])
    queries = QueryBatch(Task.SEQUENTIAL, np.arange(len(histories), dtype=np.int32), history)
    return Cases(queries, np.arange(len(targets) + 1, dtype=np.int64), np.array(targets, np.int32))

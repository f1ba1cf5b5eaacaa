"""Estimated against true uncertainty, on a synthetic shop whose choice probabilities are known.

    python benchmarks/estimators_synth.py --seeds 0 1 --out benchmarks/results/estimators_synth.md

A shop is made (no pictures are looked at: items are known by their ids and text fields), policies are fitted to its
training part, estimators to validation. Spearman's rank correlation over test queries: of each estimator's total with
the entropy of the true probabilities, and with the true probability that the next item is not among the ten that the
policy recommends. Then evidence is taken away: policies are fitted to the histories of fewer customers (the same ones
are asked), and asked with only the newest items of a history. Epistemic uncertainty should fall with evidence,
aleatoric uncertainty should not. Needs reasonrec-conformal, -evidential, -chain and -mc-dropout.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from reasonrec_datasets import build_dataset, import_path
from reasonrec_datasets.synth import SynthConfig, make_catalogue, oracle_scores
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from reasonrec_core.components import FitData, Kind
from reasonrec_core.data import SplitConfig, make_split
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, Float32, History, Observation, QueryBatch, indptr_of

TOP, CHUNK = 10, 256
SHARES = (0.1, 1.0)
KEPT = (1, 2, 4, 8)
SHOP: dict[str, Any] = {"users": 2500, "items": 200, "mean_length": 10.0, "image_size": 32}
SMALL: dict[str, Any] = {
    "network": {"dimensions": 32, "layers": 1, "heads": 2},
    "training": {"epochs": 10, "device": "cpu"},
}
POLICIES: dict[str, tuple[str, dict[str, Any]]] = {
    "profile": ("profile", {}),
    "chain": ("chain", SMALL),
    "chain, 3 networks": ("chain", {**SMALL, "network": {**SMALL["network"], "members": 3}}),
}
ESTIMATORS = ("evidence-horizon", "stated-confidence", "entropy", "margin", "conformal", "evidential", "mc-dropout")
Parts = dict[str, np.ndarray]


@dataclass(frozen=True)
class World:
    """A shop: what may be learned from, what is asked, and P of every item, float64[B, n]."""

    fit: FitData
    test: Cases
    truth: np.ndarray


def make_world(folder: Path, seed: int) -> World:
    make_catalogue(folder / "shop", SynthConfig(seed=seed, **SHOP))
    dataset = build_dataset(import_path(folder / "shop"), folder / "dataset", seed=seed)
    split = make_split(dataset, SplitConfig(seed=seed))
    horizon = EvidenceHorizonScale.fit(np.bincount(split.train.users, minlength=dataset.n_users).astype(np.int64))
    seen = Observation({}, {}, horizon(split.valid.queries))
    fit = FitData(dataset.catalog, dataset.n_users, split.train, split.valid, seen, seed=seed, horizon=horizon)
    asked = split.test.take(np.flatnonzero(split.test.queries.users < SHARES[0] * dataset.n_users))
    return World(fit, asked, np.exp(oracle_scores(folder / "shop", dataset, asked.queries).astype(np.float64)))


def smaller(data: FitData, share: float) -> FitData:
    """As if only the first customers had been there; the scale of the evidence horizon stays."""
    assert data.valid is not None
    most = share * data.n_users
    rows = np.flatnonzero(data.valid.queries.users < most)
    train = data.train.take(data.train.users < most)
    return replace(data, train=train, valid=data.valid.take(rows), observation=data.observation.take(rows))


def newest(batch: QueryBatch, most: int) -> QueryBatch:
    """With at most so many items of history."""
    history, kept = batch.history, batch.history.ages < most
    lengths = np.minimum(history.lengths, most)
    indptr = indptr_of(lengths)
    return replace(batch, history=History(indptr, history.items[kept], history.times[kept]))


class Fitted:
    """A policy and its estimators."""

    def __init__(self, registry: Registry, name: str, settings: dict[str, Any], data: FitData) -> None:
        self.data, self.policy = data, registry.create(Kind.POLICY, name, settings)
        self.policy.fit(data)
        self.estimators: dict[str, Any] = {}
        for label in ESTIMATORS:
            if label == "mc-dropout" and name != "chain":
                continue
            estimator: Any = registry.create(Kind.UNCERTAINTY, label, {})
            estimator.attach(self.policy)
            estimator.fit(data)
            self.estimators[label] = estimator

    def ask(self, batch: QueryBatch) -> tuple[np.ndarray, Parts]:
        """int32[B, 10] items, and what the estimators say by ``estimator: part``."""
        items, said = [], dict[str, list[Float32]]()
        for _, piece in replace(batch, k=TOP).chunks(CHUNK):
            assert self.data.horizon is not None
            seen = replace(self.data.observation, horizon=self.data.horizon(piece))
            answer = self.policy.deliberate(piece, seen)
            items.append(answer.ranking.items)
            for label, estimator in self.estimators.items():
                told = estimator.estimate(piece, seen, None if estimator.stage == "before" else answer)
                for part in ("total", "epistemic", "aleatoric"):
                    if getattr(told, part) is not None:
                        said.setdefault(f"{label}: {part}", []).append(getattr(told, part))
        return np.concatenate(items), {name: np.concatenate(parts) for name, parts in said.items()}


def measure(seed: int, registry: Registry) -> dict[str, Any]:
    """All of it for one shop."""
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder), seed)
    queries = world.test.queries
    long = np.flatnonzero(queries.history.lengths >= max(KEPT))
    found: dict[str, Any] = {"queries": len(world.test), "long histories": len(long), "correlation": {}}
    found |= {"customers": {}, "newest": {}}
    for label, (name, settings) in POLICIES.items():
        for share in SHARES:
            fitted = Fitted(registry, name, settings, smaller(world.fit, share))
            items, said = fitted.ask(queries)
            means = {part: float(values.mean()) for part, values in said.items()}
            means["true P(miss)"] = float(misses(world, items).mean())
            found["customers"].setdefault(label, {})[str(share)] = means
        found["correlation"][label] = correlations(world, items, said)
        for most in KEPT:
            _, said = fitted.ask(newest(queries.take(long), most))
            told = {part: float(values.mean()) for part, values in said.items()}
            found["newest"].setdefault(label, {})[str(most)] = told
        print(seed, label, json.dumps(found["correlation"][label]), flush=True)
    return found


def misses(world: World, items: np.ndarray) -> np.ndarray:
    """float64[B]: the true probability that none of the recommended items is next."""
    missed: np.ndarray = 1 - np.take_along_axis(world.truth, np.maximum(items, 0), axis=1).sum(axis=1)
    return missed


def correlations(world: World, items: np.ndarray, said: Parts) -> dict[str, dict[str, float]]:
    """Spearman's of each part with the true entropy and the true P(miss)."""
    safe = np.maximum(world.truth, 1e-300)
    entropy, missed = -(world.truth * np.log(safe)).sum(axis=1), misses(world, items)
    return {
        part: {"entropy": rho(values, entropy), "P(miss)": rho(values, missed)} for part, values in said.items()
    } | {"true entropy": {"entropy": 1.0, "P(miss)": rho(entropy, missed)}}


def rho(a: np.ndarray, b: np.ndarray) -> float:
    return float(spearmanr(a, b).statistic) if np.ptp(a) > 0 else 0.0


def tables(results: list[dict[str, Any]]) -> Iterator[str]:
    """Means over shops; the smallest and largest of the correlations."""
    yield "## Rank correlation with the truth"
    for label in POLICIES:
        yield from ("", f"### {label}", "", "| estimate | with true P(miss) | with true entropy |", "|---|---|---|")
        for part in results[0]["correlation"][label]:
            cells = []
            for truth in ("P(miss)", "entropy"):
                values = [r["correlation"][label][part][truth] for r in results]
                cells.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
            yield f"| {part} | {' | '.join(cells)} |"
    for key, title, steps in (
        ("customers", "Fewer customers to learn from (share of all)", SHARES),
        ("newest", "Fewer items of history (queries with at least eight)", KEPT),
    ):
        yield from ("", f"## {title}")
        for label in POLICIES:
            yield from ("", f"### {label}", "", f"| mean | {' | '.join(map(str, steps))} | last less first |")
            yield "|---" * (len(steps) + 2) + "|"
            for part in results[0][key][label][str(steps[-1])]:
                means = np.array([[r[key][label][str(step)][part] for step in steps] for r in results])
                change = means[:, -1] - means[:, 0]
                span = f"{change.mean():+.4f} ({change.min():+.4f} to {change.max():+.4f})"
                yield f"| {part} | {' | '.join(f'{v:.4f}' for v in means.mean(axis=0))} | {span} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        results = [measure(seed, Registry.discover()) for seed in options.seeds]
    command = f"python benchmarks/estimators_synth.py --seeds {' '.join(map(str, options.seeds))}"
    head = [
        "# Estimated and true uncertainty",
        "",
        f"`{command}`, {date.today()}, Python {platform.python_version()}, {platform.machine()}. "
        f"{SHOP['users']} customers, {SHOP['items']} items, {SHOP['mean_length']:.0f} choices each on average; "
        f"{results[0]['queries']} test queries per shop. Means over shops, in brackets the smallest and the largest.",
        "",
    ]
    text = "\n".join([*head, *tables(results), ""])
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""What the delegate `click-rate` gains from feedback: a log's last fifth replayed in the order of time.

    python benchmarks/click_rate.py data/ml-100k data/hm-week --cache runs/cache

The first four fifths of the interactions are the log that everything is fitted to. The rest come one after another: the
delegate shows ten items to the user of each, without those that the user has, and what the user chose next is compared
with the list. Every 50 requests what became of these lists is learned: only whether what was shown was chosen, as a
server sees it. Lists are judged before anything of them is learned (prequential). The first half of the replay chooses
among the settings by NDCG@10, the second is reported. Beside it `popularity`, still and counting every choice, also of
what was not shown, and the learned state with a reward that is drawn at random, which must gain nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from reasonrec_baselines.click_rate import ClickRate

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate, FitData
from reasonrec_core.data import Dataset, open_or_import
from reasonrec_core.types import (
    Float32,
    Float64,
    History,
    Int32,
    Interactions,
    Observation,
    QueryBatch,
    Task,
)

K, CHUNK, LOGGED, RESAMPLES = 10, 50, 0.8, 2000
MEMORIES, EXPLORATIONS = (None, 1000, 5000), (0.0, 1.0)
D = TypeVar("D", bound=Delegate[Any])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--cache", type=Path, required=True)
    chosen = parser.parse_args()
    for path in chosen.data:
        report(path.name, open_or_import(path, chosen.cache, seed=0))


def report(name: str, dataset: Dataset) -> None:
    """A table for one log."""
    log, batches = divide(dataset)
    half = sum(len(batch) for batch, _ in batches) // 2
    rows: dict[str, Float64] = {}
    for label, still in (("popularity", True), ("popularity, counts every choice", False)):
        rows[label] = replay(fit(Popularity(Popularity.Config()), dataset, log), batches, None if still else count)
    made, gains, worth = {}, dict[str, Float64](), dict[str, float]()
    for log_half_life in (None, float(np.ptp(log.times)) / 10):
        shared: dict[str, Any] = {"half_life": log_half_life}
        what = "whole log" if log_half_life is None else "recent log"
        rows[f"click-rate, {what}, learns nothing"] = replay(fit(rate(**shared), dataset, log), batches, None)
        for memory in MEMORIES:
            for exploration in EXPLORATIONS:
                part = fit(rate(**shared, memory=memory, exploration=exploration), dataset, log)
                made[what, memory, exploration] = replay(part, batches, observe)
        mine = [key for key in made if key[0] == what]
        best = max(mine, key=lambda key: made[key][:half, 1].mean())
        rows[f"click-rate, {what}, learns: memory {best[1]}, exploration {best[2]:g}"] = made[best]
        part = fit(rate(**shared, memory=best[1], exploration=best[2]), dataset, log)
        rows[f"the same, {what}, rewards at random"] = replay(part, batches, Noise())
        gains[what] = made[best][half:, 1] - rows[f"click-rate, {what}, learns nothing"][half:, 1]
        worth[what] = part._strength
    print(f"\n{name}: {len(log):,} logged, {2 * half:,} replayed, {dataset.n_items:,} items")
    print("\n| system | HR@10 | NDCG@10 | first half, NDCG@10 |\n|---|---|---|---|")
    for label, values in rows.items():
        hit, ndcg = values[half:].mean(axis=0)
        print(f"| {label} | {hit:.4f} | {ndcg:.4f} | {values[:half, 1].mean():.4f} |")
    for what, gain in gains.items():
        drawn = np.random.default_rng(0).integers(0, len(gain), (RESAMPLES, len(gain)))
        low, high = np.quantile(gain[drawn].mean(axis=1), [0.025, 0.975])
        print(f"\nLearning against not, {what}, NDCG@10: {gain.mean():+.4f}, {low:+.4f} to {high:+.4f}", end="; ")
        print(f"the prior is worth {worth[what]:,.0f} showings", flush=True)


def divide(dataset: Dataset) -> tuple[Interactions, list[tuple[QueryBatch, Int32]]]:
    """The log, and what is replayed: requests with the choice that followed, not of what the user had."""
    every = dataset.interactions
    order = np.argsort(every.times, kind="stable")
    cut = int(LOGGED * len(order))
    had: dict[int, list[int]] = {}
    for row in order[:cut].tolist():
        had.setdefault(int(every.users[row]), []).append(int(every.items[row]))
    asked: list[tuple[int, list[int], int]] = []
    for row in order[cut:].tolist():
        user, item = int(every.users[row]), int(every.items[row])
        history = had.setdefault(user, [])
        if item not in history:
            asked.append((user, list(history), item))
        history.append(item)
    batches = []
    for start in range(0, len(asked), CHUNK):
        users, histories, items = zip(*asked[start : start + CHUNK], strict=True)
        batch = QueryBatch(Task.SEQUENTIAL, np.array(users, np.int32), History.of(histories), K)
        batches.append((batch, np.array(items, np.int32)))
    return every.take(np.sort(order[:cut])), batches


def rate(**settings: Any) -> ClickRate:
    """It, with settings."""
    return ClickRate(ClickRate.Config.model_validate(settings))


def fit(part: D, dataset: Dataset, log: Interactions) -> D:
    """It, fitted to the log."""
    part.fit(FitData(dataset.catalog, dataset.n_users, log, None, Observation({}, {}, np.empty(0, np.float32))))
    return part


def replay(part: Delegate[Any], batches: list[tuple[QueryBatch, Int32]], learn: Any) -> Float64:
    """float64[requests, 2]: whether the choice was in the list, and its NDCG@10."""
    found = []
    for batch, chosen in batches:
        items = part.recommend(batch, Observation({}, {}, np.full(len(batch), 0.5, np.float32))).items
        hit = items == chosen[:, None]
        found.append(np.stack([hit.any(axis=1), (hit / np.log2(np.arange(2, K + 2))).sum(axis=1)], axis=1))
        if learn is not None:
            learn(part, batch, items, hit.astype(np.float32), chosen)
    return np.concatenate(found).astype(np.float64)


def observe(part: Any, batch: QueryBatch, items: Int32, rewards: Float32, chosen: Int32) -> None:
    """As a server: what became of what was shown."""
    part.observe(batch, items, rewards)


def count(part: Any, batch: QueryBatch, items: Int32, rewards: Float32, chosen: Int32) -> None:
    """Every choice."""
    order = np.argsort(batch.users, kind="stable")
    part.update(Interactions(batch.users[order], chosen[order], np.zeros(len(batch), np.int64)))


class Noise:
    """As many rewards, of shown items at random."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, part: Any, batch: QueryBatch, items: Int32, rewards: Float32, chosen: Int32) -> None:
        """Learn them."""
        part.observe(batch, items, self.rng.permuted(rewards, axis=None))


if __name__ == "__main__":
    main()

"""Full-ranking evaluation of 100,000 users x 100,000 items with 10 million interactions: does memory stay small?

    python benchmarks/full_ranking_memory.py

Every user is evaluated against every item (1.3 TFLOP at d = 64). A matrix of all scores would take 37 GiB; what is
measured is the peak resident memory of this process, data and factors included.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np

from reasonrec_core.components import Delegate, Empty
from reasonrec_core.evaluate import evaluate_ranking, summarise
from reasonrec_core.types import Cases, Float32, History, Observation, QueryBatch, Task, indptr_of


class Factors(Delegate[Empty]):
    """A matrix factorisation: user and item vectors, float32[., 64]."""

    def __init__(self, users: Float32, items: Float32) -> None:
        super().__init__(Empty())
        self.users, self.items = users, items

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        return self.users[batch.users] @ self.items.T


def synthetic(n_users: int, n_items: int, n_interactions: int, seed: int) -> tuple[Cases, np.ndarray]:
    """Leave-one-out cases of a log with Zipf-like popularity, and the items' training counts.

    A user's items are distinct: a walk over the catalogue from a random start with a random stride.
    """
    rng = np.random.default_rng(seed)
    lengths = np.bincount(rng.integers(0, n_users, n_interactions - 2 * n_users), minlength=n_users) + 2
    row = np.repeat(np.arange(n_users), lengths)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    start, stride = rng.integers(0, n_items, n_users), rng.integers(1, max(n_items // lengths.max(), 2), n_users)
    skewed = (((start[row] + stride[row] * place) % n_items) / n_items) ** 1.5  # monotone, so still distinct mostly
    items = (skewed * n_items).astype(np.int32)
    last = np.cumsum(lengths) - 1
    keep = np.ones(len(items), np.bool_)
    keep[last] = False
    targets, items, row = items[last], items[keep], row[keep]
    items, row = items[items != targets[row]], row[items != targets[row]]
    indptr = indptr_of(np.bincount(row, minlength=n_users))
    history = History(indptr, items, np.zeros(len(items), np.int64))
    queries = QueryBatch(Task.SEQUENTIAL, np.arange(n_users, dtype=np.int32), history)
    return Cases(queries, np.arange(n_users + 1), targets), np.bincount(items, minlength=n_items)


def peak() -> float:
    """Peak resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--interactions", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    cases, counts = synthetic(arguments.users, arguments.items, arguments.interactions, arguments.seed)
    rng = np.random.default_rng(arguments.seed + 1)
    model = Factors(
        rng.standard_normal((arguments.users, 64), dtype=np.float32),
        rng.standard_normal((arguments.items, 64), dtype=np.float32),
    )
    before = peak()
    nothing = Observation({}, {}, np.zeros(0, np.float32))
    started = time.perf_counter()
    scores = evaluate_ranking(
        lambda batch: model.recommend(batch, nothing),
        cases,
        (5, 10),
        n_items=arguments.items,
        item_counts=counts,
        progress=lambda done, total, label: print(f"\r{done}/{total}", end="", flush=True),
    )
    evaluated = time.perf_counter() - started
    started = time.perf_counter()
    summary = summarise(scores, seed=arguments.seed)
    report = {
        "users": len(cases),
        "items": arguments.items,
        "history entries": len(cases.queries.history.items),
        "HR@10": summary["HR@10"],
        "seconds": {"evaluate": round(evaluated, 1), "intervals": round(time.perf_counter() - started, 1)},
        "peak GiB": {"data and factors": round(before, 2), "all": round(peak(), 2)},
    }
    print("\r" + json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

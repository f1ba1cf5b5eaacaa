"""Full-ranking evaluation of a matrix factorisation: the toolkit against bare numpy, interleaved in one process.

    python benchmarks/full_ranking.py ml-1m amazon-beauty --data ../shared/data --rounds 15

Every variant does the same work for every test user of a leave-one-out split: scores of d = 64 factors, history
masked, the best 10, HR and NDCG at 5 and 10. Before anything is timed, all variants must agree on every user's
target rank. Factors are a truncated SVD of the training matrix, so that scores are those of a real model.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, Empty
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.types import Cases, Float32, Observation, QueryBatch

CHUNK, K = 256, 10


class Factors(Delegate[Empty]):
    """A matrix factorisation: user and item vectors, float32[., 64]."""

    def __init__(self, users: Float32, items: Float32) -> None:
        super().__init__(Empty())
        self.users, self.items = users, items

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        return self.users[batch.users] @ self.items.T


def factorise(dataset: Dataset, cases: Cases, seed: int) -> Factors:
    """64 singular vectors of the users' histories."""
    history = cases.queries.history
    matrix = sparse.csr_matrix(
        (np.ones(len(history.items), np.float32), (history.rows, history.items)), shape=(len(cases), dataset.n_items)
    )
    u, s, vt = svds(matrix, k=64, random_state=seed)
    users = np.zeros((dataset.n_users, 64), np.float32)
    users[cases.queries.users] = u * s
    return Factors(users, np.ascontiguousarray(vt.T))


def by_argpartition(scores: Float32) -> np.ndarray:
    """The top ten as most people write it."""
    best = np.argpartition(scores, -K, axis=1)[:, -K:]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
    return np.take_along_axis(best, order, axis=1)


def by_argmax(scores: Float32) -> np.ndarray:
    """The top ten by ten sweeps for the maximum: the fastest few lines of numpy that we found."""
    rows = np.arange(len(scores))
    best = np.empty((len(scores), K), np.intp)
    for place in range(K):
        best[:, place] = scores.argmax(axis=1)
        scores[rows, best[:, place]] = -np.inf
    return best


def bare(model: Factors, cases: Cases, top: Callable[[Float32], np.ndarray], threads: int = 1) -> np.ndarray:
    """int[B] rank of each target, 0 where it is below 10, and the metrics; as little as numpy can do."""
    users, history, targets = cases.queries.users, cases.queries.history, cases.targets
    ranks = np.zeros(len(cases), np.int64)

    def work(start: int) -> None:
        stop = min(start + CHUNK, len(users))
        scores = model.users[users[start:stop]] @ model.items.T
        low, high = history.indptr[start], history.indptr[stop]
        rows = np.repeat(np.arange(stop - start), np.diff(history.indptr[start : stop + 1]))
        scores[rows, history.items[low:high]] = -np.inf
        hit = top(scores) == targets[start:stop, None]
        ranks[start:stop] = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, 0)

    starts = range(0, len(users), CHUNK)
    if threads == 1:
        for start in starts:
            work(start)
    else:
        with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, starts))
    for k in (5, 10):
        within = (ranks > 0) & (ranks <= k)
        within.mean(), (within / np.log2(ranks + 1.0, where=ranks > 0, out=np.ones(len(ranks)))).mean()
    return ranks


def ours(model: Factors, cases: Cases, n_items: int, threads: int = 2) -> np.ndarray:
    """The toolkit's evaluation; int32[B] rank of each target."""
    observation = Observation({}, {}, np.zeros(0, np.float32))
    scores = evaluate_ranking(
        lambda batch: model.recommend(batch, observation), cases, (5, 10), n_items=n_items, threads=threads
    )
    assert scores.rank is not None
    return scores.rank


def measure(
    variants: dict[str, Callable[[], np.ndarray]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each variant; all of them in turn in every round, so that a busy moment hits all alike."""
    reference = next(iter(variants.values()))()
    for name, run in variants.items():
        assert np.array_equal(run(), reference), f"{name} ranks differently"
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            started = clock()
            run()
            seconds[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def run(path: Path, rounds: int, seed: int) -> dict[str, object]:
    """Import, split, factorise, measure."""
    with tempfile.TemporaryDirectory() as cache:
        dataset = open_or_import(path, Path(cache), seed=seed)
        cases = make_split(dataset, SplitConfig(seed=seed)).test
        model, n_items = factorise(dataset, cases, seed), dataset.n_items
    variants = {
        "bare numpy, argpartition": lambda: bare(model, cases, by_argpartition),
        "bare numpy": lambda: bare(model, cases, by_argmax),
        "bare numpy, two threads": lambda: bare(model, cases, by_argmax, threads=2),
        "reasonrec": lambda: ours(model, cases, n_items),
        "reasonrec, one thread": lambda: ours(model, cases, n_items, threads=1),
    }
    medians = measure(variants, rounds)
    with threadpool_limits(limits=1):  # BLAS threads that wait for each other would count as work
        processor = measure(variants, rounds, time.process_time)
    return {
        "users": len(cases),
        "items": n_items,
        "seconds": {variant: round(value, 4) for variant, value in medians.items()},
        "processor seconds, one BLAS thread": {variant: round(value, 4) for variant, value in processor.items()},
        "load average": round(os.getloadavg()[0], 1),
        "to bare numpy": round(medians["reasonrec"] / medians["bare numpy"], 2),
        "to its two-thread form": round(medians["reasonrec"] / medians["bare numpy, two threads"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in arguments.datasets:
        print(json.dumps({"dataset": name, **run(arguments.data / name, arguments.rounds, arguments.seed)}, indent=2))


if __name__ == "__main__":
    main()

"""Delegates through ReasonRec against the implicit library called directly: the same numbers, the time of the fit.

    python benchmarks/delegates.py --data PATH/ml-1m

Leave-one-out, full ranking, history masked. Both get the same settings, seed and number of threads, and both make the
sparse matrix from the same arrays within the time measured; runs alternate. "Same" compares the vectors (the
similarities for neighbours) bit by bit and the ten best items of every user as the library itself recommends them.
Then each delegate is evaluated as it serves: on test, with histories that hold more than training. ``fold_in`` is
compared on validation, with each user's last training item kept from the fit but not from the history.
Needs reasonrec-implicit. Writes benchmarks/results/delegates.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import CosineRecommender
from scipy import sparse
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, FitData, Kind
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.data.split import Split
from reasonrec_core.evaluate import evaluate_ranking, summarise
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, History, Observation, QueryBatch, Task

RESULTS = Path(__file__).parent / "results" / "delegates.md"
NOTHING = Observation({}, {}, np.zeros(0, np.float32))


@dataclass
class Pair:
    """A delegate and the library's class that it wraps, with the same settings."""

    name: str
    settings: dict[str, Any]
    library: Callable[[int], Any]


def pairs(threads: int) -> list[Pair]:
    als = {"factors": 64, "alpha": 10.0, "regularization": 0.05, "iterations": 15}
    bpr = {"factors": 64, "learning_rate": 0.05, "regularization": 0.01, "iterations": 10}
    return [
        Pair(
            "implicit-als",
            {**als, "threads": threads, "fold_in": "unknown"},
            lambda seed: AlternatingLeastSquares(**als, num_threads=threads, random_state=seed),
        ),
        Pair(
            "implicit-bpr",
            {**bpr, "fold_in": "unknown"},
            lambda seed: BayesianPersonalizedRanking(**bpr, num_threads=1, random_state=seed),
        ),
        Pair(
            "implicit-itemknn",
            {"neighbours": 50, "threads": threads},
            lambda seed: CosineRecommender(K=50, num_threads=threads),
        ),
    ]


def make(name: str, settings: dict[str, Any]) -> Any:
    delegate = Registry.discover().create(Kind.DELEGATE, name, settings)
    assert isinstance(delegate, Delegate)
    return delegate


def clocks() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Wall-clock and processor seconds; the latter of all threads, and hardly touched by other work."""
    return np.array([time.perf_counter(), time.process_time()])


def direct(pair: Pair, fit: FitData, n_items: int) -> tuple[Any, sparse.csr_matrix, Any]:
    """The library by itself, as its documentation says."""
    started = clocks()
    with threadpool_limits(1, "blas"):
        ones = np.ones(len(fit.train), np.float32)
        matrix = sparse.csr_matrix((ones, (fit.train.users, fit.train.items)), shape=(fit.n_users, n_items))
        model = pair.library(fit.seed)
        model.fit(matrix, show_progress=False)
    return model, matrix, clocks() - started


def same(delegate: Any, model: Any, matrix: sparse.csr_matrix, fit: FitData) -> tuple[str, str]:
    """Whether the learned arrays and the ten best items of every user agree."""
    if hasattr(model, "user_factors"):
        arrays = np.array_equal(delegate._users, model.user_factors) and np.array_equal(
            delegate._items, model.item_factors
        )
    else:
        ours, theirs = delegate._similarity.astype(np.float32), model.similarity.astype(np.float32)
        arrays = bool(abs(ours - theirs).max() == 0)
    users = np.arange(fit.n_users, dtype=np.int32)
    indptr = np.searchsorted(fit.train.users, np.arange(fit.n_users + 1)).astype(np.int64)
    batch = QueryBatch(Task.SEQUENTIAL, users, History(indptr, fit.train.items, fit.train.times), k=10)
    ranking = delegate.recommend(batch, NOTHING)
    items, _ = model.recommend(users, matrix, N=10, filter_already_liked_items=True)
    equal = (ranking.items == items).mean()
    return "yes" if arrays else "no", f"{100 * equal:.2f} %"


def quality(delegate: Any, cases: Cases, n_items: int, seed: int) -> tuple[str, float]:
    started = time.perf_counter()
    scores = evaluate_ranking(lambda batch: delegate.recommend(batch, NOTHING), cases, (5, 10), n_items=n_items)
    seconds = time.perf_counter() - started
    found = summarise(scores, seed=seed, resamples=500)
    cells = " | ".join(f"{found[m]['value']:.4f}" for m in ("HR@5", "NDCG@5", "HR@10", "NDCG@10"))
    return cells, seconds


def against_library(fit: FitData, n_items: int, runs: int, threads: int) -> list[str]:
    lines = []
    for pair in pairs(threads):
        ours, theirs = [], []
        for _ in range(runs):
            delegate = make(pair.name, pair.settings)
            started = clocks()
            delegate.fit(fit)
            ours.append(clocks() - started)
            model, matrix, seconds = direct(pair, fit, n_items)
            theirs.append(seconds)
        arrays, best = same(delegate, model, matrix, fit)
        wall, cpu = np.median(np.array(ours) / np.array(theirs), axis=0)
        (wall_ours, cpu_ours), (wall_theirs, cpu_theirs) = np.median(ours, axis=0), np.median(theirs, axis=0)
        lines.append(
            f"| {pair.name} | {wall_theirs:.2f} | {wall_ours:.2f} | {wall:.2f} | {cpu_theirs:.2f} | {cpu_ours:.2f} "
            f"| {cpu:.2f} | {arrays} | {best} |"
        )
        print(lines[-1], flush=True)
    return lines


def as_served(fit: FitData, split: Split, n_items: int) -> list[str]:
    lines = []
    for name in ("popularity", "transitions", "implicit-als", "implicit-bpr", "implicit-itemknn"):
        delegate = make(name, {})
        delegate.fit(fit)
        for part, cases in (("valid", split.valid), ("test", split.test)):
            cells, seconds = quality(delegate, cases, n_items, fit.seed)
            lines.append(f"| {name} | {part} | {cells} | {seconds:.1f} |")
            print(lines[-1], flush=True)
    return lines


def folded_in(fit: FitData, split: Split, n_items: int) -> list[str]:
    log = fit.train
    last = np.append(log.users[1:] != log.users[:-1], True)
    lines = []
    for name in ("implicit-als", "implicit-bpr"):
        delegate = make(name, {})
        delegate.fit(replace(fit, train=log.take(~last)))
        for mode in ("always", "unknown"):
            delegate.config = delegate.config.model_copy(update={"fold_in": mode})
            cells, _ = quality(delegate, split.valid, n_items, fit.seed)
            lines.append(f"| {name} | {mode} | {cells} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/reasonrec/bench").expanduser())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    dataset = open_or_import(options.data, options.cache, seed=options.seed)
    split = make_split(dataset, SplitConfig(kind="leave-one-out", seed=options.seed))
    fit = FitData(dataset.catalog, dataset.n_users, split.train, split.valid, NOTHING, seed=options.seed)
    columns = "HR@5 | NDCG@5 | HR@10 | NDCG@10 |"
    library = against_library(fit, dataset.n_items, options.runs, options.threads)
    served, folded = as_served(fit, split, dataset.n_items), folded_in(fit, split, dataset.n_items)
    RESULTS.write_text(
        "\n".join(
            [
                "# Delegates against their library",
                "",
                f"`python benchmarks/delegates.py --seed {options.seed} --runs {options.runs} --threads "
                f"{options.threads}` on {options.data.name}, {date.today()}, Python {platform.python_version()}, "
                f"{os.cpu_count()} cores of an AMD EPYC, 24 GB, shared with other work.",
                "",
                " ".join(__doc__.split("\n\n")[2].split(" Needs")[0].split()).split(" Needs")[0],
                "",
                f"{dataset.n_users} users, {dataset.n_items} items, {len(split.train)} training interactions.",
                "",
                "Medians of the runs; a ratio is the median over pairs of consecutive fits. Processor seconds count "
                "all threads and are hardly touched by the other work on the machine, as wall-clock seconds are.",
                "",
                "| delegate | library, wall s | ours | ratio | library, processor s | ours | ratio | same arrays "
                "| same ten best |",
                "|---|---|---|---|---|---|---|---|---|",
                *library,
                "",
                "As served, default settings (fitted on the training part):",
                "",
                f"| delegate | part | {columns} evaluation, s |",
                "|---|---|---|---|---|---|---|",
                *served,
                "",
                "Whose vector is folded in from the history of the request (validation):",
                "",
                f"| delegate | fold_in | {columns}",
                "|---|---|---|---|---|---|",
                *folded,
                "",
            ]
        )
    )


if __name__ == "__main__":
    main()

"""Milliseconds and recall of the delegate `ann-index` beside all products, and what else faiss offers.

    OMP_NUM_THREADS=1 python benchmarks/ann_index.py [--gowalla data/gowalla/train.csv.gz]

Draws 10^4 to 10^6 vectors of 64 dimensions in clusters (seed 0), with lengths that differ as those of trained
items do, and 512 queries with a history of 20 items. Half of the queries choose how many cells are searched, as `fit`
does on validation; the other half is measured. With ``--gowalla`` also the vectors of `implicit-als` (64 factors, five
rounds). Processor time of the one thread, the best of some rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from reasonrec_index.config import AnnIndexConfig
from reasonrec_index.delegate import AnnIndex, measure_recall
from reasonrec_index.inverted_file import Cells, InvertedFile, import_faiss

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.components import Delegate, Empty, pick_candidates
from reasonrec_core.ranking import rank
from reasonrec_core.types import Float32, History, Observation, QueryBatch, Ranking, Task

WIDTH, QUERIES, LENGTH, K = 64, 512, 20, 10
SIZES = (10_000, 30_000, 100_000, 1_000_000)
GRAPHS_TO = 100_000
"""Vectors up to which a graph (HNSW) is built, too: beyond it takes minutes."""
T = TypeVar("T")
faiss = import_faiss()


class Vectors(Delegate[Empty]):
    """Items and queries as they were drawn; a query is named by its user."""

    def __init__(self, items: Float32, queries: Float32) -> None:
        super().__init__(Empty())
        self.items, self.queries = items, queries

    def item_vectors(self, observation: Observation) -> Float32:
        """float32[n, d]."""
        return self.items

    def query_vectors(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, d]."""
        return self.queries[batch.users]

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n]: products, as other delegates with vectors work them out."""
        scores: Float32 = self.queries[batch.users] @ self.items.T
        last_of_all(scores, np.arange(len(self.items)), len(self.items))
        return pick_candidates(scores, batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gowalla", type=Path, help="a log of two columns; measures trained vectors, too")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="how many vectors are drawn")
    chosen = parser.parse_args()
    print("| vectors | items | search | build, s | one request, ms | 256 requests, ms | recall@10 |")
    print("|---|---|---|---|---|---|---|")
    for n in chosen.sizes:
        measure("drawn", *draw_vectors(n))
    if chosen.gowalla:
        measure("implicit-als, gowalla", *train_als(chosen.gowalla))


def measure(what: str, items: Float32, queries: Float32) -> None:
    """A line for each way to search."""
    base, n, rng = Vectors(items, queries), len(items), np.random.default_rng(1)
    history = History.of(rng.integers(0, n, (QUERIES, LENGTH)).tolist())
    batch = QueryBatch(Task.SEQUENTIAL, np.arange(QUERIES, dtype=np.int32), history, K)
    chosen_on, measured = batch.slice(0, QUERIES // 2), batch.slice(QUERIES // 2, QUERIES)
    exact = {id(part): answer(base, part) for part in (chosen_on, measured)}

    def line(name: str, build: float, part: Delegate[Any]) -> None:
        rounds = 3 if n < 1_000_000 else 1
        many, found = take_time(lambda: answer(part, measured), rounds)
        singles = [measured.slice(row, row + 1) for row in range(48)]
        one, _ = take_time(lambda: [answer(part, single) for single in singles], rounds)
        recall = measure_recall(found, exact[id(measured)])
        cells = f"| {what} | {n:,} | {name} | {build:.1f} | {1000 * one / len(singles):.3f} | {1000 * many:.1f} |"
        print(f"{cells} {recall:.4f} |", flush=True)

    line("all products", 0, base)
    for share in (0.95, 0.99):
        index = AnnIndex(AnnIndexConfig.model_construct(delegate="", recall=share, cells=None))
        build, (probes, cells) = take_time(lambda: fit_index(index, base, chosen_on, exact[id(chosen_on)], share), 1)  # noqa: B023
        line(f"`ann-index`, recall {share}: {probes} of {cells} cells", build, index)
    assert index._cells is not None
    kept = index._cells
    again, _ = take_time(lambda: InvertedFile(items, kept), 1)
    print(f"| {what} | {n:,} | the index of kept cells, when a run is opened | {again:.1f} | | | |")
    plain = int(2 * n**0.5)
    wide = faiss.IndexIVFFlat(faiss.IndexFlatIP(WIDTH), WIDTH, plain, faiss.METRIC_INNER_PRODUCT)
    wide.cp.min_points_per_centroid = 1
    if n <= GRAPHS_TO:
        build, _ = take_time(lambda: (wide.train(items), wide.add(items)), 1)
        line(f"cells of plain inner products, {probes} of {plain}", build, Found(base, wide, nprobe=probes))
        graph = faiss.IndexHNSWFlat(WIDTH, 16, faiss.METRIC_INNER_PRODUCT)
        build, _ = take_time(lambda: graph.add(items), 1)
        for ef in (64, 256):
            line(f"HNSW, 16 links, efSearch {ef}", build, Found(base, graph, ef=ef))


class Found(Vectors):
    """Another index of faiss, asked for 50 items, which are masked and ranked as `ann-index` does."""

    def __init__(self, base: Vectors, index: Any, *, nprobe: int = 0, ef: int = 0) -> None:
        super().__init__(base.items, base.queries)
        self.index = index
        self.params = faiss.SearchParametersHNSW(efSearch=ef) if ef else faiss.SearchParametersIVF(nprobe=nprobe)

    def recommend(self, batch: QueryBatch, observation: Observation) -> Ranking:
        """What is found, ranked."""
        found, items = self.index.search(self.queries[batch.users], K + LENGTH + 20, params=self.params)
        keys = np.where(items < 0, -1, items + np.arange(len(batch))[:, None] * len(self.items))
        mine = np.isin(keys, batch.history.rows.astype(np.int64) * len(self.items) + batch.history.items)
        asked = QueryBatch(batch.task, batch.users, batch.history, K, np.where(mine, -1, items).astype(np.int32))
        return rank(np.where(items < 0, np.float32(-np.inf), found), asked)


def fit_index(index: AnnIndex, base: Vectors, batch: QueryBatch, exact: Ranking, share: float) -> tuple[int, int]:
    """Cells, and the fewest of them, doubled, that reach the recall: as `AnnIndex.fit`, of vectors that are there."""
    index._base, count = base, int(2 * len(base.items) ** 0.5)
    index._cells = Cells.train(base.items, count, 0)
    made, index.probes = index._get_index(see(batch)), 1
    while index.probes < count // 4:
        found, _ = index._rank_found(made, base.queries[batch.users], batch, index.probes)
        if measure_recall(found, exact) >= share:
            break
        index.probes *= 2
    return index.probes, count


def draw_vectors(n: int) -> tuple[Float32, Float32]:
    """float32[n, d] items in clusters of unequal size and of log-normal length, and float32[Q, d] queries in them."""
    rng, clusters = np.random.default_rng(0), max(50, int(n**0.5))
    centres = rng.normal(size=(clusters, WIDTH)).astype(np.float32)
    sizes = np.arange(1, clusters + 1) ** -0.7
    items = centres[rng.choice(clusters, n, p=sizes / sizes.sum())]
    items += np.float32(0.7) * rng.standard_normal((n, WIDTH), np.float32)
    items *= rng.lognormal(0, 0.3, (n, 1)).astype(np.float32)
    queries = centres[rng.integers(0, clusters, QUERIES)]
    return items, queries + np.float32(0.7) * rng.standard_normal((QUERIES, WIDTH), np.float32)


def train_als(path: Path) -> tuple[Float32, Float32]:
    """Vectors of a log's items and of 512 of its users."""
    from implicit.als import AlternatingLeastSquares
    from pyarrow import csv
    from scipy import sparse

    table = csv.read_csv(path)
    users, items = (np.unique(table.column(each).to_numpy(), return_inverse=True)[1] for each in (0, 1))
    model = AlternatingLeastSquares(WIDTH, regularization=0.05, iterations=5, num_threads=1, random_state=0)
    model.fit(sparse.csr_matrix((np.full(len(users), 10, np.float32), (users, items))), show_progress=False)
    drawn = np.random.default_rng(0).permutation(len(model.user_factors))[:QUERIES]
    return model.item_factors, model.user_factors[drawn]


def answer(part: Delegate[Any], batch: QueryBatch) -> Ranking:
    """Its ranking."""
    return part.recommend(batch, see(batch))


def see(batch: QueryBatch) -> Observation:
    """Nothing."""
    return Observation({}, {}, np.full(len(batch), 0.5, np.float32))


def take_time(work: Callable[[], T], rounds: int) -> tuple[float, T]:
    """Seconds of this thread's processor time, the least of all rounds, and what came of it."""
    least = np.inf
    for _ in range(rounds):
        began = time.thread_time()
        found = work()
        least = min(least, time.thread_time() - began)
    return least, found


if __name__ == "__main__":
    main()

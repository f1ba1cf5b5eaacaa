"""Which way of finding similar items is best, by what people chose next: pairs that no model has learned from.

    python benchmarks/similar_items.py RUN [RUN ...]

RUN is split leave-one-out. A pair is a user's second last item and their last; the evaluated models have seen neither,
and what was taken together is counted without them. Each way of `Recommender.similar` has a hit where the second item
is among the ten most like the first; best-sellers are the floor. 1,000 pairs, seed 0; a way that does not know an item
has no hit there. Intervals are of the difference from the best way, paired over pairs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from reasonrec_serve import Recommender
from scipy import sparse

from reasonrec_core.types import Float32

PAIRS, K, CERTAIN = 1000, 10, 1.96


def main() -> None:
    """A table per run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    for run in parser.parse_args().runs:
        measure(run)


def measure(path: Path) -> None:
    """Hits of every way."""
    service = Recommender.open(path, trace=False, models="evaluated")
    dataset, log, neighbours = service.dataset, service.dataset.interactions, service.neighbours
    ends = np.flatnonzero(np.diff(log.users, append=-1))
    ends = ends[(ends > 0) & (log.users[ends - 1] == log.users[ends])]
    held = np.zeros(len(log.users), np.bool_)
    held[ends] = held[ends - 1] = True
    pairs = np.unique(np.stack([log.users[~held], log.items[~held]]), axis=1)
    shape = dataset.n_users, dataset.n_items
    seen = sparse.csr_matrix((np.ones(pairs.shape[1], np.float32), (pairs[0], pairs[1])), shape)
    neighbours.__dict__["_by_user"] = seen
    some = np.random.default_rng(0).permutation(ends)[:PAIRS]
    asked, wanted = log.items[some - 1].tolist(), log.items[some].tolist()
    popular = np.asarray(seen.sum(axis=0), np.float32).ravel()
    hits, spent = {}, {}
    for way in neighbours.ways:
        begin = time.process_time()
        hits[way] = np.array([hit(neighbours._compare(way, a), a, w) for a, w in zip(asked, wanted, strict=True)])
        spent[way] = f"{1000 * (time.process_time() - begin) / len(some):.2f}"
    hits["best-sellers"] = np.array([hit(popular, a, w) for a, w in zip(asked, wanted, strict=True)])
    best = max(hits, key=lambda way: float(hits[way].mean()))
    print(f"\n{path.name}: {len(some):,} pairs, {dataset.n_items:,} items\n")
    print("| way | HR@10 | difference from the best | ms of processor |\n|---|---|---|---|")
    for way, found in sorted(hits.items(), key=lambda pair: -float(pair[1].mean())):
        gap = found - hits[best]
        error = CERTAIN * gap.std() / np.sqrt(len(gap))
        print(f"| {way} | {found.mean():.3f} | {gap.mean():+.3f} +- {error:.3f} | {spent.get(way, '')} |")


def hit(scores: Float32, item: int, wanted: int) -> float:
    """1 where fewer than K others score as high as the wanted item, ties counted against it."""
    if not np.isfinite(scores[wanted]):
        return 0.0
    above = (scores >= scores[wanted]).sum() - 1 - int(scores[item] >= scores[wanted])
    return float(above < K)


if __name__ == "__main__":
    main()

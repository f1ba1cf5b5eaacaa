"""Processor time of one request of the graph delegates, whose item vectors are worked out once.

    python benchmarks/graph_requests.py --work runs/graph-requests

Fits ``lightgcn``, ``alpharec`` and ``ssr`` for one epoch to 100,000 random interactions of 5,000 users with 40,000
items (kept under ``--work``), then asks each for 60 users one at a time, with the catalogue of the fit and with 500
items more. Prints the median of the last 50, the first, and the sum of the last scores, which no cache may change.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reasonrec_core.components import FitData, Kind
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.registry import Registry
from reasonrec_core.types import History, Interactions, Observation, QueryBatch, Task

N_ITEMS, LATER, N_USERS, ROWS, WIDTH, REQUESTS, LENGTH = 40_000, 500, 5_000, 100_000, 32, 60, 20
TRAINING = {"epochs": 1, "batch": 50_000, "device": "cpu"}
MODELS: dict[str, dict[str, Any]] = {"lightgcn": {}, "alpharec": {}, "ssr": {"components": 16}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for fitted delegates")
    work, registry, rng = parser.parse_args().work, Registry.discover(), np.random.default_rng(0)
    users = np.sort(rng.integers(0, N_USERS, ROWS)).astype(np.int32)
    items = (N_ITEMS * rng.random(ROWS) ** 3).astype(np.int32)
    log = Interactions(users, items, np.arange(ROWS, dtype=np.int64))
    features = {m: rng.normal(size=(N_ITEMS + LATER, WIDTH)).astype(np.float32) for m in ("image", "text")}
    histories = [History.of([rng.integers(0, N_ITEMS, LENGTH).tolist()]) for _ in range(REQUESTS)]
    for name, settings in MODELS.items():
        if not (work / name).exists():
            part = registry.create(Kind.DELEGATE, name, settings | {"training": TRAINING})
            part.fit(FitData(make_catalog(N_ITEMS), N_USERS, log, None, see(features, N_ITEMS)))
            (work / name).mkdir(parents=True)
            part.save(work / name)
        for size in (N_ITEMS, N_ITEMS + LATER):
            delegate: Any = registry.load(Kind.DELEGATE, name).load(work / name, make_catalog(size))
            print(f"{name}, {size} items: {ask(delegate, histories, see(features, size))}")


def make_catalog(n_items: int) -> Catalog:
    return Catalog(pa.table({"item_id": [str(item) for item in range(n_items)]}))


def see(features: dict[str, Any], n_items: int) -> Observation:
    """The first ``n_items`` items."""
    seen = {name: values[:n_items] for name, values in features.items()}
    return Observation(seen, {name: np.ones(n_items, np.bool_) for name in seen}, np.zeros(1, np.float32))


def ask(delegate: Any, histories: list[History], observation: Observation) -> str:
    """What the requests take."""
    took, scores = [], np.zeros(0)
    for user, history in enumerate(histories):
        batch = QueryBatch(Task.SEQUENTIAL, np.array([user], np.int32), history, k=10)
        started = time.process_time()
        scores = delegate.score(batch, observation)
        took.append(1e3 * (time.process_time() - started))
    return f"{np.median(took[10:]):.2f} ms, the first {took[0]:.0f} ms, sum {scores.astype(np.float64).sum():.6f}"


if __name__ == "__main__":
    main()

"""What a list of one's own cart is worth: the control of models that learn from carts (taobao-buy-cart).

    python benchmarks/cart_list.py --data ../shared/data

The items that a user put into the cart and has not bought, the last in the file first (their order in time is not
known); nothing is learned. The protocol is that of benchmarks/models.py (`feedback_data`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from feedback_data import CART
from model_protocols import CUTS, FEEDBACK, PARTS, QUERIES, prepare

from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.types import Interactions, QueryBatch, Ranking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    options = parser.parse_args()
    bench = prepare(FEEDBACK, options.data, options.cache, content=False)
    train = bench.split.train
    assert train.values is not None
    carts = train.take(train.values == CART)
    for part in PARTS:
        cases = getattr(bench.split, part)
        scores = evaluate_ranking(
            lambda batch: list_carts(carts, batch), cases, CUTS, n_items=bench.n_items, chunk=QUERIES, threads=1
        )
        inside = 1 - bench.groups[part]["outside carts"].mean()
        found = ", ".join(f"{metric} {scores.per_query[metric].mean():.4f}" for metric in ("HR@10", "NDCG@10"))
        print(f"{part}: {found}; of {len(cases):,} purchases {inside:.1%} were in the cart")


def list_carts(carts: Interactions, batch: QueryBatch) -> Ranking:
    """What is in the cart of each user, the last in the file first, without what was bought."""
    items = np.full((len(batch), batch.k), -1, np.int32)
    for row, user in enumerate(batch.users):
        low, high = np.searchsorted(carts.users, [user, user + 1])
        latest = carts.items[low:high][np.argsort(-carts.times[low:high], kind="stable")]
        bought = batch.history.row(row)
        left = [item for item in dict.fromkeys(latest.tolist()) if item not in bought][: batch.k]
        items[row, : len(left)] = left
    places = -np.arange(batch.k, dtype=np.float32)
    return Ranking(items, np.where(items < 0, np.float32(-np.inf), places).astype(np.float32))


if __name__ == "__main__":
    main()

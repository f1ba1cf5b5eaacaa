"""Purchases and cart additions of the same users (taobao-buy-cart) for benchmarks/models.py.

One purchase of each user is the published test part, of which `TESTED` users, drawn at random, are asked about. Of
`VALIDATED` users who bought twice or more another purchase, drawn at random, validates; the rest, and all cart
additions, train, with the values 2 and 1. Histories are purchases alone, so that what is in a cart can be recommended;
"outside carts" leaves out queries whose target is in the user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from reasonrec_core.data import Dataset, open_or_import
from reasonrec_core.data.cases import contains_keys, make_pair_keys, make_user_cases
from reasonrec_core.io import whole_folder
from reasonrec_core.types import Bool, Cases, Interactions

FILES = {"cart": "cart.csv.gz", "buy": "buy_train.csv.gz", "test": "buy_test.csv.gz"}
CART, BUY, TEST = 1, 2, 3
VALIDATED, TESTED = 2000, 5000
"""Users of whom a purchase validates, and of whom the published one is asked for."""


@dataclass(frozen=True)
class FeedbackSplit:
    """What is learned from, and what is asked.

    Attributes:
        train: purchases (value 2) and cart additions (value 1), without what validates.
        valid: a purchase of each validated user.
        test: the published purchases of the tested users.
    """

    train: Interactions
    valid: Cases
    test: Cases


def import_feedback(folder: Path, cache: Path) -> Dataset:
    """The three files as one log of events."""
    joined = cache / folder.name
    if not joined.is_dir():
        tables = []
        for event, file in FILES.items():
            read = pc.ConvertOptions(column_types={name: pa.string() for name in ("user_id", "item_id")})
            table = pc.read_csv(folder / file, convert_options=read)
            tables.append(table.append_column("event", pa.array([event] * len(table))))
        with whole_folder(joined) as aside:
            pc.write_csv(pa.concat_tables(tables), aside / "interactions.csv")
    options = {"event_weights": {"cart": CART, "buy": BUY, "test": TEST}, "dedupe": "none"}
    columns = {"event": "event"}
    return open_or_import(joined, cache / "datasets", columns=columns, options=options, name=folder.name)


def split_feedback(dataset: Dataset, seed: int = 0) -> FeedbackSplit:
    """Divide the log; the same for the same seed."""
    log, n_users = dataset.interactions, dataset.n_users
    assert log.values is not None
    bought, tested = log.values == BUY, log.values == TEST
    order = np.random.default_rng(seed).permutation(np.flatnonzero(bought))
    users, first = np.unique(log.users[order], return_index=True)
    often = np.bincount(log.users[bought], minlength=n_users)[users] >= 2
    drawn = np.random.default_rng(seed + 1).permutation(order[first[often]])[:VALIDATED]
    validates = np.zeros(len(log), np.bool_)
    validates[drawn] = True
    valid = make_user_cases(log, bought & ~validates, validates, n_users)
    test = make_user_cases(log, bought, tested, n_users)
    return FeedbackSplit(log.take(~validates & ~tested), valid, test.sample(TESTED, seed))


def find_outside(cases: Cases, train: Interactions, n_items: int) -> Bool:
    """bool[B]: queries none of whose targets the user put into a cart."""
    assert train.values is not None
    carts = train.take(train.values == CART)
    inside = contains_keys(
        np.sort(make_pair_keys(carts.users, carts.items, n_items)),
        make_pair_keys(cases.queries.users[cases.rows], cases.targets, n_items),
    )
    found: Bool = np.bincount(cases.rows[inside], minlength=len(cases)) == 0
    return found

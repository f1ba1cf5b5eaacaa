"""Small datasets for the tests of splits and checks."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from reasonrec_datasets import RawTables, build_dataset

from reasonrec_core.data import Dataset
from reasonrec_core.types import Cases

Row = tuple[str, str, int]
PLACE = tempfile.TemporaryDirectory(prefix="reasonrec-tests-")
"""Of the datasets that a test gives no folder; gone with the process."""


def build(rows: Sequence[Row], *, folder: Path | None = None, clock: bool = True, **columns: Any) -> Dataset:
    """A dataset of (user, item, time) rows.

    ``columns``: ``value``, ``part``, ``history``, ``review``, ``items``, ``images``.
    """
    names = ("user_id", "item_id", "timestamp") if clock else ("user_id", "item_id")
    types = (pa.string(), pa.string(), pa.int64())
    table = {n: pa.array([row[i] for row in rows], types[i]) for i, n in enumerate(names)}
    items, images = columns.pop("items", None), columns.pop("images", None)
    kinds = {"value": pa.float32(), "part": pa.string(), "history": pa.list_(pa.string())}
    kinds |= {"review": pa.string()}
    table.update({name: pa.array(column, kinds[name]) for name, column in columns.items()})
    raw = RawTables(pa.table(table), items=items, images=images, name="small")
    return build_dataset(raw, folder or Path(tempfile.mkdtemp(dir=PLACE.name)) / "dataset")


def names(dataset: Dataset, items: np.ndarray) -> list[str]:
    """String ids of dense indices."""
    return [dataset.catalog.ids[i] for i in items]


def asked(dataset: Dataset, cases: Cases) -> dict[str, tuple[list[str], list[str]]]:
    """Per user: history and targets as string ids."""
    users = dataset.users.column("user_id").to_pylist()
    bounds = cases.target_indptr
    return {
        users[user]: (
            names(dataset, cases.queries.history.row(b)),
            sorted(names(dataset, cases.targets[bounds[b] : bounds[b + 1]])),
        )
        for b, user in enumerate(cases.queries.users)
    }


@st.composite
def logs(draw: st.DrawFn, *, repeats: bool = True) -> list[Row]:
    """Rows of up to 8 users over up to 40 items, with ties in time and repeated purchases."""
    n_users, n_items = draw(st.integers(1, 8)), draw(st.integers(3, 40))
    rows: list[Row] = []
    for user in range(n_users):
        items = draw(st.lists(st.integers(0, n_items - 1), min_size=1, max_size=12, unique=not repeats))
        times = draw(st.lists(st.integers(0, 20), min_size=len(items), max_size=len(items)))
        rows += [(f"u{user}", f"i{item}", time) for item, time in zip(items, times, strict=True)]
    return draw(st.permutations(rows))

"""Which rows of a log are kept: what events weigh, which rows are one, and how many a user and an item must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column, take_column
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Int64
from reasonrec_datasets.importing.column_parsing import CAST_FAILURES, decode_values, make_cell_error
from reasonrec_datasets.importing.raw_tables import RawTables

EVENT = "event"


@dataclass(frozen=True)
class LogRules:
    """What `apply_rules` does to a log.

    Attributes:
        dedupe: "last": of rows with one user, item and time the last stays; "sum": all rows of a user with an item are
            one, at its last time, values added; "none": every row stays.
        min_value: rows of a smaller value are left out.
        k_core: users and items with fewer rows are left out, until none is.
        event_weights: the value of each kind of event; rows of other kinds are left out.
    """

    dedupe: Literal["last", "sum", "none"] = "last"
    min_value: float | None = None
    k_core: int = 0
    event_weights: Mapping[str, float] = field(default_factory=dict)


def weigh_events(raw: RawTables, weights: Mapping[str, float]) -> RawTables:
    """The log with the weight of each row's event as its value; without weights the events are counted in a note.

    Raises:
        DataError: weights, but no column of events, or none of them occurs.
    """
    log = raw.interactions
    if EVENT not in log.column_names:
        if weights:
            fix = "Name the column that holds them: --event-column NAME."
            raise DataError("event weights are given, but no column is read as event", fix=fix)
        return raw
    column = decode_values(take_column(log, EVENT))
    try:
        kinds = pc.utf8_trim_whitespace(column.cast(pa.string()))
    except CAST_FAILURES as error:
        where = raw.places.get("interactions")
        raise make_cell_error(f"event has type {column.type}", where, 0, EVENT, fix="Store it as text.") from error
    counts = {pair["values"].as_py(): pair["counts"].as_py() for pair in pc.value_counts(kinds)}
    seen = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(counts.items(), key=lambda c: -c[1])[:9])
    log = log.drop_columns([EVENT])
    if not weights:
        remark = f"events: {seen}; all rows count alike (--event-weights KIND=WEIGHT,... tells them apart)"
        return _remark(replace(raw, interactions=log), remark)
    if not set(weights) & set(counts):
        fix = f"There are: {seen}."
        raise DataError(f"none of the events {', '.join(weights)} occurs", where="--event-weights", fix=fix)
    names = pa.array(list(weights))
    row = pc.index_in(kinds, value_set=names)
    values = pa.array(list(weights.values()), pa.float64()).take(row)
    log = log.drop_columns([name for name in log.column_names if name == "value"]).append_column("value", values)
    known: Bool = row.is_valid().to_numpy(zero_copy_only=False)
    raw = _remark(replace(raw, interactions=log), f"events: {seen}; the value of a row is its event's weight")
    return _keep_rows(raw, known, "of events without a weight are left out")


def apply_rules(raw: RawTables, rules: LogRules) -> RawTables:
    """Checked tables with the rows that the rules keep; what they leave out is counted in notes.

    Raises:
        DataError: a rule that needs values where there are none, or that keeps nothing.
    """
    if rules.min_value is not None:
        if "value" not in raw.interactions.column_names:
            raise DataError("the log has no values", where="--min-value", fix="Name their column: --column value=NAME.")
        values = take_column(raw.interactions, "value").to_numpy()
        raw = _keep_rows(raw, values >= rules.min_value, f"of a value below {rules.min_value:g} are left out")
    if rules.dedupe != "none":
        raw = _merge_rows(raw, add=rules.dedupe == "sum")
    return _keep_core(raw, rules.k_core) if rules.k_core > 1 else raw


def _merge_rows(raw: RawTables, *, add: bool) -> RawTables:
    """Rows that are one by the rule, as the last of them; without times only ``add`` merges."""
    log = raw.interactions
    clock = "timestamp" in log.column_names
    if not (add or clock):
        return raw
    times = take_column(log, "timestamp").to_numpy() if clock else np.zeros(log.num_rows, np.int64)
    keys = [_codes(log, name) for name in ("part", "item_id", "user_id") if name in log.column_names]
    order = np.lexsort((times, *keys))
    same = np.ones(max(log.num_rows - 1, 0), np.bool_)
    for key in keys if add else (times, *keys):
        same &= key[order][1:] == key[order][:-1]
    if not same.any():
        return raw if not add or "value" in log.column_names else _with_values(raw, np.ones(log.num_rows))
    last = np.append(~same, True)
    if add:
        group = np.cumsum(np.append(True, ~same)) - 1
        values = take_column(log, "value").to_numpy() if "value" in log.column_names else np.ones(log.num_rows)
        sums = np.bincount(group, weights=values[order])
        merged = np.zeros(log.num_rows)
        merged[order[last]] = sums
        raw = _with_values(raw, merged)
    kept = np.zeros(log.num_rows, np.bool_)
    kept[order[last]] = True
    words = (
        "of a user with an item again: values are added" if add else "of one user, item and time again: the last stays"
    )
    return _keep_rows(raw, kept, words)


def _codes(log: pa.Table, name: str) -> Int64:
    return np.asarray(flatten_column(log.column(name)).indices.to_numpy(), np.int64)


def _with_values(raw: RawTables, values: Any) -> RawTables:
    log = raw.interactions
    rest = log.drop_columns(["value"]) if "value" in log.column_names else log
    log = rest.append_column("value", pa.array(values.astype(np.float32)))
    return replace(raw, interactions=log, checked=(log, raw.items, raw.users))


def _keep_core(raw: RawTables, least: int) -> RawTables:
    """Only users and items with ``least`` rows or more, over and over until all have; also in their tables."""
    log = raw.interactions
    users, items = _codes(log, "user_id"), _codes(log, "item_id")
    kept = np.ones(log.num_rows, np.bool_)
    while True:
        enough = np.bincount(users[kept], minlength=users.max() + 1)[users] >= least
        enough &= np.bincount(items[kept], minlength=items.max() + 1)[items] >= least
        if not (kept & ~enough).any():
            break
        kept &= enough
    raw = _keep_rows(raw, kept, f"of users or items with fewer than {least} are left out")
    log = raw.interactions
    tables = [(raw.items, "item_id"), (raw.users, "user_id")]
    left, right = [t and t.filter(pc.is_in(t[key], value_set=_ids(log, key))) for t, key in tables]
    return replace(raw, items=left, users=right, checked=(log, left, right))


def _ids(log: pa.Table, key: str) -> pa.Array:
    return flatten_column(log.column(key)).unique().dictionary_decode().cast(pa.string())


def _keep_rows(raw: RawTables, kept: Bool, words: str) -> RawTables:
    """The rows where ``kept`` is true, with a note that counts the others; places of rows no longer hold."""
    gone = int(len(kept) - kept.sum())
    if not gone:
        return raw
    if gone == len(kept):
        raise DataError(f"no row is left: {gone:,} rows {words}", fix="Loosen the rule.")
    log = raw.interactions.filter(pa.array(kept))
    places = {name: place for name, place in raw.places.items() if name != "interactions"}
    checked = (log, *raw.checked[1:]) if raw.checked else ()
    return _remark(replace(raw, interactions=log, places=places, checked=checked), f"{gone:,} rows {words}")


def _remark(raw: RawTables, remark: str) -> RawTables:
    return replace(raw, source={**raw.source, "notes": [*raw.source.get("notes", ()), remark]})

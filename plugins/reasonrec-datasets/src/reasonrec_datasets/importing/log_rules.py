"""Which rows of a log are kept: what events weigh, which rows are one, and how many a user and an item must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column, is_text, take_column
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Int64
from reasonrec_datasets.importing.column_parsing import CAST_FAILURES, decode_values, make_cell_error
from reasonrec_datasets.importing.id_parsing import NOBODY
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.source_tables import TakenPlace

EVENT = "event"
MISSING = ("", *NOBODY, "nat", "-", "?")
"""What is written for a cell that has nothing to say, in small letters."""


@dataclass(frozen=True)
class LogRules:
    """What `apply_rules` does to a log.

    Attributes:
        dedupe: "last": of rows with one user, item and time the last stays; "sum": all rows of a user with an item are
            one, at its last time, values added; "none": every row stays.
        min_value: rows of a smaller value are left out.
        k_core: users and items with fewer rows are left out, until none is.
        event_weights: the value of each kind of event; rows of other kinds are left out.
        drop_incomplete: rows without a user, item, time or value are left out, where such columns are there.
    """

    dedupe: Literal["last", "sum", "none"] = "last"
    min_value: float | None = None
    k_core: int = 0
    event_weights: Mapping[str, float] = field(default_factory=dict)
    drop_incomplete: bool = False


def drop_incomplete(raw: RawTables) -> RawTables:
    """The log without rows whose user, item, time or value is missing or a word for that; counted by column.

    Raises:
        DataError: no row is left.
    """
    for name, word in {"user_id": "user", "item_id": "item", "timestamp": "time", "value": "value"}.items():
        if name not in raw.interactions.column_names:
            continue
        cells = take_column(raw.interactions, name)
        encoded = pa.types.is_dictionary(cells.type)
        words = cells.dictionary if encoded else cells
        there = words.is_valid()
        if is_text(words.type):
            trimmed = pc.utf8_lower(pc.utf8_trim_whitespace(words))
            there = pc.and_(there, pc.invert(pc.is_in(trimmed, value_set=pa.array(MISSING, trimmed.type))))
        elif pa.types.is_floating(words.type):
            there = pc.and_(there, pc.fill_null(pc.invert(pc.is_nan(words)), False))
        kept = pc.fill_null(there.take(cells.indices) if encoded else there, False)
        raw = _keep_rows(
            raw, kept.to_numpy(zero_copy_only=False), f"without {'an' if word == 'item' else 'a'} {word} {{}} left out"
        )
    return raw


def weigh_events(raw: RawTables, weights: Mapping[str, float]) -> RawTables:
    """The log with the weight of each row's event as its value; without weights the events are counted in a note.

    Raises:
        DataError: weights, but no column of events, or none of them occurs.
    """
    log = raw.interactions
    if EVENT not in log.column_names:
        if weights:
            fix = "Name that column: --event-column NAME."
            raise DataError("event weights were given, but no column holds events", fix=fix)
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
        remark = f"events: {seen}; all rows count the same (to weight them: --event-weights KIND=WEIGHT,...)"
        return _remark(replace(raw, interactions=log), remark)
    if not set(weights) & set(counts):
        fix = f"The events are: {seen}."
        raise DataError(f"none of the events {', '.join(weights)} occurs", where="--event-weights", fix=fix)
    names = pa.array(list(weights))
    row = pc.index_in(kinds, value_set=names)
    values = pa.array(list(weights.values()), pa.float64()).take(row)
    log = log.drop_columns([name for name in log.column_names if name == "value"]).append_column("value", values)
    known: Bool = row.is_valid().to_numpy(zero_copy_only=False)
    raw = _remark(replace(raw, interactions=log), f"events: {seen}; each row's value is the weight of its event")
    if absent := [name for name in weights if name not in counts]:
        raw = _remark(raw, f"WARNING: there is no event {' or '.join(map(repr, absent))}, but it was given a weight")
    others = ", ".join(f"{kind} ({count:,})" for kind, count in counts.items() if kind not in weights)
    return _keep_rows(raw, known, f"whose event has no weight {{}} left out: {others}")


def apply_rules(raw: RawTables, rules: LogRules) -> RawTables:
    """Checked tables with the rows that the rules keep; what they leave out is counted in notes.

    Raises:
        DataError: a rule that needs values where there are none, or that keeps nothing.
    """
    if rules.min_value is not None:
        if "value" not in raw.interactions.column_names:
            raise DataError("the log has no values", where="--min-value", fix="Name their column: --column value=NAME.")
        values = take_column(raw.interactions, "value").to_numpy()
        raw = _keep_rows(raw, values >= rules.min_value, f"with a value below {rules.min_value:g} {{}} left out")
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
    first = int(np.flatnonzero(~kept)[0])
    pair = " and ".join(repr(log.column(name)[first].as_py()) for name in ("user_id", "item_id"))
    rule = "and item {} added to a later one" if add else ", item and time {} left out for a later one"
    return _keep_rows(raw, kept, f"with the same user{rule} (e.g. {pair})")


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
    raw = _keep_rows(raw, kept, f"of users or items with fewer than {least} rows {{}} left out")
    log = raw.interactions
    tables = [(raw.items, "item_id"), (raw.users, "user_id")]
    left, right = [t and t.filter(pc.is_in(t[key], value_set=_ids(log, key))) for t, key in tables]
    return replace(raw, items=left, users=right, checked=(log, left, right))


def _ids(log: pa.Table, key: str) -> pa.Array:
    return flatten_column(log.column(key)).unique().dictionary_decode().cast(pa.string())


def _keep_rows(raw: RawTables, kept: Bool, words: str) -> RawTables:
    """The rows where ``kept`` is true, with a note that counts the others; ``{}`` in ``words`` is "is" or "are"."""
    gone = int(len(kept) - kept.sum())
    if not gone:
        return raw
    remark = f"{gone:,} {'row' if gone == 1 else 'rows'} {words.replace('{}', 'is' if gone == 1 else 'are', 1)}"
    if gone == len(kept):
        raise DataError(f"no row is left: {remark}", fix="Loosen the rule.")
    log = raw.interactions.filter(pa.array(kept))
    places = dict(raw.places)
    if "interactions" in places:
        places["interactions"] = TakenPlace(places["interactions"], pa.array(np.flatnonzero(kept)))
    checked = (log, *raw.checked[1:]) if raw.checked else ()
    return _remark(replace(raw, interactions=log, places=places, checked=checked), remark)


def _remark(raw: RawTables, remark: str) -> RawTables:
    return replace(raw, source={**raw.source, "notes": [*raw.source.get("notes", ()), remark]})

"""Labels as people write them, -1 and 1, true and false, yes and no: 0 and 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import is_text, take_column
from reasonrec_datasets.importing.raw_tables import RawTables

WORDS = {"true": "1", "false": "0", "yes": "1", "no": "0"}


def read_label_words(raw: RawTables) -> RawTables:
    """Tables whose values are words for labels, or of Arrow's type for them, as numbers; others as they are."""
    log = raw.interactions
    if "value" not in log.column_names:
        return raw
    values = take_column(log, "value")
    if pa.types.is_boolean(values.type):
        return _with_values(raw, values.cast(pa.int8()))
    if not is_text(values.type):
        return raw
    words = pc.utf8_lower(pc.utf8_trim_whitespace(values.cast(pa.string())))
    known = pa.array(list(WORDS))
    if words.null_count or not pc.all(pc.is_in(words[:1], value_set=known)).as_py():
        return raw
    if not pc.all(pc.is_in(words, value_set=known)).as_py():
        return raw  # what is no label is named as the bad number that it is
    return _with_values(raw, pa.array(list(WORDS.values())).take(pc.index_in(words, value_set=known)))


def read_signed_labels(raw: RawTables) -> RawTables:
    """Checked tables whose values are all -1 or 1, with 0 for -1 and a note; others as they are."""
    if "value" not in raw.interactions.column_names:
        return raw
    values = take_column(raw.interactions, "value").to_numpy()
    if not (np.abs(values) == 1).all() or not (values < 0).any():
        return raw
    raw = _with_values(raw, pa.array((values > 0).astype(np.float32)))
    notes = [*raw.source.get("notes", ()), "the values are -1 and 1: read as the labels 0 and 1"]
    return replace(raw, source={**raw.source, "notes": notes}, checked=raw.tables)


def note_labels(raw: RawTables) -> list[str]:
    """A sentence where values are labels and nothing says that the task is clicks: no positive is a 0."""
    log = raw.interactions
    if "value" not in log.column_names or "part" in log.column_names:
        return []
    values = take_column(log, "value").to_numpy()
    if not np.isin(values, (0, 1)).all() or not (values == 0).any():
        return []
    fix = "Leave them out (--min-value 1, split.min_value), or bring parts (train, test) for clicks."
    return [f"WARNING: {int((values == 0).sum()):,} values are 0: a ranking takes these rows for positives. {fix}"]


def _with_values(raw: RawTables, values: pa.Array) -> RawTables:
    log = raw.interactions
    return replace(raw, interactions=log.set_column(log.column_names.index("value"), "value", values))

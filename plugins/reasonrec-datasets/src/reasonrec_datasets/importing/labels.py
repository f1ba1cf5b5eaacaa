"""Labels as people write them, -1 and 1, true and false, yes and no: 0 and 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import is_text, take_column
from reasonrec_datasets.importing.column_parsing import decode_values
from reasonrec_datasets.importing.raw_tables import RawTables

WORDS = {"true": "1", "false": "0", "yes": "1", "no": "0", "t": "1", "f": "0", "y": "1", "n": "0"}


def read_label_words(raw: RawTables) -> RawTables:
    """Tables whose values are words for labels, or of Arrow's type for them, as numbers; others as they are."""
    log = raw.interactions
    if "value" not in log.column_names:
        return raw
    values = decode_values(take_column(log, "value"))
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
    ones = {word for word in words.unique().to_pylist() if WORDS[word] == "1"}
    seen = " and ".join(sorted(map(repr, ones)) + sorted(map(repr, set(words.unique().to_pylist()) - ones)))
    raw = _with_values(raw, pa.array(list(WORDS.values())).take(pc.index_in(words, value_set=known)))
    labels = "the labels 1 and 0" if len(seen.split(" and ")) > 1 else f"the label {int(bool(ones))}"
    return _remark(raw, f"the values {seen} are read as {labels}")


def read_signed_labels(raw: RawTables) -> RawTables:
    """Checked tables whose values are all -1 or 1, with 0 for -1 and a note; others as they are."""
    if "value" not in raw.interactions.column_names:
        return raw
    values = take_column(raw.interactions, "value").to_numpy()
    if not (np.abs(values) == 1).all() or not (values < 0).any():
        return raw
    raw = _with_values(raw, pa.array((values > 0).astype(np.float32)))
    raw = _remark(raw, "the values -1 and 1 are read as the labels 0 and 1")
    return replace(raw, checked=raw.tables)


def note_labels(raw: RawTables) -> list[str]:
    """A sentence where a ranking would take rows for positives that are none: labels of 0, or values below 0."""
    log = raw.interactions
    if "value" not in log.column_names or "part" in log.column_names:
        return []
    values = take_column(log, "value").to_numpy()
    below = int((values < 0).sum())
    if below:
        what = f"{below:,} of {len(values):,} values are below 0 (returned, disliked?)"
        return [f"WARNING: {what}, and a ranking counts these rows as positives. To leave them out: --min-value 0.001"]
    if not np.isin(values, (0, 1)).all() or not (values == 0).any():
        return []
    fix = "To leave them out: --min-value 1 (split.min_value). To predict clicks, give the parts train and test."
    zeros = int((values == 0).sum())
    return [f"WARNING: {zeros:,} of {len(values):,} values are 0, and a ranking counts these rows as positives. {fix}"]


def _remark(raw: RawTables, remark: str) -> RawTables:
    return replace(raw, source={**raw.source, "notes": [*raw.source.get("notes", ()), remark]})


def _with_values(raw: RawTables, values: pa.Array) -> RawTables:
    log = raw.interactions
    return replace(raw, interactions=log.set_column(log.column_names.index("value"), "value", values))

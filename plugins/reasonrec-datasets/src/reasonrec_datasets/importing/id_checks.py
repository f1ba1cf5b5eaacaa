"""Ids that look like another one, and tables whose ids are not those of the log."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import take_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.raw_tables import RawTables

INVISIBLE = "[\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
"""Soft hyphens, marks of direction, blanks of no width; not the joiner that emojis are made with."""
FOLDS = (
    ("leading zeros", lambda ids: pc.replace_substring_regex(ids, r"^0+(\d+)$", r"\1")),
    ("invisible characters", lambda ids: pc.replace_substring_regex(ids, INVISIBLE, "")),
    ("how accents are encoded", lambda ids: pc.utf8_normalize(ids, "NFC")),
    ("upper and lower case", pc.utf8_lower),
    ("the number of spaces", lambda ids: pc.replace_substring_regex(ids, r"\s+", " ")),
)
"""What ids may differ by and be meant as one; how it is taken away."""


def compare_tables(raw: RawTables) -> list[str]:
    """Remarks on how the log and the tables of items and users fit, and on ids that look like another.

    Raises:
        DataError: no item of the log is in the item table.
    """
    notes = _compare_items(raw) + _compare_users(raw)
    for key, table in (("item_id", raw.items), ("user_id", raw.users)):
        used = _list_used(raw, key)
        known = used if table is None else pa.concat_arrays([used, take_column(table, key).cast(pa.string())]).unique()
        notes += find_lookalikes(known, key)
    return notes


def find_lookalikes(ids: pa.Array, key: str) -> list[str]:
    """A sentence for each way in which different ids are nearly the same; ``ids`` are different texts."""
    notes = []
    for what, fold in FOLDS:
        folded = fold(ids)
        twins = len(ids) - pc.count_distinct(folded).as_py()
        if not twins:
            continue
        first = folded.dictionary_encode()
        code = pc.value_counts(folded).filter(pc.greater(pc.value_counts(folded).field("counts"), 1))[0]["values"]
        pair = [repr(word) for word in ids.filter(pc.equal(first, code)).to_pylist()[:2]]
        words = f"{twins:,} {'id differs' if twins == 1 else 'ids differ'} from another only by {what}"
        notes.append(f"WARNING: {key}: {words}, e.g. {ascii_pair(pair)}; they are kept apart")
    return notes


def ascii_pair(pair: list[str]) -> str:
    """Two ids in a form in which their difference can be seen."""
    shown = " and ".join(pair)
    return shown if shown.isascii() else shown.encode("ascii", "backslashreplace").decode()


def _list_used(raw: RawTables, key: str) -> pa.Array:
    return take_column(raw.interactions, key).unique().dictionary_decode().cast(pa.string())


def _compare_items(raw: RawTables) -> list[str]:
    if raw.items is None:
        return ["there is no item table, so items have neither text nor pictures"]
    used = _list_used(raw, "item_id")
    there = take_column(raw.items, "item_id")
    absent = used.filter(pc.invert(pc.is_in(used, value_set=there)))
    if len(absent) == len(used):
        what = f"none of the {len(used):,} items in the interactions is in the item table"
        raise DataError(what, fix=_advise(used, there))
    if len(absent):
        return [
            f"{len(absent):,} of {len(used):,} items in the interactions are not in the item table, e.g. {absent[0]}"
        ]
    return []


def _compare_users(raw: RawTables) -> list[str]:
    if raw.users is None:
        return []
    used, there = _list_used(raw, "user_id"), take_column(raw.users, "user_id")
    absent = used.filter(pc.invert(pc.is_in(used, value_set=there)))
    if len(absent) == len(used):
        what = f"WARNING: none of the {len(used):,} users in the interactions is in the user table"
        return [f"{what}. {_advise(used, there)}"]
    if len(absent):
        return [
            f"{len(absent):,} of {len(used):,} users in the interactions are not in the user table, e.g. {absent[0]}"
        ]
    return []


def _advise(used: pa.Array, there: pa.Array) -> str:
    """What to do about ids of which none is shared."""
    example = repr(there[0].as_py()) if len(there) else "no id"
    words = f"Ids must match as text, but the interactions have {used[0].as_py()!r} and the table has {example}."
    alike = [what for what, fold in FOLDS if pc.any(pc.is_in(fold(used), value_set=fold(there))).as_py()]
    return f"{words} They differ by {alike[0]}: export both from the same source, with ids as text." if alike else words

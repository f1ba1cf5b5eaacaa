"""Which column of a file is which: names given by the user, our names, and the names that people use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from reasonrec_core.data.catalog import TEXT_ORDER
from reasonrec_core.data.storage import CONTEXT
from reasonrec_core.errors import DataError, did_you_mean
from reasonrec_datasets.importing.context import DERIVED, list_context
from reasonrec_datasets.importing.raw_tables import LOG_COLUMNS

ITEM_COLUMNS = ("item_id", *TEXT_ORDER, "image", "price")
TABLES: Mapping[str, tuple[str, ...]] = {
    "interactions": (*LOG_COLUMNS, "event"),
    "items": ITEM_COLUMNS,
    "users": ("user_id",),
}
KEYS = {"items": "item_id", "users": "user_id"}
OWN_NAMES = {"value": ("value", "label", "rating")}
"""Names of ours besides the column's own, best first; they need no remark."""
ALIASES: Mapping[str, tuple[str, ...]] = {
    "user_id": (
        "user", "uid", "userid", "user_idx", "customer_id", "customer", "reviewer_id", "visitor_id", "member_id",
        "account_id", "username", "user_name", "steamid", "profile_id", "buyer_id", "client_id", "reader_id",
        "customer_no", "cust_id", "cust", "session_id", "session",
    ),
    "item_id": (
        "item", "iid", "itemid", "item_idx", "movie_id", "product_id", "parent_asin", "asin", "article_id", "book_id",
        "track_id", "song_id", "business_id", "news_id", "video_id", "venue_id", "location_id", "poi_id", "recipe_id",
        "anime_id", "artist_id", "ad_id", "game_id", "sku", "stock_code", "product_code", "item_code", "isbn", "mid",
        "pid", "aid", "product", "prod",
    ),
    "timestamp": (
        "time_ms", "time", "ts", "unix_review_time", "unix_timestamp", "datetime", "date", "created_at", "event_time",
        "event_timestamp", "t_dat", "time_stamp", "visit_date", "order_date", "purchase_date", "review_date",
        "invoice_date",
    ),
    "value": ("score", "overall", "stars", "click", "clicked", "is_click", "preference", "book_rating", "watch_ratio"),
    "event": ("event_type", "event_name", "action_type", "interaction_type", "behavior", "behavior_type"),
    "part": ("split", "subset", "fold_name"),
    "history": ("hist", "item_id_list", "history_ids"),
    "review": ("review_text", "review_body", "review_content", "text"),
    "summary": ("review_title", "review_headline", "review_summary", "headline"),
    "title": (
        "name", "item_name", "book_title", "app_name", "product_name", "prod_name", "product_title", "movie_title",
        "item_title",
    ),
    "categories": ("category", "genres", "genre", "class"),
    "description": ("desc", "plot", "overview", "detail_desc"),
    "image": ("image_path", "img", "image_file", "picture", "photo", "images", "image_paths"),
    "brand": ("manufacturer", "store"),
    "color": ("colour", "colour_group_name"),
}  # fmt: skip


AMAZON_ITEM, AMAZON_USER = re.compile(r"B[0-9A-Z]{9}|\d{9}[\dX]"), re.compile(r"A[0-9A-Z]{8,}")
"""Of the ratings of 2018 the item comes first."""


def _bare(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "", name.lower())


def find_alias(ours: str, names: Sequence[str]) -> str | None:
    """The name among ``names`` that is one of ours, or that people use for it; None where there is none."""
    for own in OWN_NAMES.get(ours, (ours,)):
        if own in names:
            return own
    bare = {_bare(name): name for name in reversed(names)}
    wanted = (*OWN_NAMES.get(ours, (ours,)), *ALIASES.get(ours, ()))
    return next((bare[_bare(alias)] for alias in wanted if _bare(alias) in bare), None)


def _find_plain_ids(names: Sequence[str], found: Mapping[str, str]) -> list[str]:
    """The column, if any, that a table of items or users calls its id, without saying of what."""
    return [name for name in names if name.lower() in ("id", "_id") and name not in found.values()][:1]


def list_names(names: Sequence[str], most: int = 30) -> str:
    """Names from a file, fit for a terminal, and not endlessly many."""
    words = [name if name.isprintable() else repr(name) for name in names[:most]]
    return ", ".join([*words, f"and {len(names) - most} more"] if len(names) > most else words)


def names_ids(fields: Sequence[str]) -> bool:
    """Whether the fields are a header that names users and items."""
    return all(find_alias(ours, fields) is not None for ours in ("user_id", "item_id"))


def looks_like_row(fields: Sequence[str]) -> bool:
    """Whether the first line of a file holds numbers where names should stand."""
    return any(re.fullmatch(r"-?\d+([.,]\d+)?", field.strip()) for field in fields) and not names_ids(fields)


def guess_positions(fields: Sequence[str]) -> dict[str, int]:
    """Which columns of a row may be which (from 1): a date or large number is a time, a small one a rating."""
    found: dict[str, int] = {}
    names = {"user_id": 1, "item_id": 2}
    for number, field in enumerate((field.strip() for field in fields), 1):
        if (re.match(r"\d{4}-\d\d-\d\d|\d{9,}(\.0)?$", field) and number > 2) or re.match(r"\d{4}-\d\d-\d\d", field):
            found.setdefault("timestamp", number)
        elif number > 2 and re.fullmatch(r"-?\d(\.\d+)?|10(\.0*)?", field):
            found.setdefault("value", number)
    free = [number for number in range(1, len(fields) + 1) if number not in found.values()]
    ids = [number for number in free if not re.fullmatch(r"-?\d+\.\d+", fields[number - 1].strip())]
    if len(ids) >= 2:
        names = dict(zip(names, ids[:2], strict=True))
        if AMAZON_ITEM.fullmatch(fields[ids[0] - 1]) and AMAZON_USER.fullmatch(fields[ids[1] - 1]):
            names = {"user_id": ids[1], "item_id": ids[0]}
    return names | found


class ColumnMatcher:
    """Matches a file's columns with ours, and remembers what to tell the user.

    Args:
        given: ``{ours: theirs}`` from the user. Ours may name a table (``items.title``) or a context of the log
            (``context.device``); an empty name of theirs means that the column is not to be read.

    Attributes:
        derived: names of contexts that no column holds, but that the time tells.

    Raises:
        DataError: a name that is none of ours.
    """

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self.notes: list[str] = []
        self.derived: set[str] = set()
        self._given: dict[str, str] = {}
        self._met: set[str] = set()
        self._seen: dict[str, None] = {}
        known = {f"{table}.{name}" for table, names in TABLES.items() for name in names}
        known |= {name for names in TABLES.values() for name in names} | {"rating", "label"}
        for ours, theirs in (given or {}).items():
            if ours not in known and not (ours.startswith(CONTEXT) and ours != CONTEXT):
                plain = sorted(n for n in known if "." not in n)
                fix = f"{did_you_mean(ours, plain)} Write --column OURS=THEIRS."
                raise DataError(f"unknown column {ours!r}", where="--column", fix=fix)
            self._given["value" if ours in {"rating", "label"} else ours] = theirs

    @property
    def named(self) -> frozenset[str]:
        """The names of theirs that the user gave."""
        return frozenset(self._given.values())

    @property
    def left_out(self) -> frozenset[str]:
        """Our columns that are not to be read."""
        return frozenset(ours.removeprefix("interactions.") for ours, theirs in self._given.items() if theirs == "")

    def says(self, ours: str) -> bool:
        """Whether the user said which column it is, or that there is none."""
        return any(key.split(".")[-1] == ours for key in self._given)

    def find(self, ours: str, names: Sequence[str]) -> str | None:
        """The column that holds ours (in whichever table), by the user's names first; None where there is none."""
        given = [theirs for key, theirs in self._given.items() if key.split(".")[-1] == ours]
        if any(theirs in names for theirs in given):
            return next(theirs for theirs in given if theirs in names)
        return find_alias(ours, names)

    def match(self, table: str, names: Sequence[str], path: Path) -> dict[str, str]:
        """``{theirs: ours}`` for the columns of one file that are ours.

        Args:
            table: "interactions", "items" or "users".
            names: the file's columns.
            path: of the file, for messages.

        Raises:
            DataError: an id is missing; says what is there and how to name it.
        """
        self._seen.update(dict.fromkeys(names))
        found: dict[str, str] = {}
        left_out: set[str] = set()
        contexts = list_context(list(self._given)) if table == "interactions" else []
        for ours in (*TABLES[table], *contexts):
            key = f"{table}.{ours}" if f"{table}.{ours}" in self._given else ours
            theirs = self._given.get(key)
            if theirs == "":
                left_out.add(ours)
                self._met.add(key)
            elif theirs in names:
                found[ours] = theirs  # type: ignore[assignment]
                self._met.add(key)
            elif ours in contexts and ours == f"{CONTEXT}{theirs}" and theirs in DERIVED:
                self.derived.add(str(theirs))
                self._met.add(key)
        for ours in TABLES[table]:
            if ours in found or ours in left_out:
                continue
            theirs = find_alias(ours, [name for name in names if name not in found.values()])
            if theirs is not None:
                found[ours] = theirs
                if theirs not in OWN_NAMES.get(ours, (ours,)):
                    self.notes.append(f"{path.name}: column {theirs!r} is read as {ours}")
        own = KEYS.get(table)
        if own and own not in found.keys() | left_out:
            for plain in _find_plain_ids(names, found):
                found[own] = plain
                self.notes.append(f"{path.name}: column {plain!r} is read as {own}")
        for ours in ("user_id", "item_id"):
            if ours in TABLES[table] and ours not in found:
                raise self._missing(ours, names, path)
        return {theirs: ours for ours, theirs in found.items()}

    def note_unused(self, names: Sequence[str], matched: Mapping[str, str], path: Path) -> None:
        """Remark on columns of a log that are not read."""
        if rest := [name for name in names if name not in matched]:
            self.notes.append(f"{path.name}: not read: {list_names(rest)}")

    def refuse_unmatched(self) -> None:
        """Refuse names of theirs that no file has."""
        for ours, theirs in self._given.items():
            if ours not in self._met:
                fix = did_you_mean(theirs, list(self._seen))
                raise DataError(f"no file has a column {theirs!r} to read as {ours}", where="--column", fix=fix)

    @staticmethod
    def _missing(ours: str, names: Sequence[str], path: Path) -> DataError:
        from difflib import get_close_matches

        fields = names[0].split() if len(names) == 1 else names
        if looks_like_row(fields):
            what = f"no column {ours!r}: the first line holds data, not column names"
            said = " ".join(f"--column {ours}={number}" for ours, number in guess_positions(fields).items())
            raise DataError(
                f"{what}: {list_names(names)}", where=f"{path}:1", fix=f"Number the columns, for example: {said}"
            )
        if len(names) == 1 and (odd := re.findall(r"(?<=\w)[^\w\s\"'.(-]+(?=\w)", names[0])) and len(set(odd)) == 1:
            fix = f"If {odd[0]!r} separates the columns: --delimiter {odd[0]!r}."
            return DataError(f"no column {ours!r}; the only column is {list_names(names)}", where=f"{path}:1", fix=fix)
        near = get_close_matches(ours, names, 1) or ["COLUMN"]
        fix = f"If one of them holds it, name it: --column {ours}={near[0]}."
        if path.suffix:  # a frame has no first line
            fix += " The first line must name the columns; "
            fix += "if it does not, number them: --column user_id=1 --column item_id=2."
        where = f"{path}:1" if path.suffix else str(path)
        return DataError(f"no column {ours!r}; the columns are: {list_names(names)}", where=where, fix=fix)

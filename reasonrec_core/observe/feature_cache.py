"""Feature rows on disk, found by the content they were computed from.

A store holds one encoder's rows. While the encoder works, finished rows go to ``parts/`` (so a run that was killed
goes on where it stopped); once a catalogue is complete they become a view: one matrix in the catalogue's order,
memory-mapped. A later catalogue takes the rows that it shares with older views from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import DataError
from reasonrec_core.io import content_hash, read_arrays, read_json, whole_folder, write_arrays, write_json
from reasonrec_core.observe.inputs import Keys
from reasonrec_core.types import Float32

ROWS_AT_ONCE = 16_384
Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class FeatureView:
    """One catalogue's features.

    Attributes:
        values: float32[n_items, d], memory-mapped read-only; NaN where ``keys`` is empty or refused.
        refused: reasons by key, for inputs that turned out unusable.
        digest: of the keys.
    """

    values: Float32
    refused: Mapping[bytes, str]
    digest: str


class RowStore:
    """The rows of one encoder in ``folder``; several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def view(self, keys: Keys) -> FeatureView | None:
        """The finished matrix for these keys in this order, or None."""
        digest = content_hash(keys.tobytes())
        folder = self.folder / "views" / digest[:32]
        if not folder.is_dir():
            return None
        values = _mapped(folder / "values.npy")
        if values is None or len(values) != len(keys):
            return None
        return FeatureView(values, _reasons(folder), digest)

    def add(self, keys: Sequence[bytes], values: Float32 | None, refused: Mapping[bytes, str]) -> None:
        """Keep finished rows: float32[len(keys), d] in the order of ``keys``, and what was refused."""
        if not keys and not refused:
            return
        arrays = {
            "keys": np.array(keys, dtype="S32"),
            "values": np.zeros((0, 0), np.float32) if values is None else values,
            "refused": np.array(list(refused), dtype="S32"),
            "reasons": np.array(list(refused.values()), dtype=np.str_),
        }
        write_arrays(self.folder / "parts" / f"{content_hash(list(keys), list(refused))[:32]}.npz", arrays)

    def known(self, keys: Keys) -> KnownRows:
        """What is there already of ``keys`` (S32[m], unique, sorted)."""
        found = KnownRows(keys, np.full(len(keys), -1, np.intp), np.zeros(len(keys), np.intp), [], {})
        for source, held, reasons in self._sources():
            found.refused.update({k: r for k, r in reasons.items() if k in found})
            found.take(source, held)
        return found

    def assemble(self, keys: Keys) -> FeatureView:
        """Make the view of ``keys`` (all known by now) and drop the parts that it covers."""
        unique, inverse = np.unique(keys, return_inverse=True)
        known = self.known(unique)
        digest = content_hash(keys.tobytes())
        with whole_folder(self.folder / "views" / digest[:32], first_stays=True) as aside:
            np.save(aside / "keys.npy", keys)
            write_json(aside / "refused.json", {k.decode(): r for k, r in known.refused.items()})
            _write_rows(aside / "values.npy", known, inverse)
        for path in self._parts():
            part = _part(path)
            if part is None or bool(np.isin(part["keys"], unique).all()):
                path.unlink(missing_ok=True)
        view = self.view(keys)
        assert view is not None
        return view

    def _parts(self) -> list[Path]:
        return sorted((self.folder / "parts").glob("*.npz"))

    def _sources(self) -> Iterator[tuple[Path, Keys, Mapping[bytes, str]]]:
        for folder in sorted((self.folder / "views").glob("*/")):
            keys, reasons = _mapped(folder / "keys.npy"), _reasons(folder)
            if keys is not None and _mapped(folder / "values.npy") is not None:
                usable = np.where(np.isin(keys, np.array(list(reasons), dtype="S32")), b"", keys)
                yield folder / "values.npy", usable.astype("S32"), reasons
        for path in self._parts():
            part = _part(path)
            if part is not None:
                refused = zip(part["refused"].tolist(), part["reasons"].tolist(), strict=True)
                yield path, part["keys"], dict(refused)


@dataclass
class KnownRows:
    """Where the rows of sorted unique ``keys`` lie: a source and a row within it; -1 where nowhere."""

    keys: Keys
    source: Index
    row: Index
    sources: list[Path]
    refused: dict[bytes, str]

    def __contains__(self, key: bytes) -> bool:
        at = int(np.searchsorted(self.keys, np.bytes_(key)))
        return at < len(self.keys) and bool(self.keys[at] == key)

    def take(self, source: Path, held: Keys) -> None:
        """Note the rows of ``source`` that are wanted and not found elsewhere."""
        rows = np.flatnonzero(held != b"")
        at = np.searchsorted(self.keys, held[rows])
        fits = at < len(self.keys)
        rows, at = rows[fits], at[fits]
        fits = (self.keys[at] == held[rows]) & (self.source[at] < 0)
        if fits.any():
            self.source[at[fits]], self.row[at[fits]] = len(self.sources), rows[fits]
            self.sources.append(source)

    @property
    def width(self) -> int | None:
        """d of the rows that are there, None if there are none."""
        return next((r.shape[1] for s in self.sources if (r := read_rows(s)) is not None), None)

    @property
    def pending(self) -> Index:
        """Positions of the keys that have neither a row nor a refusal."""
        refused = np.array(list(self.refused), dtype="S32")
        return np.flatnonzero((self.source < 0) & (self.keys != b"") & ~np.isin(self.keys, refused))


def read_rows(source: Path) -> Float32 | None:
    """The rows of one source; a view's are memory-mapped."""
    if source.suffix == ".npy":
        return cast(Float32 | None, _mapped(source))
    part = _part(source)
    return None if part is None else np.asarray(part["values"])


def _write_rows(path: Path, known: KnownRows, inverse: Index) -> None:
    source = known.source[inverse]
    shape = (len(inverse), known.width or 0)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, len(inverse), ROWS_AT_ONCE):
        out[start : start + ROWS_AT_ONCE] = np.nan
    for number, file in enumerate(known.sources):
        rows = read_rows(file)
        wanted = np.flatnonzero(source == number)
        if rows is None:
            raise DataError("cached features vanished while in use", where=str(file), fix="Run again.")
        for start in range(0, len(wanted), ROWS_AT_ONCE):
            some = wanted[start : start + ROWS_AT_ONCE]
            out[some] = rows[known.row[inverse[some]]]
    out.flush()


def _mapped(path: Path) -> Any:
    """The array, memory-mapped; None where it is absent or damaged (it is then computed again)."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _part(path: Path) -> dict[str, Any] | None:
    try:
        found = read_arrays(path)
    except DataError:
        return None
    return found if {"keys", "values", "refused", "reasons"} <= set(found) else None


def _reasons(folder: Path) -> dict[bytes, str]:
    path = folder / "refused.json"
    return {k.encode(): str(r) for k, r in read_json(path).items()} if path.exists() else {}

"""Feature rows on disk, found by the content they were computed from.

A store holds one encoder's rows in blocks. While the encoder works, finished rows become blocks under ``parts/`` (so a
run that was killed goes on where it stopped); once a catalogue is complete they become one under ``views/``: a matrix
in the catalogue's order. A later catalogue takes the rows that it shares with older blocks from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import DataError
from reasonrec_core.io import NO_ARRAY, content_hash, is_leftover, read_json, sweep_leftovers, whole_folder, write_json
from reasonrec_core.observe.inputs import Keys
from reasonrec_core.types import Float32

ROWS_AT_ONCE = 16_384
Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Block:
    """Rows of one encoder.

    Attributes:
        keys: S32[n]: of the inputs.
        values: float32[n, d], memory-mapped read-only; NaN where the key is empty or refused.
        refused: reasons by key, for inputs that turned out unusable.
    """

    keys: Keys
    values: Float32
    refused: Mapping[bytes, str]

    @classmethod
    def open(cls, folder: Path) -> Block | None:
        """The block in ``folder``; None where it is absent or damaged (its rows are then computed again)."""
        try:
            keys, values = (np.load(folder / f"{n}.npy", "r", allow_pickle=False) for n in ("keys", "values"))
            reasons = dict(read_json(folder / "refused.json"))
        except (*NO_ARRAY, MemoryError, DataError):
            return None
        if (keys.dtype.str, keys.shape, values.dtype.name, values.ndim) != ("|S32", values.shape[:1], "float32", 2):
            return None
        return cls(keys, values, {key.encode(): str(reason) for key, reason in reasons.items()})

    @property
    def digest(self) -> str:
        """Of the keys."""
        return content_hash(self.keys.tobytes())


class RowStore:
    """The rows of one encoder in ``folder``; several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def view(self, keys: Keys) -> Block | None:
        """The finished matrix for these keys in this order, or None."""
        found = Block.open(self._view(keys))
        return found if found is not None and np.array_equal(found.keys, keys) else None

    def add(self, keys: Sequence[bytes], values: Float32 | None, refused: Mapping[bytes, str]) -> None:
        """Keep finished rows: float32[len(keys), d] in the order of ``keys``, and what was refused."""
        if keys or refused:
            name = content_hash(list(keys), list(refused))[:32]
            with whole_folder(self.folder / "parts" / name, first_stays=True) as aside:
                _describe(aside, np.array(keys, dtype="S32"), refused)
                np.save(aside / "values.npy", np.zeros((0, 0), np.float32) if values is None else values)

    def known(self, keys: Keys) -> KnownRows:
        """What is there already of ``keys`` (S32[m], unique, sorted)."""
        found = KnownRows(keys, np.full(len(keys), -1, np.intp), np.zeros(len(keys), np.intp), [], {})
        # Parts first: another process deletes them once their rows are in a view.
        for _, block in self._blocks("parts", "views"):
            if block is not None:
                found.take(block)
        return found

    def assemble(self, keys: Keys) -> Block:
        """Make the view of ``keys`` (all known by now) and drop the parts that it covers."""
        unique, inverse = np.unique(keys, return_inverse=True)
        known = self.known(unique)
        if self._view(keys).exists() and Block.open(self._view(keys)) is None:
            shutil.rmtree(self._view(keys), ignore_errors=True)  # what is damaged must not stay
        with whole_folder(self._view(keys), first_stays=True) as aside:
            _describe(aside, keys, known.refused)
            known.write(aside / "values.npy", inverse)
        for name in ("parts", "views"):
            sweep_leftovers(self.folder / name)
        for folder, block in self._blocks("parts"):
            if block is None or bool(np.isin(block.keys, unique).all()):
                shutil.rmtree(folder, ignore_errors=True)
        view = self.view(keys)
        assert view is not None
        return view

    def _view(self, keys: Keys) -> Path:
        return self.folder / "views" / content_hash(keys.tobytes())[:32]

    def _blocks(self, *where: str) -> Iterator[tuple[Path, Block | None]]:
        for part in where:
            for folder in sorted((self.folder / part).glob("*/")):
                if not is_leftover(folder.name):  # somebody may be writing it
                    yield folder, Block.open(folder)


@dataclass
class KnownRows:
    """Where the rows of sorted unique ``keys`` lie: a source and a row within it; -1 where nowhere."""

    keys: Keys
    source: Index
    row: Index
    sources: list[Float32]
    refused: dict[bytes, str]

    def take(self, block: Block) -> None:
        """Note the rows of ``block`` that are wanted and not found elsewhere."""
        refused = np.array(list(block.refused), dtype="S32")
        wanted = refused[np.isin(refused, self.keys)].tolist()
        self.refused.update({key: block.refused[key] for key in wanted})
        rows = np.flatnonzero((block.keys != b"") & ~np.isin(block.keys, refused) & np.isin(block.keys, self.keys))
        at = np.searchsorted(self.keys, block.keys[rows])
        new = self.source[at] < 0
        if new.any():
            self.source[at[new]], self.row[at[new]] = len(self.sources), rows[new]
            self.sources.append(block.values)

    @property
    def width(self) -> int | None:
        """d of the rows that are there, None if there are none."""
        return self.sources[0].shape[1] if self.sources else None

    @property
    def pending(self) -> Index:
        """Positions of the keys that have neither a row nor a refusal."""
        refused = np.array(list(self.refused), dtype="S32")
        return np.flatnonzero((self.source < 0) & (self.keys != b"") & ~np.isin(self.keys, refused))

    def write(self, path: Path, index: Index) -> None:
        """Write float32[len(index), d], the rows at ``index``, a slab at a time; NaN where there is none."""
        shape = (len(index), self.width or 0)
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, len(index), ROWS_AT_ONCE):
            slab = index[start : start + ROWS_AT_ONCE]
            out[start : start + len(slab)] = np.nan
            for number, rows in enumerate(self.sources):
                at = np.flatnonzero(self.source[slab] == number)
                out[start + at] = rows[self.row[slab[at]]]
        out.flush()


def _describe(folder: Path, keys: Keys, refused: Mapping[bytes, str]) -> None:
    np.save(folder / "keys.npy", keys)
    write_json(folder / "refused.json", {key.decode(): reason for key, reason in refused.items()})

"""Encoder `precomputed`: the vectors of a file, found by the items' ids."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reasonrec_core.components import Encoder, ItemReader, Settings
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32, Int64
from reasonrec_precomputed.vector_files import VectorFile, open_vectors

LOG = logging.getLogger("reasonrec.precomputed")
FORMAT = 1
ROWS_AT_ONCE = 4096


class PrecomputedConfig(Settings):
    """Settings of `Precomputed`."""

    path: str = Field(
        description="File of vectors: .npy, .npz or .parquet. A relative path is sought in the folder of the data, "
        "then in the working folder."
    )
    ids: str | None = Field(
        None,
        description="Item ids of the rows: the name of an array (.npz), of a column (Parquet), or of a file beside the "
        "vectors; 'rows': the ids are row numbers from 0. If not set, they are found (NAME_ids.txt, "
        "i_id_mapping.csv, ...).",
    )
    vectors: str | None = Field(
        None, description="Array (.npz) or column (Parquet) of vectors; if not set, the only one."
    )
    normalize: bool = Field(False, description="Scale every vector to length 1.")


class Vectors:
    """What a file holds of a catalogue's items; an `ItemReader`.

    Attributes:
        file: of the vectors.
        rows: int64[n_items], each item's row in it; -1 where it has none.
        keys: S32[n_items], hashes of the vectors; empty where there is none.
        missing: what no item has, where none is named in the file.
    """

    def __init__(self, file: VectorFile, catalog: Catalog) -> None:
        place = {each: row for row, each in enumerate(file.ids)}
        self.file = file
        self.rows: Int64 = np.array([place.get(each, -1) for each in catalog.ids], np.int64)
        self.keys = self._hash_rows(catalog)
        theirs, ours = (", ".join(map(repr, some[:2])) for some in (file.ids, catalog.ids))
        self.missing = f"a vector in {file.path}, whose ids are such as {theirs}; the items' are {ours}"

    def _hash_rows(self, catalog: Catalog) -> npt.NDArray[np.bytes_]:
        keys = np.zeros(len(self.rows), "S32")
        items = np.flatnonzero(self.rows >= 0)
        items = items[np.argsort(self.rows[items])]  # in the order of the file, which may be larger than the memory
        for start in range(0, len(items), ROWS_AT_ONCE):
            some = items[start : start + ROWS_AT_ONCE]
            values = np.asarray(self.file.rows[self.rows[some]], np.float32)
            if (bad := np.flatnonzero(~np.isfinite(values).all(axis=1))).size:
                item = some[bad[0]]
                what = f"the vector of item {catalog.ids[item]!r} (row {self.rows[item] + 1}) holds NaN or infinity"
                fix = "Leave out the rows of items that have none."
                raise DataError(what, where=str(self.file.path), fix=fix)
            keys[some] = [hashlib.blake2b(row.tobytes(), digest_size=16).hexdigest().encode() for row in values]
        return keys

    def report(self, catalog: Catalog) -> str | None:
        """A sentence on items without a vector and vectors without an item; None where there are neither."""
        without = [catalog.ids[item] for item in np.flatnonzero(self.rows < 0)]
        left = [each for each in self.file.ids if each not in catalog.index]
        parts = []
        if without:
            parts.append(f"{len(without):,} of {len(catalog):,} items have no vector, such as {without[0]!r}")
        if left:
            parts.append(f"{len(left):,} of {len(self.file.ids):,} vectors belong to no item, such as {left[0]!r}")
        return f"{self.file.path}: {'; '.join(parts)}" if parts else None

    def load(self, item: int) -> Float32:
        """float32[d]."""
        return np.asarray(self.file.rows[self.rows[item]], np.float32)

    def size(self, item: int) -> int:
        """All are equally long."""
        return 1


class Precomputed(Encoder[PrecomputedConfig]):
    """Vectors that were made elsewhere, of audio, video, knowledge graphs or anything else.

    Its name in the pipeline is the name of the modality: ``[observe.audio]``. An item without a vector has none;
    how many is said.
    """

    Config = PrecomputedConfig
    modality = "vectors"

    def read(self, catalog: Catalog) -> ItemReader:
        """The vectors of the items.

        Raises:
            DataError, ConfigError: see `open_vectors`; a vector that is not finite.
        """
        config = self.config
        file = open_vectors(self._find(catalog), catalog.index, ids=config.ids, vectors=config.vectors)
        found = Vectors(file, catalog)
        if (sentence := found.report(catalog)) and (found.rows >= 0).any():
            LOG.warning("%s", sentence)
        return found

    def _find(self, catalog: Catalog) -> Path:
        """The file, beside the data or from the working folder."""
        source = catalog.source
        folder = source if source is None or source.is_dir() else source.parent
        places = [each / self.config.path for each in (folder, Path()) if each is not None]
        for path in places:
            if path.is_file():
                return path
        sought = ", ".join(dict.fromkeys(str(each.parent.resolve()) for each in places))
        raise ConfigError(f"no file {self.config.path!r}", where="precomputed.path", fix=f"It was sought in {sought}.")

    def encode(self, inputs: Sequence[Any]) -> Float32:
        """float32[n, d]: the vectors as they are, or of length 1."""
        vectors = np.stack(inputs).astype(np.float32, copy=False)
        if self.config.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
        return vectors

    def fingerprint(self) -> str:
        """The vectors themselves are hashed by the core."""
        return content_hash("precomputed", FORMAT, self.config.normalize)

    @classmethod
    def weights_info(cls, config: Settings) -> Mapping[str, str]:
        """Where the vectors come from."""
        assert isinstance(config, PrecomputedConfig)
        return {"source": config.path, "licence": "that of the vectors"}

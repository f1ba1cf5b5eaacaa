"""Saving and loading what `profile` learned: arrays in ``.npz`` without objects, the rest in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from reasonrec_core.builtin.profile.fields import ItemField
from reasonrec_core.builtin.profile.fitting import Model
from reasonrec_core.builtin.profile.propose import Expert
from reasonrec_core.builtin.profile.weigh import Weights
from reasonrec_core.errors import DataError
from reasonrec_core.files import read_json, whole_file, write_json

PARTS = ("data", "indices", "indptr", "shape")


def write_model(model: Model, folder: Path) -> None:
    """Write ``profile.json`` and ``profile.npz`` into ``folder``."""
    arrays: dict[str, Any] = {"popularity": model.popularity}
    for i, expert in enumerate(model.experts):
        arrays |= _parts(f"expert{i}", expert.matrix)
    for i, field in enumerate(model.fields):
        arrays |= {**_parts(f"field{i}", field.membership), f"field{i}.prior": field.prior}
    with whole_file(folder / "profile.npz") as aside, aside.open("wb") as stream:
        np.savez(stream, **arrays)
    numbers = ("decay", "strength", "exponent")
    experts = [{n: getattr(e, n) for n in ("name", "decay", "shrinkage", "modality")} for e in model.experts]
    fields = [{"name": f.name, "labels": list(f.labels), **{n: getattr(f, n) for n in numbers}} for f in model.fields]
    weights = model.weights.to_dict()
    write_json(
        folder / "profile.json", {"experts": experts, "fields": fields, "weights": weights, "report": model.report}
    )


def read_model(folder: Path) -> Model:
    """Read what `write_model` wrote; a broken file is a `DataError`."""
    stored = read_json(folder / "profile.json")
    try:
        with np.load(folder / "profile.npz", allow_pickle=False) as arrays:
            experts = tuple(
                Expert(e["name"], _matrix(f"expert{i}", arrays), e["decay"], e["shrinkage"], e["modality"])
                for i, e in enumerate(stored["experts"])
            )
            fields = tuple(_field(f, f"field{i}", arrays) for i, f in enumerate(stored["fields"]))
            popularity = arrays["popularity"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"not a saved profile ({error})", where=str(folder), fix="Fit again.") from error
    return Model(experts, fields, popularity, Weights.from_dict(stored["weights"]), stored["report"])


def _field(stored: Mapping[str, Any], key: str, arrays: Mapping[str, Any]) -> ItemField:
    numbers = {n: float(stored[n]) for n in ("decay", "strength", "exponent")}
    return ItemField(stored["name"], tuple(stored["labels"]), _matrix(key, arrays), arrays[f"{key}.prior"], **numbers)


def _parts(key: str, matrix: sparse.csr_matrix) -> dict[str, Any]:
    return {f"{key}.{part}": np.asarray(getattr(matrix, part)) for part in PARTS}


def _matrix(key: str, arrays: Mapping[str, Any]) -> sparse.csr_matrix:
    data, indices, indptr, shape = (arrays[f"{key}.{part}"] for part in PARTS)
    return sparse.csr_matrix((data, indices, indptr), shape=tuple(int(n) for n in shape))

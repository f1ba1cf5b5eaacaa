"""Saving and loading what `profile` learned: arrays in ``.npz`` without objects, the rest in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from reasonrec_transitions.api import TransitionParameters
from scipy import sparse

from reasonrec_core.errors import DataError
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_profile.decide import MixtureWeights
from reasonrec_profile.field_parsing import FieldParsing
from reasonrec_profile.fitting import ProfileModel
from reasonrec_profile.history_weights import AgeDecay
from reasonrec_profile.item_fields import ClusterCentres, ItemField
from reasonrec_profile.projection import Projection
from reasonrec_profile.propose import Expert

PARTS = ("data", "indices", "indptr", "shape")
OF_EXPERT = ("name", "shrinkage", "modality")
OF_FIELD = ("name", "labels", "strength", "exponent", "modality")


def write_model(model: ProfileModel, folder: Path) -> None:
    """Write ``profile.json`` and ``profile.npz`` into ``folder``."""
    arrays: dict[str, Any] = {"popularity": model.popularity}
    for i, expert in enumerate(model.experts):
        arrays |= _parts(f"expert{i}", expert.matrix)
        arrays |= expert.projection.arrays(f"expert{i}") if expert.projection else {}
    for i, field in enumerate(model.fields):
        arrays |= {**_parts(f"field{i}", field.membership), f"field{i}.prior": field.prior}
        if field.centres is not None:
            arrays |= {**field.centres.projection.arrays(f"field{i}"), f"field{i}.centres": field.centres.vectors}
    write_arrays(folder / "profile.npz", arrays)
    stored = {
        "experts": [{**_describe(expert, OF_EXPERT), "counting": expert.counting} for expert in model.experts],
        "fields": [{**_describe(field, OF_FIELD), "reading": asdict(field.reading)} for field in model.fields],
        "weights": model.weights.to_dict(),
        "report": model.report,
        "half_life": model.half_life,
    }
    write_json(folder / "profile.json", stored)


def read_model(folder: Path) -> ProfileModel:
    """Read what `write_model` wrote; a broken file is a `DataError`."""
    stored, arrays = read_json(folder / "profile.json"), read_arrays(folder / "profile.npz")
    try:
        experts = tuple(_expert(e, f"expert{i}", arrays) for i, e in enumerate(stored["experts"]))
        fields = tuple(_field(f, f"field{i}", arrays) for i, f in enumerate(stored["fields"]))
        weights = MixtureWeights.from_dict(stored["weights"])
        return ProfileModel(experts, fields, arrays["popularity"], weights, stored["report"], stored["half_life"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"is not a saved profile ({error})", where=str(folder), fix="Fit again.") from error


def _describe(part: Expert | ItemField, names: tuple[str, ...]) -> dict[str, Any]:
    return {**{name: getattr(part, name) for name in names}, "fade": asdict(part.fade)}


def _expert(stored: Mapping[str, Any], key: str, arrays: Mapping[str, Any]) -> Expert:
    return Expert(
        stored["name"],
        _matrix(key, arrays),
        AgeDecay(**stored["fade"]),
        stored["shrinkage"],
        stored["modality"],
        Projection.from_arrays(key, arrays),
        TransitionParameters(*stored["counting"]) if stored["counting"] else None,
    )


def _field(stored: Mapping[str, Any], key: str, arrays: Mapping[str, Any]) -> ItemField:
    projection, reading = Projection.from_arrays(key, arrays), stored["reading"]
    return ItemField(
        stored["name"],
        tuple(stored["labels"]),
        _matrix(key, arrays),
        arrays[f"{key}.prior"],
        AgeDecay(**stored["fade"]),
        stored["strength"],
        stored["exponent"],
        stored["modality"],
        FieldParsing(reading["path"], tuple(reading["edges"])),
        None if projection is None else ClusterCentres(projection, arrays[f"{key}.centres"]),
    )


def _parts(key: str, matrix: sparse.csr_matrix) -> dict[str, Any]:
    return {f"{key}.{part}": np.asarray(getattr(matrix, part)) for part in PARTS}


def _matrix(key: str, arrays: Mapping[str, Any]) -> sparse.csr_matrix:
    data, indices, indptr, shape = (arrays[f"{key}.{part}"] for part in PARTS)
    return sparse.csr_matrix((data, indices, indptr), shape=tuple(int(n) for n in shape))

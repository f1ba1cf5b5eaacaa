"""What the suites compare: answers with answers, arrays with copies of them, files with what they may be."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Deliberation, Observation, QueryBatch, Ranking, Uncertainty

PICKLED_SUFFIXES = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill"}


def arrays_of(*values: QueryBatch | Observation) -> dict[str, npt.NDArray[Any]]:
    """Every array that a component was given, by name."""
    found: dict[str, npt.NDArray[Any]] = {}
    for value in values:
        if isinstance(value, QueryBatch):
            found |= {"users": value.users, "history.items": value.history.items}
            found |= {"history.indptr": value.history.indptr, "history.times": value.history.times}
            optional = {"candidates": value.candidates, "times": value.times}
            found |= {name: array for name, array in optional.items() if array is not None}
        else:
            found |= {f"features[{name}]": array for name, array in value.features.items()}
            found |= {f"present[{name}]": array for name, array in value.present.items()}
            found["horizon"] = value.horizon
    return found


def assert_unchanged(before: dict[str, npt.NDArray[Any]], after: dict[str, npt.NDArray[Any]]) -> None:
    """No array was written to."""
    for name, array in before.items():
        assert np.array_equal(array, after[name], equal_nan=array.dtype.kind == "f"), f"{name} was modified"


def assert_close(one: npt.NDArray[Any], other: npt.NDArray[Any], what: str) -> None:
    """Equal up to rounding (float32 sums in another order)."""
    np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5, err_msg=what)


def assert_same_ranking(one: Ranking, other: Ranking, what: str) -> None:
    """Equal scores; equal items but for ties."""
    assert one.items.shape == other.items.shape, what
    assert_close(one.scores, other.scores, what)
    close = np.isclose(one.scores[:, 1:], one.scores[:, :-1], rtol=1e-3, atol=1e-4)
    tied = np.pad(close, ((0, 0), (1, 0))) | np.pad(close, ((0, 0), (0, 1)))
    tied[:, -1:] = True  # the last place may be tied with one that did not make it
    assert ((one.items == other.items) | tied).all(), f"{what}: other items"


def assert_same_deliberation(one: Deliberation, other: Deliberation, what: str) -> None:
    """Equal answers, confidence and claims."""
    assert_close(one.confidence, other.confidence, f"{what}: confidence")
    if one.ranking is not None and other.ranking is not None:
        assert_same_ranking(one.ranking, other.ranking, what)
    for name in ("mass", "probability"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None), f"{what}: {name}"
        if left is not None:
            assert_close(left, right, f"{what}: {name}")
    assert one.text == other.text, f"{what}: text"
    kinds = [[[step.kind for step in steps] for steps in answer.steps] for answer in (one, other)]
    assert kinds[0] == kinds[1], f"{what}: steps"


def assert_same_uncertainty(one: Uncertainty, other: Uncertainty, what: str) -> None:
    """Equal values and stage."""
    for name in ("total", "epistemic", "aleatoric"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None), f"{what}: {name}"
        if left is not None:
            assert_close(left, right, f"{what}: {name}")


def assert_no_pickle(folder: Path) -> None:
    """No file in ``folder`` could run code when it is read."""
    for path in (p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder)
        assert path.suffix not in PICKLED_SUFFIXES, f"{name}: a pickle format"
        head = path.read_bytes()[:9]
        tensors = path.suffix == ".safetensors" and head[8:] == b"{"  # begins with a length, which may be any bytes
        pickled = head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05"
        assert tensors or not pickled, f"{name}: a pickle"
        if head[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                assert not any(n.endswith(".pkl") for n in archive.namelist()), f"{name}: holds a pickle"
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                for key in arrays:
                    arrays[key]

"""Arrays in files: whole, without objects, damage is one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_cases import make_cases

from reasonrec_core.errors import DataError
from reasonrec_core.io import read_arrays, write_arrays

ARRAYS = {"a": np.arange(3), "b": np.float32([[1, np.nan]]), "text": np.array(["x", "Ω"])}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_arrays(tmp_path / "deep" / "x.npz", ARRAYS)
    found = read_arrays(tmp_path / "deep" / "x.npz")
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize("how", ["gone", "empty", "cut", "noise", "flipped"])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, how: str) -> None:
    path = tmp_path / "x.npz"
    write_arrays(path, {"a": np.arange(5000)})
    whole = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        path.write_bytes({"empty": b"", "cut": whole[:middle], "noise": b"\x93" * 400, "flipped": flipped}[how])
    with pytest.raises(DataError) as caught:
        read_arrays(path)
    assert str(path) in str(caught.value)


def test_objects_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(DataError, match=r"x\.npz"):
        read_arrays(tmp_path / "x.npz")


def test_a_sample_of_cases_keeps_their_order() -> None:
    cases = make_cases([[n] for n in range(20)])
    assert cases.sample(20, 0) is cases
    some = cases.sample(7, 3)
    assert len(some) == 7
    assert some.targets.tolist() == sorted(set(some.targets.tolist()))
    assert some.targets.tolist() == cases.sample(7, 3).targets.tolist() != cases.sample(7, 4).targets.tolist()
    np.testing.assert_array_equal(some.queries.users, some.targets)

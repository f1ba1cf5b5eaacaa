"""Histories that rows share are the same data as histories of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from reasonrec_datasets import RawTables, build_dataset
from reasonrec_datasets.importing import histories
from reasonrec_datasets.importing.histories import flatten_shared, spell_out

LISTS = [["a"], [], ["b", "a", "c"], ["c"]]


@pytest.mark.parametrize("step", [1, 3, 1 << 17])
def test_codes_are_spelt_out(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "STEP", step)
    rng = np.random.default_rng(0)
    lists = pa.array([rng.integers(0, 9, n).tolist() for n in (0, 3, 1, 0, 5)], pa.large_list(pa.int32()))
    for codes in ([], [3], [4, 4, 0, 1, 2, 1, 4]):
        shared = share(codes, lists)
        assert spell_out(shared).to_pylist() == [lists[code].as_py() for code in codes]


def share(codes: list[int], lists: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), lists)


def test_a_log_of_shared_histories_is_the_log_of_plain_ones(tmp_path: Path) -> None:
    codes = [2, 0, 1, 2, 3, 0]
    lists = pa.array(LISTS, pa.large_list(pa.string()))
    log = {"user_id": list("uvuvwu"), "item_id": list("abcabc"), "timestamp": [5, 4, 3, 2, 1, 1]}
    plain = pa.table({**log, "history": pa.array([LISTS[code] for code in codes])})
    parts = [
        pa.table({**{n: v[rows] for n, v in log.items()}, "history": share(codes[rows], lists)})
        for rows in (slice(0, 2), slice(2, 6))
    ]
    shared = pa.concat_tables(parts)
    column = flatten_shared(shared.column("history"))
    assert column is not None
    assert [column.dictionary[code].as_py() for code in column.indices.to_pylist()] == [LISTS[code] for code in codes]
    hashes = {build_dataset(RawTables(t), tmp_path / str(n)).hash for n, t in enumerate((plain, shared))}
    assert len(hashes) == 1

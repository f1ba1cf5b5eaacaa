"""Vectors from every kind of file reach the right items; what is missing is said; what is wrong is one clear error."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reasonrec_precomputed.encoder import Precomputed, PrecomputedConfig

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, DataError, PluginError
from reasonrec_core.observe import ObservedItems, observe_items
from reasonrec_core.testing import EncoderConformance
from reasonrec_core.testing.tiny import N_ITEMS, item_id

IDS = [f"B{number}" for number in (7, 3, 9, 1)]
TABLE = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
ITEMS = ["B1", "B2", "B3", "B7", "B9"]
"""The items, in another order than the rows; B2 has no vector."""


class TestPrecomputed(EncoderConformance):
    component = "precomputed"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _settings(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("vectors")
        np.save(folder / "sound.npy", np.random.default_rng(1).normal(size=(N_ITEMS - 2, 6)))
        (folder / "sound_ids.txt").write_text("\n".join(item_id(item) for item in range(N_ITEMS - 2)))
        cls.settings = {"path": str(folder / "sound.npy"), "normalize": True}


def observe(folder: Path, items: list[str] = ITEMS, /, **settings: Any) -> ObservedItems:
    catalog = Catalog(pa.table({"item_id": items}), source=folder)
    encoder = Precomputed(PrecomputedConfig.model_validate(settings))
    return observe_items(catalog, {"audio": encoder}, folder / "cache")


def check(seen: ObservedItems, ids: list[str] = ITEMS) -> None:
    rows = [IDS.index(each) if each in IDS else -1 for each in ids]
    expected = np.where(np.array(rows)[:, None] < 0, np.float32(np.nan), TABLE[rows])
    np.testing.assert_array_equal(seen.features["audio"], expected)
    np.testing.assert_array_equal(seen.present["audio"], np.array(rows) >= 0)


def write_npz(path: Path) -> None:
    np.savez(path / "a.npz", ids=np.array(IDS), audio=TABLE, length=np.arange(4))


def write_lists(path: Path) -> None:
    pq.write_table(pa.table({"item_id": IDS, "audio": list(TABLE)}), path / "a.parquet")


def write_fixed_lists(path: Path) -> None:
    flat = pa.array(np.concatenate([TABLE, TABLE[:1]]).ravel())
    lists = pa.FixedSizeListArray.from_arrays(flat, 3, mask=pa.array([False] * 4 + [True]))
    ids = pa.array([*IDS, "B2"]).dictionary_encode()
    pq.write_table(pa.table({"asset": ids, "audio": lists}), path / "a.parquet")


def write_columns(path: Path) -> None:
    columns = {f"dim{d}": TABLE[:, d].astype(np.float64) for d in range(3)}
    pq.write_table(pa.table({"item_id": IDS, **columns}), path / "a.parquet")


def write_npy(path: Path) -> None:
    np.save(path / "a.npy", TABLE.astype(np.float64))


def write_named(path: Path) -> None:
    write_npy(path)
    np.save(path / "names.npy", np.array(IDS))


def write_mmrec(path: Path) -> None:
    write_npy(path)
    order = [2, 0, 3, 1]  # the lines of the map need not stand in the order of the rows
    (path / "i_id_mapping.csv").write_text("asin\titemID\n" + "".join(f"{IDS[row]}\t{row}\n" for row in order))


def write_json(path: Path) -> None:
    write_npy(path)
    (path / "a_ids.json").write_text(str(IDS).replace("'", '"'))


@pytest.mark.parametrize(
    ("write", "settings"),
    [
        (write_npz, {"path": "a.npz"}),
        (write_npz, {"path": "a.npz", "ids": "ids", "vectors": "audio"}),
        (write_lists, {"path": "a.parquet"}),
        (write_fixed_lists, {"path": "a.parquet", "ids": "asset"}),
        (write_columns, {"path": "a.parquet"}),
        (write_named, {"path": "a.npy", "ids": "names.npy"}),
        (write_json, {"path": "a.npy"}),
        (write_mmrec, {"path": "a.npy"}),
    ],
)
def test_every_kind_of_file_reaches_the_right_items(
    write: Callable[[Path], None], settings: dict[str, Any], tmp_path: Path
) -> None:
    write(tmp_path)
    check(observe(tmp_path, **settings))


def test_mmrecs_items_may_be_numbers_of_rows(tmp_path: Path) -> None:
    """Its logs name items by the row, its maps say what they were before; whichever the data uses."""
    write_mmrec(tmp_path)
    numbered = ["3", "4", "1", "0", "2"]
    check_numbers = observe(tmp_path, numbered, path="a.npy")
    np.testing.assert_array_equal(check_numbers.features["audio"][[0, 2, 3, 4]], TABLE[[3, 1, 0, 2]])
    (tmp_path / "i_id_mapping.csv").unlink()
    (tmp_path / "baby.inter").write_text("userID\titemID\n0\t3\n")
    for settings in ({}, {"ids": "rows"}):
        again = observe(tmp_path, numbered, path="a.npy", **settings)
        np.testing.assert_array_equal(again.features["audio"], check_numbers.features["audio"])


def test_items_without_vectors_and_vectors_without_items_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_npz(tmp_path)
    with caplog.at_level(logging.WARNING, "reasonrec"):
        observe(tmp_path, ["B1", "B2", "B3"], path="a.npz")
    assert "1 of 3 items have no vector, such as 'B2'; 2 of 4 vectors belong to no item, such as 'B7'" in caplog.text


def test_a_changed_file_is_read_again_and_equal_rows_are_not(tmp_path: Path) -> None:
    write_named(tmp_path)
    first = observe(tmp_path, path="a.npy", ids="names.npy")
    np.save(tmp_path / "a.npy", np.concatenate([TABLE[:3], TABLE[3:] + 1]))
    second = observe(tmp_path, path="a.npy", ids="names.npy")
    np.testing.assert_array_equal(second.features["audio"][0], TABLE[3] + 1)
    np.testing.assert_array_equal(second.features["audio"][2:], first.features["audio"][2:])
    assert first.digests != second.digests


def spoil(**changes: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        np.savez(path / "a.npz", **{"ids": np.array(IDS), "audio": TABLE, **changes})

    return write


class Trap:
    """Unpickling it would leave a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("opened"),)


def write_pickle(path: Path) -> None:
    (path / "a.npy").write_bytes(pickle.dumps([Trap()]))
    (path / "a_ids.txt").write_text("B1")


def write_objects(path: Path) -> None:
    np.save(path / "a.npy", np.array([Trap(), None], object), allow_pickle=True)
    (path / "a_ids.txt").write_text("B1")


def write_ragged(path: Path) -> None:
    pq.write_table(pa.table({"item_id": IDS, "audio": [[1.0, 2.0], [1.0], [0.0, 0.0], [1.0, 1.0]]}), path / "a.parquet")


def write_cut(path: Path) -> None:
    write_npz(path)
    whole = (path / "a.npz").read_bytes()
    (path / "a.npz").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("write", "settings", "error", "message"),
    [
        (spoil(audio=TABLE[:3]), {"path": "a.npz"}, DataError, r"a\.npz: 4 ids for the 3 vectors of a\.npz"),
        (spoil(audio=np.zeros((4, 0))), {"path": "a.npz"}, DataError, r"the shape \(4, 0\), not \(items, dimensions\)"),
        (spoil(), {"path": "a.npz", "vectors": "ids"}, DataError, r"the vectors have the shape \(4\), not"),
        (spoil(audio=TABLE > 0), {"path": "a.npz"}, DataError, "the vectors are bool, not numbers"),
        (spoil(audio=np.where(TABLE[2, 1] == TABLE, np.nan, TABLE)), {"path": "a.npz"}, DataError,
         r"the vector of item 'B9' \(row 3\) holds NaN or infinity\. Leave out"),
        (spoil(ids=np.array(["B1", "B3", "B1", "B9"])), {"path": "a.npz"}, DataError,
         "item 'B1' has two vectors, in the rows 1 and 3"),
        (spoil(ids=np.array(["x", "y", "z", "w"])), {"path": "a.npz"}, DataError,
         r"audio: no item has a vector in .*a\.npz, whose ids are such as 'x', 'y'; the items' are 'B1', 'B2'"),
        (spoil(ids=np.arange(4.0)), {"path": "a.npz"}, DataError, r"the ids are float64\[4\], not one row of text or"),
        (spoil(video=TABLE), {"path": "a.npz"}, ConfigError, "holds several tables: audio, video. Choose one"),
        (spoil(), {"path": "a.npz", "vectors": "adio"}, ConfigError, "nothing is called 'adio'.*'audio'"),
        (spoil(), {"path": "a.npz", "ids": "asin"}, ConfigError, "neither a part nor a file called 'asin'"),
        (write_npy, {"path": "a.npy"}, ConfigError, "no item ids stand beside the vectors. Put the ids into a_ids.txt"),
        (write_npy, {"path": "b.npy"}, ConfigError, r"precomputed\.path: no file 'b\.npy'\. It was sought in"),
        (write_npy, {"path": "cache/x"}, ConfigError, "no file 'cache/x'"),
        (write_ragged, {"path": "a.parquet"}, DataError, "vector 2 has 1 numbers, the first 2"),
        (write_pickle, {"path": "a.npy"}, DataError, "holds pickled Python objects, which are never loaded"),
        (write_objects, {"path": "a.npy"}, DataError, "holds pickled Python objects, which are never loaded"),
        (spoil(audio=np.array([Trap()] * 4, object)), {"path": "a.npz"}, DataError, "holds pickled Python objects"),
        (write_cut, {"path": "a.npz"}, DataError, "is damaged, or not a file of numpy"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_clear_error(
    write: Callable[[Path], None],
    settings: dict[str, Any],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    with pytest.raises(error, match=message):
        observe(tmp_path, **settings)
    assert not (tmp_path / "opened").exists()


def test_items_that_come_later_may_have_no_vector_at_all(tmp_path: Path) -> None:
    write_npz(tmp_path)
    catalog = Catalog(pa.table({"item_id": ["new"]}), source=tmp_path)
    encoder = Precomputed(PrecomputedConfig(path="a.npz"))
    seen = observe_items(catalog, {"audio": encoder}, tmp_path / "cache", some=False)
    assert not seen.present["audio"].any()


def test_an_encoder_that_does_not_read_its_modality_is_named(tmp_path: Path) -> None:
    class Smell(Precomputed):
        modality = "smell"
        read = Precomputed.__mro__[1].read  # type: ignore[assignment]

    with pytest.raises(PluginError, match=r"observe\.nose: the encoder .*Smell could not read .*modality 'smell'"):
        observe_items(Catalog(pa.table({"item_id": ["a"]})), {"nose": Smell(PrecomputedConfig(path="x"))}, tmp_path)

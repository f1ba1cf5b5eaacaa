"""Ids: one rule, counted; what a program mangled is said or refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from reasonrec_datasets import build_dataset, import_path
from reasonrec_datasets.importing.id_checks import find_lookalikes
from reasonrec_datasets.importing.id_parsing import parse_ids

from reasonrec_core.errors import DataError


def read(cells: list[str]) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    return parse_ids(pa.array(cells), "item_id", None, notes).to_pylist(), notes


def test_a_whole_number_is_one_id_however_it_is_written() -> None:
    ids, notes = read(["7", "7.0", "8.00", "9.", " 7 ", "7.5", "v1.0", "-3.0"])
    assert ids == ["7", "7", "8", "9", "7", "7.5", "v1.0", "-3"]
    assert notes == ["item_id: 4 of 8 ids are written like '7.0' and read as '7' (first at row 2)"]


def test_leading_zeros_stay_and_are_said_where_both_occur() -> None:
    assert read(["007", "8"]) == (["007", "8"], [])
    ids, _ = read(["07", "7.0", "007"])
    assert ids == ["07", "7", "007"]
    note = find_lookalikes(pa.array(ids), "item_id")[0]
    assert "item_id: 2 ids differ from another only by leading zeros, e.g. '07' and '7'; they are kept apart" in note


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (["u1", "u1\u200b"], "invisible characters"),
        (["caf\u00e9", "cafe\u0301"], "how accents are encoded"),
        (["Anna", "anna"], "case"),
        (["u 1", "u  1"], "spaces"),
    ],
)
def test_ids_that_look_alike_are_said_and_kept_apart(pair: list[str], words: str) -> None:
    assert read(pair)[0] == pair
    found = find_lookalikes(pa.array([*pair, "other"]), "user_id")
    assert len(found) == 1
    assert words in found[0]
    assert found[0].isascii()
    assert find_lookalikes(pa.array(["a", "b", "\U0001f469\u200d\U0001f467"]), "user_id") == []


def test_ids_of_databases_and_spreadsheets() -> None:
    decimals = pa.chunked_array([pa.array([1, 22], pa.int8()).cast(pa.decimal128(38, 0))])
    assert parse_ids(decimals, "user_id").to_pylist() == ["1", "22"]
    assert parse_ids(pa.array([b"u1", "\u00e9".encode()]), "user_id").to_pylist() == ["u1", "\u00e9"]
    with pytest.raises(DataError, match="whole number"):
        parse_ids(pa.array([1.5]).cast(pa.decimal128(10, 2)), "user_id")
    with pytest.raises(DataError, match="bytes"):
        parse_ids(pa.array([b"\xff\xfe"]), "user_id")
    ids, notes = read(['="001"', "2"])
    assert ids == ["001", "2"]
    assert "1 of 2 ids are written like '=\"001\"' and read as '001'" in notes[0]
    assert "spreadsheet" in read(["########", "2"])[1][0]


def test_shortened_numbers_are_a_warning_and_codes_are_none() -> None:
    assert read(["1E5", "12E34", "e+10", "3.5"])[1] == []
    (note,) = read(["a", "4.00638E+12", "4.00638E+12"])[1]
    assert note.startswith("WARNING: item_id: 2 of 3 ids")
    assert "'4.00638E+12' (first at row 2)" in note


@pytest.mark.parametrize("cell", ["1,23457E+12", "5-Mar", "Sep-02"])
def test_what_else_a_spreadsheet_makes_of_ids_is_a_warning(cell: str) -> None:
    (note,) = read(["a", cell])[1]
    assert note.startswith("WARNING: item_id: 1 of 2 ids look as if a spreadsheet had changed them")


def test_ids_that_mean_nobody_are_a_warning() -> None:
    ids, (note,) = read(["NA", "a", "NA"])
    assert ids == ["NA", "a", "NA"]
    assert note.startswith("WARNING: item_id: 2 of 3 ids are 'NA', read as an ordinary id (first at row 1)")


@pytest.mark.parametrize("bad", ["a\tb", "a\nb", "a\r\nb", "a\x00b", "a\x1b[31mb", "a\x85b", "a\u2028b"])
def test_control_characters_are_refused(bad: str) -> None:
    with pytest.raises(DataError, match=r"row 2.*contains a control character"):
        read(["a", bad])


def test_a_swallowed_row_is_named_by_file_line_and_column(tmp_path: Path) -> None:
    log = tmp_path / "log.tsv"
    log.write_text('user_id\titem_id\ttimestamp\nu\tx\t1700000000\nv\t"y\t1700000001\nw\tz"\t1700000002\n')
    with pytest.raises(DataError, match=r"log\.tsv:3:3: a quote is not closed on its line: item_id"):
        import_path(log)


def test_log_and_items_follow_one_rule(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\n1.0,5,1700000000\n1,6.0,1700000001\n")
    (tmp_path / "items.csv").write_text("item_id,title\n5.0,Five\n6,Six\n")
    dataset = build_dataset(import_path(tmp_path), tmp_path / "d")
    assert (dataset.n_users, dataset.n_items) == (1, 2)
    assert sorted(dataset.catalog.titles) == ["Five", "Six"]
    assert sum("ids are written like" in note for note in dataset.notes) == 3
    assert "interactions.csv:2:1" in dataset.notes[0]

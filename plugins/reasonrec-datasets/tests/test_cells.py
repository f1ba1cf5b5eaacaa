"""Cells of item fields as people write them: lists, prices, missing values; what is read by rule is counted."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from reasonrec_datasets import build_dataset, convert_numbers, import_path
from reasonrec_datasets.importing.list_parsing import join_written_lists, parse_list
from reasonrec_datasets.importing.number_parsing import parse_amount

from reasonrec_core.errors import DataError

LOG = "user_id,item_id,timestamp\nu1,a,1700000000\nu1,b,1700000001\nu1,c,1700000002\n"


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('["Tea", "Cups"]', ["Tea", "Cups"]),
        ("['Tea', 'Cups']", ["Tea", "Cups"]),
        ("['Tea' 'Cups']", ["Tea", "Cups"]),
        ('[["Tea"], ["Cups", null]]', ["Tea", "Cups"]),
        ('[{"id": 1, "name": "Tea"}]', ["Tea"]),
        ("[1, 2.5]", ["1", "2.5"]),
        ("('Tea', 'Cups')", ["Tea", "Cups"]),
        ("{'Tea', 'Cups'}", ["Cups", "Tea"]),
        ("set()", []),
        ("(2020)", None),
        ("(Tea, Cups)", None),
        ("[]", []),
        ("[sic]", None),
        ("Tea", None),
        ("[{}]", None),
        ("[" * 100_000 + "]" * 100_000, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_lists(cell: str, words: list[str] | None) -> None:
    assert parse_list(cell) == words


def test_written_lists_are_labels_and_counted() -> None:
    notes: list[str] = []
    column = pa.array(['["Tea"]', "['Tea', 'Cups']", "Kitchen, Home", None, "[]", "[sic]"])
    assert join_written_lists(column, "tags", "|", notes).to_pylist() == [
        "Tea", "Tea|Cups", "Kitchen, Home", None, None, "[sic]"
    ]  # fmt: skip
    assert notes == ["tags: 3 cells were read as lists (JSON or Python), e.g. '[\"Tea\"]'"]
    assert join_written_lists(column, "title", "|").equals(column)


def test_lists_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(LOG)
    (tmp_path / "items.csv").write_text(
        'item_id,title,categories\na,[1],"[""Tea"", ""Cups""]"\nb,B,"[\'Tea\']"\nc,C,\n'
    )
    dataset = build_dataset(import_path(tmp_path), tmp_path / "d")
    labels = dict(zip(dataset.catalog.ids, dataset.catalog.labels("categories"), strict=True))
    assert {item: list(found) for item, found in labels.items()} == {"a": ["Tea", "Cups"], "b": ["Tea"], "c": []}
    assert "[1]" in dataset.catalog.titles
    assert any("2 cells were read as lists" in note for note in dataset.notes)


def test_a_history_may_be_a_written_list(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text('user_id,item_id,history\nu,c,"[""a"", ""b""]"\nu,d,a b c\nu,a,\n')
    raw = import_path(log)
    assert raw.interactions.column("history").to_pylist() == [["a", "b"], ["a", "b", "c"], []]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("12", 12), ("1,99", 1.99), ("1,299", 1299), ("$1,299.00", 1299), ("-$5", -5), ("1.299,50 EUR", 1299.5),
        ("12 %", 12), ("\u20ac 7,5", 7.5), ("1.234.567", 1234567), ("1e3", 1000), (".5", 0.5), ("from 12.00", None),
        ("12 kg", None),
        ("1,2,3", None), ("", None), ("1-2", None),
    ],
)  # fmt: skip
def test_amounts(cell: str, number: float | None) -> None:
    assert parse_amount(cell) == number


def convert(**columns: list[str | None]) -> tuple[dict[str, list[object]], list[str]]:
    notes: list[str] = []
    table = convert_numbers(
        pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}), (), notes
    )
    return table.to_pydict(), notes


def test_numbers_by_rule_are_counted_with_an_example() -> None:
    cells, notes = convert(weight=["1.5", "N/A", "1,99", None, "unknown"])
    assert cells == {"weight": [1.5, None, 1.99, None, None]}
    assert notes == [
        "column 'weight' holds numbers: 1 cell is converted, e.g. '1,99' to 1.99; "
        "2 cells are not numeric and left empty, e.g. 'N/A' (of 4)"
    ]


def test_a_price_is_the_first_number_of_its_cell() -> None:
    cells, notes = convert(list_price=["$10", "from 12.00", "$3.50 - $7.00", "ask us"])
    assert cells == {"list_price": [10, 12, 3.5, None]}
    assert "e.g. '$10' to 10; 1 cell is not numeric and left empty, e.g. 'ask us'" in notes[0]


def test_a_few_words_among_numbers_are_said_and_nothing_is_lost() -> None:
    cells, notes = convert(size=["40", "41", "XL"], code=["07041", "1", "2"], maker=["A", "B", "3"])
    assert cells == {"size": ["40", "41", "XL"], "code": ["07041", "1", "2"], "maker": ["A", "B", "3"]}
    assert notes == [
        "WARNING: column 'size' stays text: 1 of 3 cells are not numbers, e.g. 'XL'",
        "column 'code' stays text: 1 of 3 cells begin with a zero, e.g. '07041', as codes do",
    ]


def test_prices_of_amazon(tmp_path: Path) -> None:
    review = {"user_id": "u", "rating": 5.0, "timestamp": 1_600_000_000_000}
    meta = [("a", "from 9.50"), ("b", "$1,000.00"), ("c", None), ("d", 7.25)]
    (tmp_path / "Toys.jsonl").write_text("".join(json.dumps(review | {"parent_asin": item}) + "\n" for item, _ in meta))
    lines = [json.dumps({"parent_asin": item, "title": item, "price": price}) + "\n" for item, price in meta]
    (tmp_path / "meta_Toys.jsonl").write_text("".join(lines))
    dataset = build_dataset(import_path(tmp_path), tmp_path / "d")
    prices = dict(zip(dataset.catalog.ids, dataset.catalog.table.column("price").to_pylist(), strict=True))
    assert prices == {"a": 9.5, "b": 1000, "c": None, "d": 7.25}
    assert any("'from 9.50' to 9.5" in note for note in dataset.notes)


def test_numbers_in_columns_of_text_in_parquet(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"user_id": ["u", "u"], "item_id": ["a", "b"]}), tmp_path / "interactions.parquet")
    prices = pa.array(["$1,299.00", "from 12.00"], pa.large_string())
    weights = pa.array(["1,5", "2"]).dictionary_encode()
    items = pa.table({"item_id": ["a", "b"], "price": prices, "weight": weights, "zip": ["07041", "1"]})
    parquet.write_table(items, tmp_path / "items.parquet")
    dataset = build_dataset(import_path(tmp_path), tmp_path / "d")
    rows = {row["item_id"]: row for row in dataset.catalog.table.to_pylist()}
    assert rows["a"] == {"item_id": "a", "price": 1299, "weight": 1.5, "zip": "07041"}
    assert rows["b"]["price"] == 12
    assert any("column 'price' holds numbers: 2 cells are converted" in note for note in dataset.notes)


def test_values_with_a_decimal_comma(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id;item_id;rating\nu;a;4,5\nu;b;3\nu;c;1,99\n")
    raw = import_path(tmp_path / "log.csv")
    assert raw.interactions.column("value").to_pylist() == pytest.approx([4.5, 3, 1.99])
    assert "value: 2 of 3 cells were converted to numbers, e.g. '4,5' as 4.5" in raw.source["notes"]
    (tmp_path / "log.csv").write_text("user_id;item_id;rating\nu;a;4,5\nu;b;good\n")
    with pytest.raises(DataError, match=r"log\.csv:3:5: value 'good'"):
        import_path(tmp_path / "log.csv")


def test_of_several_images_the_first_is_taken_and_addresses_are_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(LOG)
    cells = ["\"['p.jpg', 'q.jpg']\"", "https://x/y.jpg", ""]
    rows = "".join(f"{item},{cell}\n" for item, cell in zip("abc", cells, strict=True))
    (tmp_path / "items.csv").write_text(f"item_id,images\n{rows}")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "p.jpg").write_bytes(b"x")
    dataset = build_dataset(import_path(tmp_path), tmp_path / "d")
    assert dict(zip(dataset.catalog.ids, dataset.catalog.image_paths, strict=True)) == {
        "a": "p.jpg",
        "b": None,
        "c": None,
    }
    assert any("the first picture is used of 1 items that have several" in note for note in dataset.notes)
    assert any("1 pictures are web addresses and are not downloaded" in note for note in dataset.notes)


def test_a_basket_is_a_row_per_item(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    rows = ['u,"[""a"", ""b""]",1700000000', "v,c,1700000001", 'v,"[a, c]",1700000002', "v,[],1700000003"]
    log.write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    raw = import_path(log)
    pairs = [(row["user_id"], row["item_id"]) for row in raw.interactions.to_pylist()]
    assert pairs == [("u", "a"), ("u", "b"), ("v", "c"), ("v", "a"), ("v", "c")]
    assert any(
        "3 cells are lists: a row per item, 5 in all; 1 of them are empty" in note for note in raw.source["notes"]
    )
    parquet.write_table(pa.table({"user_id": ["u", "v"], "item_id": [["a", "b"], ["c"]]}), tmp_path / "log.parquet")
    assert import_path(tmp_path / "log.parquet").interactions.column("item_id").to_pylist() == ["a", "b", "c"]


def test_an_image_column_of_numbers_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(LOG)
    (tmp_path / "items.csv").write_text("item_id,images\na,3\nb,2\nc,1\n")
    dataset = build_dataset(import_path(tmp_path), tmp_path / "d")
    assert dataset.catalog.image_paths == [None, None, None]
    assert "image: the cells are numbers, not paths, so the column is ignored" in dataset.notes


def test_times_that_a_spreadsheet_shortened_are_a_warning(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,a,1.6E+09\nu,b,1.6E+09\n")
    notes = import_path(tmp_path / "log.csv").source["notes"]
    assert any(note.startswith("WARNING: 2 times are numbers that a spreadsheet shortened") for note in notes)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1.299", "5,50", "12.000,00"], [1299, 5.5, 12000]),
        (["1,299", "5.50", "12,000.00"], [1299, 5.5, 12000]),
        (["1,250", "5,50", "7"], [1.25, 5.5, 7]),
        (["1.250", "5.50", "1,250"], [1.25, 5.5, 1250]),
        (["1 299", "1\u00a0299", "1\u202f299,50"], [1299, 1299, 1299.5]),
        (["\u22125", "5", "\\N"], [-5, 5, None]),
    ],
)
def test_a_column_has_one_decimal_sign(cells: list[str], numbers: list[float | None]) -> None:
    found, notes = convert(weight=cells)
    assert found == {"weight": numbers}
    assert len(notes) == 1
    assert "converted, e.g." in notes[0]


def test_decimals_of_a_database_are_the_numbers_that_they_show(tmp_path: Path) -> None:
    prices = pa.array([Decimal("25.15"), Decimal("64.07"), None])
    parquet.write_table(pa.table({"item_id": ["a", "b", "c"], "price": prices}), tmp_path / "items.parquet")
    (tmp_path / "interactions.csv").write_text("user_id,item_id\nu,a\nu,b\nv,c\n")
    assert import_path(tmp_path).items.column("price").to_pylist() == [25.15, 64.07, None]


def test_values_of_a_log_have_one_decimal_sign(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id;item_id;value\nu;a;1.299\nu;b;3,5\nv;a;2.000\n")
    assert import_path(tmp_path / "log.csv").interactions.column("value").to_pylist() == [1299, 3.5, 2000]


def test_an_endless_number_keeps_a_column_text_and_is_said() -> None:
    cells, notes = convert(weight=["1", "inf", "2"])
    assert cells == {"weight": ["1", "inf", "2"]}
    assert "1 of 3 cells are not numbers, e.g. 'inf'" in notes[0]


def import_items(tmp_path: Path, cells: str, **options: str) -> tuple[list[str | None], str]:
    rows = "".join(f'{item},"{cell}"\n' for item, cell in zip("abc", cells.split("#"), strict=True))
    (tmp_path / "interactions.csv").write_text(LOG)
    (tmp_path / "items.csv").write_text(f"item_id,categories\n{rows}")
    raw = import_path(tmp_path, options=options)
    assert raw.items is not None
    return raw.items.column("categories").to_pylist(), " ".join(raw.source["notes"])


def test_what_may_stand_between_labels_is_said_and_read_by_option(tmp_path: Path) -> None:
    cells, notes = import_items(tmp_path, "Tea, Cups#Tea#Cups, Pots")
    assert cells == ["Tea, Cups", "Tea", "Cups, Pots"]
    assert "2 of 3 cells contain ','" in notes
    assert "--label-separator ','" in notes
    cells, notes = import_items(tmp_path, "Tea, Cups#Tea#Cups, Pots", label_separator=",")
    assert cells == ["Tea|Cups", "Tea", "Cups|Pots"]
    assert "label-separator" not in notes


def test_arrays_of_databases_are_lists_and_braces_are_none(tmp_path: Path) -> None:
    assert import_items(tmp_path, '{Tea,""Mug, blue""}#{Cups}#{}')[0] == ["Tea|Mug, blue", "Cups", None]
    assert import_items(tmp_path, "{3F25}#{3F26}#{3F27}")[0] == ["{3F25}", "{3F26}", "{3F27}"]


def test_words_for_nothing_in_text_are_said(tmp_path: Path) -> None:
    cells, notes = import_items(tmp_path, "\\N#N/A#Tea")
    assert cells == [None, "N/A", "Tea"]
    assert "1 cell is \\N, read as empty" in notes
    assert "1 cell is 'N/A' or similar, read as text" in notes


def test_lists_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    _, notes = import_items(tmp_path, "['Tea']#['Cups'#[{'kind': 'x'}]")
    assert "2 cells look like a list but cannot be read as one" in notes

"""Which rows of a log an import keeps: doubles, events, least values, cores."""

from __future__ import annotations

from pathlib import Path

import pytest
from layout_files import load, log_of, write

from reasonrec_core.cli.main import main
from reasonrec_core.data import Dataset
from reasonrec_core.errors import ConfigError, DataError

LOG = "user_id,item_id,rating,timestamp\nu,a,1,10\nu,b,2,20\nu,a,3,10\nu,a,4,30\nv,a,5,10\n"


def load_log(tmp_path: Path, text: str = LOG, **options: object) -> Dataset:
    columns = options.pop("columns", {})
    return load(write(tmp_path / "in", interactions__csv=text), tmp_path, options=options, columns=columns)


def values_of(dataset: Dataset) -> list[float]:
    assert dataset.interactions.values is not None
    return sorted(dataset.interactions.values.tolist())


def test_of_rows_with_one_user_item_and_time_the_last_stays(tmp_path: Path) -> None:
    dataset = load_log(tmp_path)
    assert log_of(dataset) == {"u": ["a", "b", "a"], "v": ["a"]}
    assert values_of(dataset) == [2, 3, 4, 5]
    assert "1 row with the same user, item and time is left out for a later one (e.g. 'u' and 'a')" in dataset.notes


def test_every_row_stays_where_that_is_said(tmp_path: Path) -> None:
    assert values_of(load_log(tmp_path, dedupe="none")) == [1, 2, 3, 4, 5]


def test_values_are_added(tmp_path: Path) -> None:
    dataset = load_log(tmp_path, dedupe="sum")
    assert log_of(dataset) == {"u": ["b", "a"], "v": ["a"]}
    assert values_of(dataset) == [2, 5, 8]


def test_rows_without_values_are_counted(tmp_path: Path) -> None:
    dataset = load_log(tmp_path, "user_id,item_id\nu,a\nu,a\nu,b\n", dedupe="sum")
    assert values_of(dataset) == [1, 2]


def test_without_times_nothing_is_a_double(tmp_path: Path) -> None:
    assert log_of(load_log(tmp_path, "user_id,item_id\nu,a\nu,a\n")) == {"u": ["a", "a"]}


def test_parts_are_kept_apart(tmp_path: Path) -> None:
    rows = "u,a,1,train\nu,a,1,test\nu,a,1,test\n"
    assert len(load_log(tmp_path, f"user_id,item_id,timestamp,part\n{rows}")) == 2


def test_events_have_weights(tmp_path: Path) -> None:
    text = "user_id,item_id,timestamp,what\nu,a,1,view\nu,b,2, buy\nu,c,3,scroll\n"
    dataset = load_log(tmp_path, text, columns={"event": "what"}, event_weights="view=1, buy=5")
    assert log_of(dataset) == {"u": ["a", "b"]}
    assert values_of(dataset) == [1, 5]
    assert "1 row whose event has no weight is left out: scroll (1)" in dataset.notes


def test_events_without_weights_are_counted(tmp_path: Path) -> None:
    dataset = load_log(tmp_path, "user_id,item_id,event\nu,a,view\nu,b,view\nu,c,buy\n")
    assert dataset.interactions.values is None
    assert any("view (2), buy (1)" in note and "--event-weights" in note for note in dataset.notes)


def test_small_values_and_small_users_are_left_out(tmp_path: Path) -> None:
    rows = [(user, item, 5) for user in "uvw" for item in "ab"] + [("u", "c", 5), ("x", "a", 5), ("v", "b", 1)]
    text = "user_id,item_id,rating\n" + "".join(f"{user},{item},{value}\n" for user, item, value in rows)
    write(tmp_path / "in", items__csv="item_id,title\na,A\nb,B\nc,C\nd,D\n")
    dataset = load_log(tmp_path, text, min_value=2, k_core=2)
    assert log_of(dataset) == {"u": ["a", "b"], "v": ["a", "b"], "w": ["a", "b"]}
    assert sorted(dataset.catalog.ids) == ["a", "b"]
    assert "1 row with a value below 2 is left out" in dataset.notes
    assert "2 rows of users or items with fewer than 2 rows are left out" in dataset.notes


def test_incomplete_rows_are_left_out_by_option(tmp_path: Path) -> None:
    text = "user_id,item_id,rating,timestamp\nu,a,3,10\n,a,3,11\nu,\\N,3,12\nu,b,N/A,13\nu,c,2,NULL\nu,d,4,14\n"
    with pytest.raises(DataError, match="user_id is blank") as caught:
        load_log(tmp_path / "all", text)
    assert "--drop-incomplete" in str(caught.value.fix)
    dataset = load_log(tmp_path / "some", text, drop_incomplete=True)
    assert log_of(dataset) == {"u": ["a", "d"]}
    said = [f"1 row without {what} is left out" for what in ("a user", "an item", "a time", "a value")]
    assert set(said) <= set(dataset.notes)
    with pytest.raises(DataError, match="value 'x' is not a number") as caught:
        load_log(tmp_path / "bad", text + "u,e,x,15\n", drop_incomplete=True)
    assert "interactions.csv:8:5" in str(caught.value.where), "places hold although rows before it are gone"


def test_what_makes_rows_differ_is_said_where_it_is_not_read(tmp_path: Path) -> None:
    text = "user_id,item_id,kind,qty,timestamp\nu,a,view,1,1700000000\nu,a,buy,2,1700000001\nu,b,buy,-2,1700000002\n"
    notes = " ".join(load_log(tmp_path, text).notes)
    assert "'kind' looks like kinds of events (view, buy), but all rows count the same" in notes
    assert "--event-column kind --event-weights view=1,buy=1" in notes
    assert "rows with a 'qty' below 0 (returned?) count like all others: 1" in notes
    read = load_log(tmp_path / "read", text, columns={"value": "qty", "event": "kind"})
    assert any("1 of 3 values are below 0" in note for note in read.notes)


def test_weights_of_events_that_do_not_occur_are_said(tmp_path: Path) -> None:
    text = "user_id,item_id,timestamp,event\nu,a,1,view\nu,b,2,buy\n"
    assert any(
        "there is no event 'cart', but it was given a weight" in note
        for note in load_log(tmp_path, text, event_weights="view=1,cart=2").notes
    )
    with pytest.raises(ConfigError, match="'view' is not an event with a weight"):
        load_log(tmp_path / "bad", text, event_weights="view")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k_core": 9}, "no row is left"),
        ({"min_value": 99}, "no row is left"),
        ({"event_weights": "view=1"}, "--event-column"),
    ],
)
def test_a_rule_that_keeps_nothing_is_an_error(options: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        load_log(tmp_path, **options)


def test_the_verb_has_the_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, log__csv="user_id,item_id,timestamp,what\nu,a,1,view\nu,a,2,buy\nu,b,3,view\n")
    rules = ("--event-column", "what", "--event-weights", "view=1,buy=5", "--dedupe", "sum", "--min-value", "1")
    with pytest.raises(SystemExit) as left:
        main(["data", "import", str(tmp_path / "log.csv"), "--out", str(tmp_path / "out"), *rules, "--k-core", "1"])
    assert not left.value.code, capsys.readouterr().err
    assert values_of(Dataset.open(tmp_path / "out")) == [1, 6]

"""Times as people write them: read, asked about with the option that answers, or warned of."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reasonrec_datasets import RawTables, build_dataset, import_path
from reasonrec_datasets.importing.time_checks import note_implausible
from reasonrec_datasets.importing.time_forms import guess_formats
from reasonrec_datasets.importing.time_parsing import TimeForm, parse_times

from reasonrec_core.cli.main import main
from reasonrec_core.errors import ConfigError, DataError

NOON = 1_709_208_000  # 2024-02-29 12:00 UTC
DAY = 1_709_164_800


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 0


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (pa.array([NOON * 10**9 + 1], pa.timestamp("ns")), [NOON]),
        (pa.array([NOON * 1000], pa.timestamp("ms", "Asia/Tokyo")), [NOON]),
        (pa.array([19782], pa.date32()), [DAY]),
        ([20240229, 20240301], [DAY, DAY + 86400]),
        (["20240229", "20240301"], [DAY, DAY + 86400]),
        ([202402291200], [NOON]),
        ([20240229120000], [NOON]),
        (["20240229T120000Z"], [NOON]),
        (["2024-02-29 12:00:00 UTC", "2024-02-29 14:00:00+02", "2024-02-29T06:30:00 -05:30"], [NOON] * 3),
        (["2024-02-29 12:00:00 GMT", "2024-02-29"], [NOON, DAY]),
        (["2024/02/29", "2024/2/29 12:00"], [DAY, NOON]),
        (["2024-02-29T12:00:00.000000000Z"], [NOON]),
        (["2024-02-29 12:00:00,000"], [NOON]),
    ],
    ids=str,
)
def test_forms_that_need_no_option(cells: pa.Array | list[object], seconds: list[int]) -> None:
    column = cells if isinstance(cells, pa.Array) else pa.array(cells)
    assert [int(time) for time in parse_times(column)] == seconds


@pytest.mark.parametrize(
    ("cells", "form", "seconds"),
    [
        (["02/29/2024"], TimeForm("%m/%d/%Y"), DAY),
        (["29.02.2024 12:00"], TimeForm("%d.%m.%Y %H:%M"), NOON),
        (["29 Feb 2024 14:00 +0200"], TimeForm("%d %b %Y %H:%M %z"), NOON),
        ([2024], TimeForm("%Y"), 1_704_067_200),
        ([45351.5], TimeForm(unit="excel"), NOON),
        (["19782"], TimeForm(unit="days"), DAY),
        ([NOON], TimeForm(unit="ms"), NOON / 1000),
        ([20240229], TimeForm(unit="s"), 20240229),
    ],
    ids=str,
)
def test_forms_that_are_said(cells: list[object], form: TimeForm, seconds: float) -> None:
    assert parse_times(pa.array(cells), form=form).tolist() == [pytest.approx(seconds)]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("02/29/2024", "'%m/%d/%Y'."),
        ("02/03/2024", "'%m/%d/%Y' or --time-format '%d/%m/%Y'"),
        ("29.02.2024 12:00", "'%d.%m.%Y %H:%M'"),
        ("Thu Feb 29 2024", "'%a %b %d %Y'"),
        ("2024-02-30", "--time-format"),
    ],
)
def test_other_forms_are_asked_about(cell: str, words: str) -> None:
    with pytest.raises(DataError, match="row 1, column 'timestamp'") as caught:
        parse_times(pa.array([cell]))
    assert words in str(caught.value.fix)


def test_a_form_that_does_not_fit_names_the_row() -> None:
    with pytest.raises(DataError, match=r"row 2.*'29/02/2024' does not match '%m/%d/%Y'") as caught:
        parse_times(pa.array(["02/28/2024", "29/02/2024"]), form=TimeForm("%m/%d/%Y"))
    assert "'%d/%m/%Y'" in str(caught.value.fix)
    with pytest.raises(ConfigError, match="--time-format"):
        parse_times(pa.array(["x"]), form=TimeForm("US"))


def test_dates_beyond_the_calendar_are_an_error() -> None:
    with pytest.raises(DataError, match=r"row 1.*out of range"):
        parse_times(pa.array([2**31 - 1], pa.int32()).cast(pa.date32()))


def test_no_form_reads_nothing() -> None:
    assert guess_formats([]) == guess_formats(["soon"]) == []


def test_a_time_that_is_hardly_right_is_said_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "shop.csv"
    log.write_text("user_id,item_id,timestamp\nu1,a,45351\nu1,b,45353\nu2,a,45352\n")
    run("data", "import", str(log), "--out", str(tmp_path / "d"))
    said = " ".join(capsys.readouterr().err.split())
    assert "WARNING: 3 of 3 times are before 1990 or after next year, e.g. 1970-01-01" in said
    assert "--time-unit" in said
    run("data", "describe", str(tmp_path / "d"))
    assert "WARNING: 3 are before 1990" in " ".join(capsys.readouterr().out.split())
    given = ["--force", "--time-unit", "excel"]
    run("data", "import", str(log), "--out", str(tmp_path / "d"), *given)
    assert "WARNING" not in capsys.readouterr().err


def test_a_form_from_the_command_line_and_from_python(tmp_path: Path) -> None:
    log = tmp_path / "shop.csv"
    log.write_text("user_id,item_id,timestamp\nu1,a,01.03.2024\nu1,b,29.02.2024\n")
    given = ["--time-format", "%d.%m.%Y"]
    run("data", "import", str(log), "--out", str(tmp_path / "d"), *given)
    raw = import_path(log, options={"time_format": "%d.%m.%Y"})
    dataset = build_dataset(raw, tmp_path / "e")
    assert dataset.interactions.times.tolist() == [DAY, DAY + 86400]
    run("data", "describe", str(tmp_path / "d"))


def test_nanoseconds_of_parquet_keep_their_order(tmp_path: Path) -> None:
    times = pa.array([NOON * 10**9 + 2000, NOON * 10**9 + 1000], pa.timestamp("ns"))
    pq.write_table(
        pa.table({"user_id": ["u", "u"], "item_id": ["later", "sooner"], "timestamp": times}), tmp_path / "l.parquet"
    )
    dataset = build_dataset(import_path(tmp_path / "l.parquet"), tmp_path / "d")
    assert [dataset.catalog.ids[item] for item in dataset.interactions.items] == ["sooner", "later"]


def test_tables_in_memory_warn_too(tmp_path: Path) -> None:
    raw = RawTables(pa.table({"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": [10, 20]}))
    assert "2 of 2 times" in build_dataset(raw, tmp_path / "d").notes[0]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1700000000", "1700000000000"], "seconds, but others look like milliseconds"),
        (["1700000000000", "1700000000000000"], "milliseconds, but others look like microseconds"),
        (["1700000000000", "1700000000000000000"], "milliseconds, but others look like nanoseconds"),
        (["20240131", "20240201", "20241301"], "20241301 is not a date, although most others are"),
        (["1700000000", "2024-01-31"], "'2024-01-31' is not a number like the first time"),
        (["2024-W05-3"], "--time-format '%G-W%V-%u'"),
        (["2024-31-01"], "--time-format '%Y-%d-%m'"),
        (["31-Jan-24"], "--time-format '%d-%b-%y'"),
        (["2024-05"], "--time-format '%Y-%m'"),
    ],
)
def test_times_that_do_not_fit_each_other_or_have_another_form_are_a_question(cells: list[str], words: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_times(pa.array(cells))
    assert words in caught.value.message


def test_what_the_size_of_numbers_told_is_said() -> None:
    notes: list[str] = []
    assert parse_times(pa.array([NOON * 1000]), notes=notes).tolist() == [NOON]
    assert parse_times(pa.array(["20240229"]), notes=notes).tolist() == [DAY]
    assert parse_times(pa.array([NOON]), notes=notes).tolist() == [NOON]
    assert parse_times(pa.array(["2024-02-29T13:00:00+01:00[Europe/Paris]"]), notes=notes).tolist() == [NOON]
    assert notes == [
        "timestamp: numbers are read as milliseconds since 1970, judging by their size",
        "timestamp: numbers like 20240229 are read as dates",
    ]


@pytest.mark.parametrize(
    ("cells", "option"),
    [
        (["45292.5", "45293"], "--time-unit excel (the first would be 2024-01-01)"),
        (["19700", "19701"], "--time-unit days (the first would be 2023-12-09)"),
        (["2019", "2020"], "--time-format '%Y'"),
        (["202401", "202402"], "--time-format '%Y%m'"),
    ],
)
def test_times_that_are_hardly_right_come_with_what_makes_them_so(cells: list[str], option: str) -> None:
    column = pa.array(cells)
    assert option in note_implausible(column, parse_times(column))[0]


@pytest.mark.parametrize("name", ["foo", "when"])
@pytest.mark.parametrize(
    "cells", [["1700000000000", "1700000100000"], ["20240131", "20240201"], ["2024-01-31", "soon"]]
)
def test_a_column_of_times_under_any_name_is_asked_about(name: str, cells: list[str], tmp_path: Path) -> None:
    rows = "".join(f"u{row},i{row},{cell}\n" for row, cell in enumerate(cells))
    (tmp_path / "log.csv").write_text(f"user_id,item_id,{name}\n{rows}")
    with pytest.raises(DataError, match="looks like one") as caught:
        import_path(tmp_path / "log.csv")
    assert f"--column timestamp={name}" in str(caught.value.fix)
    import_path(tmp_path / "log.csv", columns={"timestamp": ""})


def test_year_month_and_day_in_columns_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,year,month,day\nu,a,2024,2,29\n")
    with pytest.raises(DataError, match="'year', 'month', 'day' look like one") as caught:
        import_path(tmp_path / "log.csv")
    assert "--column timestamp=year+month+day --time-format '%Y %m %d'" in str(caught.value.fix)
    raw = import_path(
        tmp_path / "log.csv", columns={"timestamp": "year+month+day"}, options={"time_format": "%Y %m %d"}
    )
    assert raw.interactions.column("timestamp").to_pylist() == [DAY]

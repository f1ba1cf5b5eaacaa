"""Columns of context come from the log or its times, stay with their rows, and are known when a query asks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_datasets.importing.context import DERIVED, derive_context

from reasonrec_core.config import check_config
from reasonrec_core.data import (
    Dataset,
    SplitConfig,
    draw_direct_split,
    make_split,
    open_or_import,
    open_split,
    save_split,
)
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.pipeline.prepare import open_source
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry

START = 1_700_000_000
DEVICES = ("phone", "laptop", "")


def write_log(folder: Path, times: bool = True) -> Path:
    """A log whose devices and hours follow from user and item, rows in no order."""
    rows = []
    for user in range(6):
        for place in range(5):
            item = (3 * user + place) % 8
            time = START + 7200 * place + 60 * user if times else place
            rows.append(f"u{user},i{item},{time},{DEVICES[(user + item) % 3]}")
    path = folder / "log.csv"
    path.write_text("\n".join(["user_id,item_id,timestamp,device", *rows[::-1]]) + "\n", encoding="utf-8")
    return path


def import_log(folder: Path, *names: str) -> Dataset:
    return open_or_import(write_log(folder), folder / "cache", columns={f"context.{name}": name for name in names})


def name_codes(dataset: Dataset, name: str, codes: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> list[str]:
    return [["", *dataset.context[name]][code] for code in codes[:, list(dataset.context).index(name)]]


def test_each_row_keeps_its_context(tmp_path: Path) -> None:
    dataset = import_log(tmp_path, "device", "hour")
    log = dataset.interactions
    assert log.context is not None
    assert dataset.context["device"] == ["laptop", "phone"], "an empty cell says nothing"
    users, items = dataset.users.column("user_id").to_pylist(), dataset.catalog.ids
    pairs = zip(log.users.tolist(), log.items.tolist(), strict=True)
    expected = [DEVICES[(int(users[u][1:]) + int(items[i][1:])) % 3] for u, i in pairs]
    assert name_codes(dataset, "device", log.context) == expected
    hours = [str(datetime.fromtimestamp(time, UTC).hour) for time in log.times.tolist()]
    assert name_codes(dataset, "hour", log.context) == hours
    assert import_log(tmp_path).hash != dataset.hash, "without context it is another dataset"
    assert import_log(tmp_path).interactions.context is None


def test_queries_know_the_context_in_which_they_are_asked(tmp_path: Path) -> None:
    dataset = import_log(tmp_path, "device")
    log, split = dataset.interactions, make_split(dataset, SplitConfig(kind="leave-one-out"))
    assert log.context is not None
    for code, cases in ((1, split.valid), (2, split.test)):
        np.testing.assert_array_equal(cases.queries.context, log.context[split.parts == code])
    save_split(split, tmp_path / "split", dataset)
    kept = open_split(tmp_path / "split", dataset)
    np.testing.assert_array_equal(kept.test.queries.context, split.test.queries.context)
    np.testing.assert_array_equal(kept.train.context, split.train.context)
    drawn = draw_direct_split(split, dataset, negatives=1, seed=0).test.queries
    np.testing.assert_array_equal(drawn.context, split.test.queries.context)
    assert split.test.queries.context is not None
    np.testing.assert_array_equal(split.test.queries.slice(2, 4).context, split.test.queries.context[2:4])


def test_a_request_at_a_cut_in_time_is_in_no_known_context(tmp_path: Path) -> None:
    dataset = import_log(tmp_path, "device")
    split = make_split(dataset, SplitConfig.model_validate({"kind": "temporal", "valid": 0.2, "test": 0.2}))
    assert split.test.queries.context is None
    assert split.train.context is not None


@settings(deadline=None)
@given(st.integers(-(10**9), 4 * 10**9))
def test_times_tell_what_the_calendar_says(time: int) -> None:
    moment = datetime.fromtimestamp(time, UTC)
    expected = {"hour": str(moment.hour), "weekday": moment.strftime("%A"), "month": str(moment.month)}
    assert {name: derive_context(name, np.array([time]), True)[0].as_py() for name in DERIVED} == expected


def test_positions_tell_no_hour(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no column 'hour', and without times it cannot be worked out"):
        open_or_import(write_log(tmp_path, times=False), tmp_path / "cache", columns={"context.hour": "hour"})


def test_a_pipeline_names_them(tmp_path: Path) -> None:
    path = write_log(tmp_path)
    config = check_config({"data": {"path": str(path), "context": ["device"]}, "delegates": ["popularity"]}, "p.toml")
    run, registry = RunFolder(tmp_path / "run"), Registry.discover()
    dataset = open_source(config, registry, run)
    assert list(dataset.context) == ["device"]
    again = config.data.model_copy(update={"path": str(dataset.folder), "context": ("device", "hour")})
    with pytest.raises(ConfigError, match="has no context 'hour'"):
        open_source(config.model_copy(update={"data": again}), registry, run)
    wrong = config.data.model_copy(update={"context": ("mood",)})
    with pytest.raises(DataError, match="no file has a column 'mood'"):
        open_source(config.model_copy(update={"data": wrong}), registry, run)

"""Splits by leave-one-out, and candidates: on logs that hypothesis makes and on cases worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from small_logs import Row, asked, build, logs

from reasonrec_core.data import (
    SplitConfig,
    draw_candidates,
    draw_direct_split,
    make_split,
    make_splitter,
    open_split,
    save_split,
)
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import SPLIT_MANIFEST, Split
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import sha256_of
from reasonrec_core.types import Task

few = settings(max_examples=60, deadline=None)


def attempt(rows: list[Row], config: SplitConfig) -> tuple[Dataset, Split]:
    dataset = build(rows)
    try:
        return dataset, make_split(dataset, config)
    except DataError:
        reject()


@few
@given(rows=logs(), negatives=st.integers(1, 12), seed=st.integers(0, 5))
def test_candidates_hold_the_target_once_and_nothing_touched(rows: list[Row], negatives: int, seed: int) -> None:
    dataset, split = attempt(rows, SplitConfig(kind="ratio"))
    try:
        cases = draw_candidates(split.test, dataset, negatives, seed)
    except DataError:
        reject()
    log, candidates = dataset.interactions, cases.queries.candidates
    assert cases.queries.task is Task.DIRECT
    assert candidates.shape == (len(split.test.targets), negatives + 1)
    assert ((candidates == cases.targets[:, None]).sum(axis=1) == 1).all()
    for b, user in enumerate(cases.queries.users):
        row = candidates[b]
        assert len(set(row)) == len(row)
        assert not set(row) & set(log.items[log.users == user]) - {cases.targets[b]}
    again = draw_candidates(split.test, dataset, negatives, seed)
    np.testing.assert_array_equal(candidates, again.queries.candidates)


@pytest.mark.parametrize("n_items", [60, 4000])
def test_candidates_are_uniform_and_the_target_stands_anywhere(n_items: int) -> None:
    """Both ways to draw (ranks for small catalogues, rejection for large ones), against the uniform distribution."""
    rows = [(f"u{u}", f"i{(7 * u + j) % n_items}", j) for u in range(4000) for j in range(3)]
    rows += [("all", f"i{i}", i) for i in range(n_items)]
    dataset = build(rows)
    split = make_split(dataset, SplitConfig())
    cases = draw_candidates(
        split.test.take(np.flatnonzero(split.test.queries.history.lengths < 10)), dataset, 19, seed=1
    )
    candidates = cases.queries.candidates
    places = np.argmax(candidates == cases.targets[:, None], axis=1)
    counts = np.bincount(places, minlength=20)
    assert abs(counts - 200).max() < 5 * np.sqrt(200)
    negatives = candidates[candidates != cases.targets[:, None]]
    drawn = np.bincount(negatives, minlength=n_items)
    # Every item was touched by nearly the same number of users, so all must be drawn about equally often.
    assert abs(drawn - drawn.mean()).max() < 6 * np.sqrt(drawn.mean())


HAND: list[Row] = [("a", "x", 1), ("a", "y", 2), ("a", "z", 3), ("b", "x", 1), ("b", "y", 5)]


def test_leave_one_out_by_hand() -> None:
    dataset = build([*HAND, ("a", "w", 4)])
    split = make_split(dataset, SplitConfig())
    assert asked(dataset, split.valid) == {"a": (["x", "y"], ["z"])}
    assert asked(dataset, split.test) == {"a": (["x", "y", "z"], ["w"])}
    assert len(split.train) == 4
    assert split.left_out == {"users with fewer than 3 interactions, kept in training": 1}
    assert split.test.queries.times.tolist() == [4]
    assert "leave-one-out" in split.protocol


def test_repeats_are_dropped_and_counted_or_kept() -> None:
    rows = [("a", "x", 1), ("a", "y", 2), ("a", "x", 3), ("b", "x", 1), ("b", "y", 2), ("b", "z", 3)]
    dataset = build(rows)
    split = make_split(dataset, SplitConfig())
    assert list(asked(dataset, split.test)) == ["b"]
    assert split.left_out["test: targets already in the history"] == 1
    assert list(asked(dataset, make_split(dataset, SplitConfig(repeats="keep")).test)) == ["a", "b"]


def test_min_value_leaves_weak_interactions_out() -> None:
    rows = [("a", f"i{i}", i) for i in range(6)]
    dataset = build(rows, value=[5, 5, 1, 5, 5, 1])
    split = make_split(dataset, SplitConfig(min_value=4))
    assert asked(dataset, split.test) == {"a": (["i0", "i1", "i3"], ["i4"])}
    assert split.left_out["interactions with a value below 4"] == 2


def test_direct_split_names_its_candidates_and_changes_the_hash() -> None:
    dataset = build([(f"u{u}", f"i{(u + j) % 30}", j) for u in range(20) for j in range(4)])
    split = make_split(dataset, SplitConfig())
    direct = draw_direct_split(split, dataset, negatives=9, seed=3)
    assert "9 uniform negatives" in direct.protocol
    assert len({split.hash, direct.hash, draw_direct_split(split, dataset, negatives=9, seed=4).hash}) == 3


@pytest.mark.parametrize("direct", [False, True])
def test_saved_splits_come_back_whole(tmp_path: Path, direct: bool) -> None:
    dataset = build([(f"u{u}", f"i{(u + j) % 30}", j) for u in range(20) for j in range(4)])
    split = make_split(dataset, SplitConfig())
    if direct:
        split = draw_direct_split(split, dataset, negatives=5, seed=0)
    save_split(split, tmp_path / "split", dataset)
    save_split(split, tmp_path / "split", dataset)  # an older split may be replaced
    back = open_split(tmp_path / "split", dataset)
    assert (back.hash, back.protocol, back.left_out) == (split.hash, split.protocol, split.left_out)
    np.testing.assert_array_equal(back.test.targets, split.test.targets)
    np.testing.assert_array_equal(back.train.items, split.train.items)
    assert back.test.queries.task is split.test.queries.task
    if direct:
        np.testing.assert_array_equal(back.test.queries.candidates, split.test.queries.candidates)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"\x93NUMPY\x01\x00\x04\x00{[(\n", "short"])
@pytest.mark.parametrize("name", ["parts.npy", "test.npz"])
def test_arrays_of_a_split_that_nobody_saved_are_one_message(tmp_path: Path, name: str, content: bytes | str) -> None:
    """Not even where the manifest has their hashes."""
    dataset = build([(f"u{u}", f"i{(u + j) % 30}", j) for u in range(20) for j in range(4)])
    save_split(make_split(dataset, SplitConfig()), tmp_path / "split", dataset)
    path, manifest = tmp_path / "split" / name, tmp_path / "split" / SPLIT_MANIFEST
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif name == "parts.npy":
        np.save(path, np.zeros(3, np.uint8))
    else:
        np.savez(path, users=np.zeros(3, np.int32))
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**told, "files": {**told["files"], name: sha256_of(path)}}))
    with pytest.raises(DataError, match=r"split: does not hold a split\. Make it again\."):
        open_split(tmp_path / "split", dataset)


def test_saved_split_of_other_data_or_damaged_is_refused(tmp_path: Path) -> None:
    rows = [(f"u{u}", f"i{(u + j) % 30}", j) for u in range(20) for j in range(4)]
    dataset = build(rows)
    save_split(make_split(dataset, SplitConfig()), tmp_path / "split", dataset)
    with pytest.raises(DataError, match="other data"):
        open_split(tmp_path / "split", build(rows[:-1]))
    with (tmp_path / "split" / "test.npz").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(DataError, match="changed"):
        open_split(tmp_path / "split", dataset)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(DataError, match="other files"):
        save_split(make_split(dataset, SplitConfig()), tmp_path / "mine", dataset)


ONE_EACH: list[Row] = [("a", "x", 1), ("b", "y", 2), ("c", "z", 3)]


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (ONE_EACH, {}, "longest sequence: 1"),
        (HAND, {"min_value": 3}, "no value column"),
        (HAND, {"min_history": 9}, "no validation users are left"),
        ([("a", "x", 1), ("a", "x", 2), ("a", "x", 3)], {}, "already in the history"),
    ],
)
def test_bad_input_says_what_is_wrong(rows: list[Row], options: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        make_split(build(rows), SplitConfig(**options))


def test_too_few_untouched_items() -> None:
    dataset = build([("a", f"i{i}", i) for i in range(9)])
    with pytest.raises(DataError, match="at most 0 negatives"):
        draw_candidates(make_split(dataset, SplitConfig()).test, dataset, 5, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "by-chance"},
        {"valid": 0.2},
        {"shuffle": True},
    ],
)
def test_settings_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        make_splitter(SplitConfig(**options))

"""Splits: what each rule promises, on logs that hypothesis makes and on cases worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
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
from reasonrec_core.data.split import LEFT_OUT, TEST, TRAIN, VALID, Split
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import Task

KINDS = ("leave-one-out", "temporal", "ratio", "cold-item")
few = settings(max_examples=60, deadline=None)


SHARES = {kind: {"valid": 0.2, "test": 0.2} for kind in ("ratio", "temporal", "cold-item")}
"""Settings of the kinds that cut off shares."""


def attempt(rows: list[Row], config: SplitConfig) -> tuple[Dataset, Split]:
    dataset = build(rows)
    try:
        return dataset, make_split(dataset, config)
    except DataError:
        reject()


@few
@given(rows=logs(), kind=st.sampled_from(KINDS), seed=st.integers(0, 3), repeats=st.sampled_from(["drop", "keep"]))
def test_promises_of_every_rule(rows: list[Row], kind: str, seed: int, repeats: str) -> None:
    config = SplitConfig(kind=kind, seed=seed, repeats=repeats, **SHARES.get(kind, {}))
    dataset, split = attempt(rows, config)
    log = dataset.interactions
    assert split.parts is not None
    # The parts divide the log: each interaction has exactly one.
    assert len(split.parts) == len(log)
    assert set(np.unique(split.parts)) <= {TRAIN, VALID, TEST}
    assert len(split.train) == int((split.parts == TRAIN).sum())
    for cases, part in ((split.valid, VALID), (split.test, TEST)):
        lengths = np.diff(cases.target_indptr)
        assert (lengths > 0).all()
        assert (cases.queries.history.lengths >= 1).all()
        rows_of = np.repeat(np.arange(len(cases)), lengths)
        for user, target in zip(cases.queries.users[rows_of], cases.targets, strict=True):
            # Every target is an interaction of its user in that part...
            assert ((log.users == user) & (log.items == target) & (split.parts == part)).any()
            # ... and stands in training only if the user really bought it twice.
            if ((split.train.users == user) & (split.train.items == target)).any():
                assert ((log.users == user) & (log.items == target)).sum() > 1
        for b, user in enumerate(cases.queries.users):
            targets = cases.targets[cases.target_indptr[b] : cases.target_indptr[b + 1]]
            past = cases.queries.history.row(b)
            assert len(set(targets)) == len(targets)
            if repeats == "drop":
                assert not set(past) & set(targets)
            # Time never runs backwards: history in order, the first target not before its end.
            times = cases.queries.history.slice(b, b + 1).times
            assert (np.diff(times) >= 0).all()
            when = log.times[(log.users == user) & (split.parts == part)].min()
            assert times[-1] <= when


@few
@given(rows=logs(), kind=st.sampled_from(KINDS))
def test_equal_seeds_give_equal_splits(rows: list[Row], kind: str) -> None:
    dataset, split = attempt(rows, SplitConfig(kind=kind, **SHARES.get(kind, {})))
    again = make_split(dataset, SplitConfig(kind=kind, **SHARES.get(kind, {})))
    assert split.hash == again.hash
    np.testing.assert_array_equal(split.test.targets, again.test.targets)


@few
@given(rows=logs())
def test_temporal_training_lies_wholly_before_the_test(rows: list[Row]) -> None:
    _, split = attempt(rows, SplitConfig(kind="temporal", valid=0.2, test=0.2))
    assert split.train.times.max() < split.valid.queries.times.min()
    assert split.valid.queries.history.times.max() < split.valid.queries.times.min()
    assert split.test.queries.history.times.max() < split.test.queries.times.min()


@few
@given(rows=logs(), seed=st.integers(0, 5))
def test_cold_items_are_never_trained(rows: list[Row], seed: int) -> None:
    _, split = attempt(rows, SplitConfig(kind="cold-item", seed=seed, valid=0.2, test=0.2))
    held = set(split.valid.targets), set(split.test.targets)
    assert not held[0] & held[1]
    assert not set(split.train.items) & (held[0] | held[1])
    assert not set(split.test.queries.history.items) & held[1]


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


def test_temporal_by_hand_with_explicit_times_and_an_end() -> None:
    day = 86_400
    rows = [("a", "x", 0), ("a", "y", day), ("a", "z", 2 * day), ("b", "x", 0), ("b", "z", day), ("b", "w", 2 * day)]
    dataset = build([*rows, ("a", "w", 3 * day)])
    config = SplitConfig(kind="temporal", valid_from="1970-01-02", test_from="1970-01-03", until="1970-01-04")
    split = make_split(dataset, config)
    assert asked(dataset, split.valid) == {"a": (["x"], ["y"]), "b": (["x"], ["z"])}
    assert asked(dataset, split.test) == {"a": (["x", "y"], ["z"]), "b": (["x", "z"], ["w"])}
    assert split.left_out == {"interactions after the test window": 1}
    assert int((split.parts == LEFT_OUT).sum()) == 1
    assert "1970-01-03" in split.protocol


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
SAME_TIME: list[Row] = [("a", f"i{i}", 7) for i in range(9)]


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (ONE_EACH, {}, "3 users have only one"),
        (ONE_EACH, {"kind": "ratio"}, "no user has 3 interactions"),
        (SAME_TIME, {"kind": "temporal"}, "the same time"),
        ([("a", "x", 1), *SAME_TIME], {"kind": "temporal"}, "both cuts fall on"),
        (HAND, {"kind": "temporal", "valid_from": 100, "test_from": 200}, "no interactions for validation"),
        (HAND, {"kind": "cold-item", "valid": 0.01, "test": 0.01}, "cannot be held out"),
        (HAND, {"kind": "cold-item", "valid": 0.49, "test": 0.5}, "cannot be held out|left"),
        (HAND, {"min_value": 3}, "no value column"),
        (HAND, {"min_history": 9}, "no validation users are left"),
        ([("a", "x", 1), ("a", "x", 2), ("a", "x", 3)], {}, "already in the history"),
    ],
)
def test_bad_input_says_what_is_wrong(rows: list[Row], options: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        make_split(build(rows), SplitConfig(**options))


def test_no_clock_no_temporal_split() -> None:
    with pytest.raises(DataError, match="timestamps"):
        make_split(build(HAND, clock=False), SplitConfig(kind="temporal"))


def test_too_few_untouched_items() -> None:
    dataset = build([("a", f"i{i}", i) for i in range(9)])
    with pytest.raises(DataError, match="at most 0 negatives"):
        draw_candidates(make_split(dataset, SplitConfig()).test, dataset, 5, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "random"},
        {"kind": "ratio", "valid": 0.6, "test": 0.5},
        {"kind": "ratio", "test": 0},
        {"kind": "temporal", "valid_from": 5},
        {"kind": "temporal", "valid_from": 9, "test_from": 5},
        {"valid": 0.2},
        {"kind": "ratio", "task": "ctr"},
        {"shuffle": True},
    ],
)
def test_settings_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        make_splitter(SplitConfig(**options))


def test_images_and_items_without_interactions_stay_out_of_cold_drawing() -> None:
    items = pa.table({"item_id": [f"i{i}" for i in range(50)]})
    rows = [(f"u{u}", f"i{(u + j) % 10}", j) for u in range(10) for j in range(5)]
    split = make_split(build(rows, items=items), SplitConfig(kind="cold-item"))
    assert "1 items are held out" in split.protocol

"""Splitters: what each rule promises, on logs that hypothesis makes and on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from small_logs import Row, asked, build, logs

from reasonrec_core.data import LEFT_OUT, TEST, TRAIN, VALID, Dataset, Split, SplitConfig, make_split, make_splitter
from reasonrec_core.errors import ConfigError, DataError

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
@given(rows=logs(), seed=st.integers(0, 3))
def test_a_random_split_draws_shares_of_each_user_whatever_the_time(rows: list[Row], seed: int) -> None:
    config = SplitConfig(kind="random", seed=seed, valid=0.2, test=0.3, repeats="keep")
    dataset, split = attempt(rows, config)
    users = dataset.interactions.users
    for user, length in enumerate(np.bincount(users, minlength=dataset.n_users)):
        parts = split.parts[users == user]
        test, valid = (max(int(length * share + 1e-9), 1) if length >= 3 else 0 for share in (0.3, 0.2))
        assert ((parts == TEST).sum(), (parts == VALID).sum()) == (test, valid)
    late = [("a", f"i{n}", n) for n in range(40)]
    parts = make_split(build(late), SplitConfig(kind="random", seed=seed)).parts
    assert np.flatnonzero(parts == TEST).min() < np.flatnonzero(parts == TRAIN).max(), "not by time"


HAND: list[Row] = [("a", "x", 1), ("a", "y", 2), ("a", "z", 3), ("b", "x", 1), ("b", "y", 5)]


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


ONE_EACH: list[Row] = [("a", "x", 1), ("b", "y", 2), ("c", "z", 3)]
SAME_TIME: list[Row] = [("a", f"i{i}", 7) for i in range(9)]


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (ONE_EACH, {"kind": "ratio"}, "no user has 3 interactions"),
        (SAME_TIME, {"kind": "temporal"}, "the same time"),
        ([("a", "x", 1), *SAME_TIME], {"kind": "temporal"}, "10 interactions are too few"),
        ([("a", "x", 1), *(("a", f"i{n}", 7) for n in range(99))], {"kind": "temporal"}, "both cuts fall on"),
        (HAND, {"kind": "temporal", "valid_from": 100, "test_from": 200}, "no interactions for validation"),
        (HAND, {"kind": "cold-item", "valid": 0.01, "test": 0.01}, "cannot be held out"),
        (HAND, {"kind": "cold-item", "valid": 0.49, "test": 0.5}, "cannot be held out|left"),
    ],
)
def test_bad_input_says_what_is_wrong(rows: list[Row], options: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        make_split(build(rows), SplitConfig(**options))


def test_no_clock_no_temporal_split() -> None:
    with pytest.raises(DataError, match="timestamps"):
        make_split(build(HAND, clock=False), SplitConfig(kind="temporal"))


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "ratio", "valid": 0.6, "test": 0.5},
        {"kind": "ratio", "test": 0},
        {"kind": "temporal", "valid_from": 5},
        {"kind": "temporal", "valid_from": 9, "test_from": 5},
        {"kind": "ratio", "task": "ctr"},
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

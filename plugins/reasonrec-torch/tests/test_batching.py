"""Every item but a user's first is asked for once, after what came before it, in batches that waste little."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_torch.batching import Batch, Shape, TrainingSequences
from reasonrec_torch.curriculum import Exposure
from reasonrec_torch.ragged import over_histories

from reasonrec_core.errors import DataError
from reasonrec_core.types import Int64, indptr_of

SHAPES: tuple[Shape, ...] = ("positions", "prefixes")
LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=12).filter(lambda n: max(n) >= 2)


def sequences(lengths: list[int] | Int64, **settings: object) -> TrainingSequences:
    """Items are numbered through, so that an item says whose it is and where it stands."""
    indptr = indptr_of(lengths)
    return TrainingSequences(indptr, np.arange(indptr[-1]), **settings)  # type: ignore[arg-type]


def asked(batches: list[Batch]) -> list[int]:
    return sorted(np.concatenate([b.targets[b.targets >= 0] for b in batches] or [np.zeros(0, int)]).tolist())


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a.items, b.items) for a, b in zip(one, other, strict=True))


@given(LENGTHS, st.sampled_from(SHAPES), st.integers(1, 6), st.integers(1, 30), st.integers(1, 3), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_each_target_once_after_its_own_past(
    lengths: list[int], shape: Shape, max_history: int, tokens: int, parts: int, seed: int
) -> None:
    data = sequences(lengths, shape=shape, max_history=max_history, tokens=tokens)
    epoch = data.plan(np.random.default_rng(seed), [Exposure()] * parts)
    batches = list(epoch.batches())
    starts = np.cumsum([0, *lengths])
    assert asked(batches) == sorted(set(range(starts[-1])) - {s for s, n in zip(starts, lengths, strict=False) if n})
    assert epoch.samples == sum(b.samples for b in batches)
    padding = [(b.items < 0).sum() for b in batches], [b.items.size for b in batches]
    assert [b.places - b.used for b in batches] == padding[0]
    assert [b.places for b in batches] == padding[1]
    for batch in batches:
        rows, width = batch.items.shape
        assert rows * width <= tokens or rows == 1
        assert width <= max_history
        held = batch.items >= 0
        assert (held[:, :-1] >= held[:, 1:]).all()
        assert (np.diff(batch.items, axis=1)[held[:, 1:]] == 1).all()
        assert (batch.items[held] >= starts[batch.users].repeat(held.sum(1))).all()
        there = batch.targets >= 0
        assert (batch.targets == np.where(there, batch.items + 1, -1)).all()
        if shape == "prefixes":
            assert (there.sum(1) == 1).all()
            last = held.sum(1) - 1
            assert there[np.arange(rows), last].all()
            assert (held.sum(1) == np.minimum(batch.targets.max(1) - starts[batch.users], max_history)).all()
        else:
            assert (there == held).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_same_seed_same_batches_and_any_start(shape: Shape) -> None:
    data = sequences([5, 3, 9, 2, 7, 4] * 5, shape=shape, tokens=20, max_history=4)
    first, again, other = (data.plan(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert same(list(first.batches()), list(again.batches()))
    assert not same(list(first.batches()), list(other.batches()))
    assert same(list(first.batches(3)), list(again.batches())[3:])
    assert len(first) == len(list(first.batches()))


def test_little_padding_on_lengths_as_in_real_logs() -> None:
    lengths = np.minimum(5 + np.random.default_rng(0).geometric(0.25, 2000), 100)
    batches = list(sequences(lengths).plan(np.random.default_rng(0)).batches())
    assert sum(b.used for b in batches) > 0.95 * sum(b.places for b in batches)


def test_long_sequences_are_cut_elsewhere_in_every_epoch() -> None:
    data = sequences([40], max_history=10)
    starts = {tuple(np.sort(data.plan(np.random.default_rng(s)).windows.start)) for s in range(5)}
    assert len(starts) > 1


@pytest.mark.parametrize("shape", SHAPES)
def test_newest_only_asks_for_the_last_targets(shape: Shape) -> None:
    data = sequences([10, 3], shape=shape, max_history=4, newest_only=True)
    assert asked(list(data.plan(np.random.default_rng(0)).batches())) == [6, 7, 8, 9, 11, 12]


def test_weights_go_with_their_targets() -> None:
    weights = np.arange(9, dtype=np.float32) / 10
    data = sequences([5, 4], weights=weights, tokens=8)
    for batch in data.plan(np.random.default_rng(0)).batches():
        assert batch.weights is not None
        assert np.allclose(batch.weights, np.where(batch.targets >= 0, weights[batch.targets], 0))


@given(st.lists(st.floats(0.05, 1), min_size=8, max_size=8), st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_users_are_read_as_often_as_their_probability_says(probability: list[float], seed: int) -> None:
    data = sequences([3] * 8)
    wanted = np.array(probability, np.float32)
    epoch = data.plan(np.random.default_rng(seed), [Exposure(wanted)] * 4)
    counts = np.bincount(epoch.windows.users, minlength=8)
    expected = 8 * wanted.astype(float) / wanted.astype(float).mean() / 8
    assert (np.abs(counts - expected) < 1 + 1e-6).all()


def test_an_epoch_is_as_long_whoever_is_shown() -> None:
    lengths = np.random.default_rng(0).integers(2, 40, 500)
    data = sequences(lengths)
    long_ones = np.where(lengths > 30, 1.0, 0.1).astype(np.float32)
    epoch = data.plan(np.random.default_rng(0), [Exposure(long_ones)] * 2)
    assert epoch.samples == pytest.approx(data.plan(np.random.default_rng(0)).samples, rel=0.03)
    assert (lengths[epoch.windows.users] > 30).mean() > 0.6


def test_parts_show_whom_they_should_in_their_order() -> None:
    data = sequences([3, 3, 3, 3], tokens=2)
    only = [Exposure(np.array(p, np.float32)) for p in ([1, 1, 0, 0], [0, 0, 1, 1])]
    users = np.concatenate([b.users for b in data.plan(np.random.default_rng(0), only).batches()])
    assert sorted(users[:2].tolist()) == [0, 1]
    assert sorted(users[2:].tolist()) == [2, 3]
    with pytest.raises(ValueError, match="shows no user"):
        data.plan(np.random.default_rng(0), [Exposure(np.zeros(4, np.float32))])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_limit_shortens_what_is_read_and_keeps_all_targets(shape: Shape) -> None:
    data = sequences([10, 10], shape=shape)
    limit = np.array([2, 99])
    epoch = data.plan(np.random.default_rng(0), [Exposure(limit=limit)])
    longest = [int(epoch.windows.lengths[epoch.windows.users == u].max()) for u in (0, 1)]
    assert longest == [2, 9]
    assert asked(list(epoch.batches())) == [*range(1, 10), *range(11, 20)]


def test_nothing_to_predict_is_said() -> None:
    with pytest.raises(DataError, match="two or more training interactions"):
        sequences([1, 0, 1])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers(1, 5), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_answers_come_back_in_place(lengths: list[int], max_history: int, tokens: int) -> None:
    """Also for bounds that do not start at 0, and for empty histories."""
    indptr = indptr_of(lengths)
    items = np.arange(indptr[-1])
    found = over_histories(
        lambda b: np.stack([b.lengths, b.items.max(1), b.items[:, 0]], 1).astype(np.float32),
        indptr + 7,
        items,
        max_history=max_history,
        tokens=tokens,
    )
    rows = [items[a:b][-max_history:] for a, b in pairwise(indptr)]
    wanted = [[len(row), row[-1], row[0]] if len(row) else [0, -1, -1] for row in rows]
    assert found.tolist() == wanted

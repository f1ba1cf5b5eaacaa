"""Scores against brute force, limits against known answers, coverage against its exact law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_conformal.chance import draw_uniform
from reasonrec_conformal.limits import GroupLimits, compute_limit
from reasonrec_conformal.scores import ConformalScore, Kind, ScoreLadder
from scipy.stats import betabinom

from reasonrec_core.types import History, QueryBatch, Task

KINDS: tuple[Kind, ...] = ("lac", "aps", "raps")


def test_known_scores() -> None:
    row = np.array([[0.1, 0.5, 0.0, 0.2, 0.2]], np.float32)
    expected = {"lac": (0.5, 0.8, 0.9), "aps": (0.5, 0.9, 1.0), "raps": (0.5, 0.9 + 0.02, 1.0 + 0.03)}
    for kind in KINDS:
        ladder = ScoreLadder.of(ConformalScore(kind, 0.01, 1), row)
        found = [float(ladder.scores(np.array([p], np.float32))[0]) for p in (0.5, 0.2, 0.1)]
        assert found == pytest.approx(expected[kind], abs=1e-6), kind
        assert ladder.scores(np.zeros(1, np.float32))[0] == math.inf


def test_a_share_of_the_own_mass() -> None:
    row = np.array([[0.5, 0.3, 0.2]], np.float32)
    ladder = ScoreLadder.of(ConformalScore("aps"), row, np.array([0.5]))
    assert float(ladder.scores(np.array([0.3], np.float32))[0]) == pytest.approx(0.65)


def test_known_limits() -> None:
    scores = np.arange(1.0, 10.0)  # nine
    assert compute_limit(scores, 0.9) == 9.0  # the ceil(10 * 0.9) = 9th
    assert compute_limit(scores, 0.5) == 5.0
    assert compute_limit(scores[:8], 0.9) == math.inf
    assert compute_limit(np.zeros(0), 0.1) == math.inf


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 6), min_size=5, max_size=5), min_size=1, max_size=4),
    st.sampled_from(KINDS),
    st.floats(0, 1.2),
    st.floats(0, 1),
    st.randoms(use_true_random=False),
)
def test_sizes_count_the_items_within_the_limit(
    counts: list[list[int]], kind: Kind, level: float, inside: float, random: object
) -> None:
    raw = np.array(counts, np.float64)
    rows = (raw / np.maximum(raw.sum(axis=1, keepdims=True), 1)).astype(np.float32)
    share = np.full(len(rows), inside)
    score = ConformalScore(kind, 0.05, 2)
    ladder, limits = ScoreLadder.of(score, rows, share), np.full(len(rows), level)
    each = np.stack([ladder.scores(column) for column in rows.T], axis=1)
    assert np.array_equal(ladder.sizes(limits, np.full(len(rows), 5)), (each <= level).sum(axis=1))
    own = each.min(axis=1)  # a limit that is itself a score holds that item
    reached = np.isfinite(own)
    assert (ladder.sizes(own, np.full(len(rows), 5))[reached] >= 1).all()
    turned = ScoreLadder.of(score, rows[:, ::-1], share)
    assert np.array_equal(turned.sizes(limits, np.full(len(rows), 5)), (each <= level).sum(axis=1))
    assert (ladder.sizes(np.full(len(rows), math.inf), np.full(len(rows), 3)) == 3).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decimals", [2, 9])
def test_coverage_follows_its_exact_law(kind: Kind, decimals: int) -> None:
    """Exchangeable queries, a policy that is wrong: coverage is beta-binomial, or more where scores are tied."""
    random = np.random.default_rng(5)
    n, m, width, wanted = 400, 3000, 30, 0.9
    truth = random.dirichlet(np.full(width, 0.3), n + m)
    stated = np.round(0.5 * truth + 0.5 * random.dirichlet(np.full(width, 0.3), n + m), decimals).astype(np.float32)
    targets = (truth.cumsum(axis=1) < random.random((n + m, 1))).sum(axis=1).clip(0, width - 1)
    inside = random.random(n + m) if kind == "aps" else np.ones(n + m)
    ladder = ScoreLadder.of(ConformalScore(kind, 0.01, 3), stated, inside)
    scores = ladder.scores(stated[np.arange(n + m), targets])
    at = compute_limit(scores[:n], wanted)
    place = math.ceil((n + 1) * wanted)
    law = betabinom(m, place, n + 1 - place)
    covered = int((scores[n:] <= at).sum())
    assert covered >= law.ppf(1e-4)
    if decimals == 9:
        assert covered <= law.ppf(1 - 1e-4)


def test_each_group_keeps_the_promise_where_one_limit_does_not() -> None:
    random = np.random.default_rng(1)
    horizon = random.random(8000).astype(np.float32)
    scores = random.random(8000) * (0.2 + horizon)
    cold = horizon[4000:] > 0.75
    one = GroupLimits.fit(scores[:4000], horizon[:4000], 0.9, 1)
    four = GroupLimits.fit(scores[:4000], horizon[:4000], 0.9, 4)
    assert four.counts.tolist() == [1000] * 4
    assert (scores[4000:] <= one(horizon[4000:]))[cold].mean() < 0.8
    for group in range(4):
        some = four.group(horizon[4000:]) == group
        held = int((scores[4000:] <= four(horizon[4000:]))[some].sum())
        law = betabinom(int(some.sum()), 901, 100)
        assert law.ppf(1e-4) <= held <= law.ppf(1 - 1e-4), group


def test_equal_horizons_share_a_group() -> None:
    fitted = GroupLimits.fit(np.arange(100.0), np.repeat(np.float32([0.2, 1.0]), [10, 90]), 0.5, 4)
    assert fitted.counts.tolist() == [10, 90]
    assert fitted.group(np.float32([0.0, 0.2, 0.3, 1.0])).tolist() == [0, 0, 1, 1]


def test_the_number_of_a_query_is_uniform_and_its_own() -> None:
    random = np.random.default_rng(0)
    rows = [random.integers(0, 50, random.integers(0, 9)).tolist() for _ in range(3000)]
    batch = QueryBatch(Task.SEQUENTIAL, np.arange(3000, dtype=np.int32), History.of(rows))
    found = draw_uniform(batch, 7)
    counts = np.histogram(found, np.linspace(0, 1, 11))[0]
    assert ((counts > 220) & (counts < 380)).all()
    assert np.array_equal(draw_uniform(batch.slice(100, 200), 7), found[100:200])
    assert not np.allclose(draw_uniform(batch, 8)[:9], found[:9]) or not batch.history.lengths[:9].any()

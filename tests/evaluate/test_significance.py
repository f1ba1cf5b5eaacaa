"""Intervals and comparisons: they cover what they should, in every way of drawing, and say so when they cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cases import listed, make_cases, make_clicks

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.evaluate import Scores, Totals, compare, compare_all, holm, score_ctr, score_ranking, summarise
from reasonrec_core.evaluate import bootstrap as module
from reasonrec_core.evaluate.bootstrap import resample, sum_by_user
from reasonrec_core.types import Task


def of_values(values: np.ndarray, name: str = "M", users: np.ndarray | None = None) -> Scores:
    users = np.arange(len(values), dtype=np.int32) if users is None else users.astype(np.int32)
    return Scores(Task.SEQUENTIAL, users, {name: values})


def plain_bootstrap(values: np.ndarray, seed: int, resamples: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return values[rng.integers(0, len(values), (resamples, len(values)))].mean(axis=1)


@pytest.mark.parametrize("kind", ["two values", "many values", "many values, many users"])
def test_the_interval_is_the_plain_bootstraps(kind: str) -> None:
    rng = np.random.default_rng(0)
    n = 4000 if kind.endswith("users") else 400
    values = (rng.random(n) < 0.1).astype(float) if kind == "two values" else rng.lognormal(size=n)
    found = summarise(of_values(values), seed=3)["M"]
    expected = plain_bootstrap(values, 1)
    spread = expected.std()
    assert found["value"] == pytest.approx(values.mean())
    for side, quantile in (("low", 0.025), ("high", 0.975)):
        assert abs(found[side] - np.quantile(expected, quantile)) < 0.2 * spread


def test_bins_keep_mean_and_variance_of_ratios_too() -> None:
    rng = np.random.default_rng(5)
    rows = rng.poisson(2, 5000).astype(float)
    parts = np.stack([rng.lognormal(size=5000) * rows, rows], axis=1)
    estimate = Totals(parts, lambda sums: sums[:, 0] / sums[:, 1], "user")
    binned = estimate.combine(module._binned_sums(estimate, np.random.default_rng(0), 8000))
    drawn = estimate.combine(module._resampled_sums(parts, np.random.default_rng(1), 1500))
    assert binned.mean() == pytest.approx(estimate.value, rel=0.003)
    assert binned.std() == pytest.approx(drawn.std(), rel=0.08)


def test_equal_seeds_give_equal_intervals() -> None:
    scores = of_values(np.random.default_rng(0).random(300))
    assert summarise(scores, seed=7) == summarise(scores, seed=7)
    assert summarise(scores, seed=7) != summarise(scores, seed=8)


def test_rows_of_one_user_are_drawn_together() -> None:
    # 40 users with 25 equal rows each: as wide as 40 observations, not as 1,000.
    rng = np.random.default_rng(0)
    per_user = rng.random(40)
    users = np.repeat(np.arange(40), 25)
    clustered = summarise(of_values(per_user[users], users=users))["M"]
    alone = summarise(of_values(per_user))["M"]
    assert clustered["high"] - clustered["low"] == pytest.approx(alone["high"] - alone["low"], rel=0.05)


def test_unknown_users_are_different_users() -> None:
    scores = of_values(np.random.default_rng(0).random(50), users=np.full(50, -1))
    assert len(np.unique(scores.units)) == 50


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        interval = summarise(of_values((rng.random(300) < 0.3).astype(float)), seed=trial, resamples=1000)["M"]
        covered += interval["low"] <= 0.3 <= interval["high"]
    assert 180 <= covered <= 199


def test_p_values_are_uniform_when_nothing_differs() -> None:
    rng = np.random.default_rng(4)
    p = []
    for trial in range(300):
        a, b = (of_values((rng.random(200) < 0.3).astype(float)) for _ in range(2))
        p.append(compare(a, b, seed=trial, resamples=500)[0].p)
    assert np.mean(np.array(p) < 0.05) < 0.1
    assert 0.35 < np.mean(np.array(p) < 0.5) < 0.62


def test_pairing_finds_small_differences() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(500)
    a, b = of_values(hard + 0.01), of_values(hard + rng.normal(0, 0.02, 500))
    row = compare(a, b, names=("ours", "theirs"))[0]
    assert (row.a, row.b, row.metric, row.n) == ("ours", "theirs", "M", 500)
    assert 0 < row.low < row.difference < row.high
    assert row.significant
    assert row.p == pytest.approx(2 / 10_001)
    apart = summarise(a)["M"], summarise(b)["M"]
    assert apart[0]["low"] < apart[1]["high"], "unpaired, the intervals overlap"


def test_a_system_does_not_differ_from_itself() -> None:
    scores = of_values(np.random.default_rng(0).random(100))
    row = compare(scores, scores)[0]
    assert (row.difference, row.low, row.high, row.p) == (0, 0, 0, 1)
    assert not row.significant


def test_the_family_is_all_systems_and_metrics() -> None:
    rng = np.random.default_rng(0)

    def make(shift: float) -> Scores:
        values = {m: rng.random(400) + shift for m in ("M1", "M2")}
        return Scores(Task.SEQUENTIAL, np.arange(400, dtype=np.int32), values)

    rows = compare_all({"base": make(0), "x": make(0.03), "y": make(0.2)}, "base")
    assert [(row.a, row.metric) for row in rows] == [("x", "M1"), ("x", "M2"), ("y", "M1"), ("y", "M2")]
    assert [row.p_corrected for row in rows] == holm([row.p for row in rows])


@pytest.mark.parametrize("resamples", [60, 4000])
def test_the_corrected_interval_says_what_the_corrected_p_value_says(resamples: int) -> None:
    rng = np.random.default_rng(5)
    base = rng.random(400)
    gains = {str(gain): of_values(base + gain + rng.normal(0, 0.2, 400)) for gain in (0.0, 0.01, 0.02, 0.03, 0.05)}
    made = compare_all({"base": of_values(base), **gains}, "base", resamples=resamples)
    assert {row.significant for row in made} == ({True, False} if resamples > 1000 else {False})
    for row in made:
        assert row.significant == (row.low_corrected > 0 or row.high_corrected < 0)
        assert row.low_corrected <= row.low
        assert row.high_corrected >= row.high


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_order_and_never_helps(p: list[float]) -> None:
    corrected = holm(p)
    assert all(c >= v for c, v in zip(corrected, p, strict=True))
    assert (np.diff(np.array(corrected)[np.argsort(p)]) >= 0).all()


def test_different_queries_and_unknown_metrics_are_refused() -> None:
    a = of_values(np.zeros(5))
    with pytest.raises(DataError, match="different requests"):
        compare(a, of_values(np.zeros(5), users=np.arange(1, 6)))
    with pytest.raises(ConfigError, match="'Beauty'"):
        compare(a, a, ["Beauty"])


def test_every_metric_of_a_ranking_gets_an_interval() -> None:
    rng = np.random.default_rng(0)
    lists = [list(rng.choice(30, 6, replace=False)) for _ in range(60)]
    cases = make_cases([[int(i)] for i in rng.integers(0, 30, 60)])
    scores = score_ranking(listed(lists), cases, (5,), n_items=30, item_counts=rng.poisson(4, 30))
    found = summarise(scores)
    assert set(found) == set(scores.metrics)
    assert all(row["low"] <= row["value"] <= row["high"] for row in found.values())
    assert found["Coverage@5"]["low"] == found["Coverage@5"]["high"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.integers(4, 120))
def test_estimates_at_weight_one_are_the_metrics(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    cases = make_clicks(labels, users=rng.integers(0, 6, n))
    scores = score_ctr(np.round(rng.random((n, 1)), 1).astype(np.float32), cases)
    for name, estimate in sum_by_user(scores).items():
        np.testing.assert_allclose(estimate.value, scores.values[name], atol=1e-12, err_msg=name)


def test_auc_intervals_are_those_of_redrawn_users() -> None:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(80), 5)
    labels = rng.integers(0, 2, 400)
    p = np.clip(0.5 + 0.15 * (labels - 0.5) + 0.2 * rng.standard_normal(400), 0, 1).astype(np.float32)[:, None]
    scores = score_ctr(p, make_clicks(labels, users=users))
    linear = resample(sum_by_user(scores, ["AUC", "UAUC", "ECE"]), seed=1)
    redrawn: dict[str, list[float]] = {"AUC": [], "UAUC": [], "ECE": []}
    for _ in range(400):
        index = (rng.integers(0, 80, 80)[:, None] * 5 + np.arange(5)).ravel()
        again = score_ctr(p[index], make_clicks(labels[index], users=np.repeat(np.arange(80), 5)))
        for name, values in redrawn.items():
            values.append(again.values[name])
    for name, values in redrawn.items():
        assert linear[name].std() == pytest.approx(np.std(values), rel=0.15), name
        assert linear[name].mean() == pytest.approx(np.mean(values), abs=0.3 * np.std(values)), name


def test_ece_intervals_surround_the_value() -> None:
    # A calibrated system: each resample's noise pushes ECE up, an uncentred interval could miss the value.
    rng = np.random.default_rng(0)
    p = rng.random((800, 1)).astype(np.float32)
    scores = score_ctr(p, make_clicks((rng.random(800) < p[:, 0]).astype(int)))
    row = summarise(scores)["ECE"]
    assert 0 <= row["low"] < row["value"] < row["high"]


def test_one_class_leaves_auc_out() -> None:
    scores = score_ctr(np.full((3, 1), 0.5, np.float32), make_clicks([1, 1, 1]))
    assert "AUC" not in summarise(scores)
    assert {"LogLoss", "Brier", "ECE"} <= set(summarise(scores))

"""Maps recover what was done to a calibrated confidence; the choice is honest; known answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrec_core.routing.calibration import (
    KINDS,
    CalibrationQuality,
    Recalibration,
    RecalibrationKind,
    choose_recalibration,
    fit_monotone_platt,
    fit_recalibration,
    log_odds,
)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def cases(n: int, seed: int, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Stated confidences whose log-odds must be multiplied by ``slope`` and moved by ``shift`` to be true."""
    random = np.random.default_rng(seed)
    odds = random.normal(-1, 2, n)
    return sigmoid(odds), random.random(n) < sigmoid(slope * odds + shift)


def test_temperature_is_found() -> None:
    found = fit_recalibration("temperature", *cases(40_000, 0, slope=0.5))
    assert 1 / found.slope == pytest.approx(2, rel=0.05)
    assert found([0.5])[0] == 0.5


def test_platt_is_found() -> None:
    found = fit_recalibration("platt", *cases(40_000, 1, slope=0.7, shift=-0.8))
    assert (found.slope, found.shift) == pytest.approx((0.7, -0.8), abs=0.05)


def test_an_order_is_not_turned_round() -> None:
    rng = np.random.default_rng(0)
    stated = rng.uniform(0.05, 0.95, 400)
    wrong = rng.random(400) < 1 - stated  # what is said is the opposite of what happens
    assert fit_recalibration("platt", stated, wrong).slope < 0
    kept = fit_monotone_platt(stated, wrong)
    assert kept.kind == "temperature"
    assert (np.diff(kept(np.sort(stated))) >= 0).all()
    assert fit_monotone_platt(stated, ~wrong).kind == "platt"


def test_isotonic_pools_what_is_out_of_order() -> None:
    found = fit_recalibration("isotonic", [0.1, 0.2, 0.3, 0.4], np.array([False, True, False, True]))
    assert found([0.2, 0.3]) == pytest.approx([0.5, 0.5])
    assert found([0.0, 1.0]) == pytest.approx([1 / 6, 5 / 6]), "never certain"


@pytest.mark.parametrize(("kind", "slope", "shift"), [("temperature", 0.4, 0.0), ("platt", 0.6, -1.0)])
def test_the_right_kind_is_chosen_and_helps_on_new_cases(kind: RecalibrationKind, slope: float, shift: float) -> None:
    chosen = choose_recalibration(*cases(20_000, 2, slope, shift), seed=0)
    assert chosen.kind == kind
    stated, event = cases(20_000, 3, slope, shift)
    before, after = CalibrationQuality.of(stated, event), CalibrationQuality.of(chosen(stated), event)
    assert before.ece > 0.05
    assert after.ece < 0.015
    assert after.ece_mass < 0.015
    assert after.brier < before.brier
    assert chosen.report["none"]["ece"] == pytest.approx(before.ece, abs=0.01)
    assert chosen.report[kind]["brier"] == pytest.approx(after.brier, abs=0.01)


def test_what_no_line_can_mend_is_mended_by_steps() -> None:
    random = np.random.default_rng(4)
    stated = random.random(20_000)
    event = random.random(20_000) < np.where(stated < 0.5, 0.1, np.where(stated < 0.8, 0.3, 0.9))
    assert choose_recalibration(stated, event, seed=0).kind == "isotonic"


def test_cross_fitting_sees_through_memory() -> None:
    """Isotonic regression fits 60 cases of noise far too well; its cross-fitted figure does not say so."""
    random = np.random.default_rng(5)
    stated, event = random.random(60), random.random(60) < 0.5
    report = choose_recalibration(stated, event, seed=0).report
    own = CalibrationQuality.of(fit_recalibration("isotonic", stated, event)(stated), event)
    assert report["isotonic"]["brier"] > own.brier + 0.01


def test_too_few_cases_leave_it_as_it_is() -> None:
    stated, event = np.linspace(0, 1, 50), np.arange(50) >= 45
    chosen = choose_recalibration(stated, event, seed=0)
    assert chosen.kind == "none"
    assert not chosen.report
    assert np.array_equal(chosen(stated), stated)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40).filter(
        lambda rows: len({event for _, event in rows}) == 2
    ),
    st.sampled_from(KINDS),
)
def test_maps_stay_between_0_and_1_and_survive_json(rows: list[tuple[float, bool]], kind: RecalibrationKind) -> None:
    stated, event = np.array([p for p, _ in rows]), np.array([e for _, e in rows])
    found = fit_recalibration(kind, stated, event)
    at = np.linspace(0, 1, 21)
    mapped = found(at)
    assert ((mapped >= 0) & (mapped <= 1)).all()
    if kind != "platt":  # whose slope may be negative
        assert (np.diff(mapped) >= -1e-12).all()
    again = Recalibration.model_validate(json.loads(json.dumps(found.model_dump(mode="json"))))
    assert np.array_equal(again(at), mapped)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        fit_recalibration("platt", [0.5], np.array([True, False]))
    with pytest.raises(ValueError, match="not in"):
        fit_recalibration("platt", [0.5, 1.5], np.array([True, False]))


def test_log_odds_are_finite() -> None:
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
    assert log_odds(np.array([0.5]))[0] == 0


def test_a_map_must_be_worth_it() -> None:
    """With few cases that were calibrated already, some map is nearly always the best by a hair."""
    kept = [choose_recalibration(*cases(400, seed), seed).kind for seed in range(20)]
    assert kept.count("none") >= 14
    assert choose_recalibration(*cases(4000, 1, slope=0.4, shift=0.5), 0).kind != "none"

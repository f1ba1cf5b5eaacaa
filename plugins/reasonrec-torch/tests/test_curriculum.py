"""Curricula keep their promises whatever the users are like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_torch.batching import TrainingSequences
from reasonrec_torch.curriculum import (
    UNLIMITED,
    Curriculum,
    CurriculumConfig,
    competence,
    history_limit,
    pool,
    sampling_probability,
)

from reasonrec_core.types import Float32, Int64, indptr_of

KINDS = st.sampled_from(["none", "three-phase", "competence", "truncation"])
HORIZONS = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20).map(lambda v: np.array(v, np.float32))
PROGRESS = st.floats(0, 1)


def config(kind: str, **more: Any) -> CurriculumConfig:
    return CurriculumConfig(kind=kind, **more)  # type: ignore[arg-type]


@given(KINDS, HORIZONS, PROGRESS, st.floats(0, 1, width=32))
def test_nobody_falls_below_the_mixing_floor(kind: str, horizon: Float32, progress: float, mixing: float) -> None:
    probability = sampling_probability(config(kind, mixing=mixing), horizon, progress)
    assert (probability >= np.float32(mixing)).all()
    assert probability.max() == 1
    if kind in ("none", "truncation"):
        assert (probability == 1).all()


@given(HORIZONS, PROGRESS, PROGRESS, st.floats(0.01, 1))
def test_competence_only_grows(horizon: Float32, one: float, other: float, start: float) -> None:
    early, late = sorted([one, other])
    assert start - 1e-9 <= competence(early, start) <= competence(late, start) <= 1
    setting = config("competence", competence=start)
    before, after = pool(setting, horizon, early), pool(setting, horizon, late)
    assert before.all() or (before <= after).all()
    assert pool(setting, horizon, 1.0).all()
    assert horizon[before].max() <= horizon[~before].min(initial=1)


def test_competence_is_the_published_curve() -> None:
    assert competence(0, 0.1) == pytest.approx(0.1)
    assert competence(0.5, 0.1) == pytest.approx(np.sqrt(0.5 * 0.99 + 0.01))
    assert competence(1, 0.1) == 1


def test_three_phases() -> None:
    horizon = np.array([0.0, 0.29, 0.3, 0.5, 0.7, 0.71, 1.0], np.float32)
    setting = config("three-phase")
    phases = {
        0.0: [1, 1, 0, 0, 0, 0, 0],
        0.09: [1, 1, 0, 0, 0, 0, 0],
        0.1: [1, 1, 1, 0, 0, 0, 0],
        0.53: [1, 1, 1, 1, 0, 0, 0],
        0.949: [1, 1, 1, 1, 0, 0, 0],
        0.95: [0, 0, 0, 0, 0, 1, 1],
        1.0: [0, 0, 0, 0, 0, 1, 1],
    }
    for progress, wanted in phases.items():
        assert pool(setting, horizon, progress).tolist() == [bool(w) for w in wanted], progress


@given(st.lists(st.floats(0.1, 0.9499), min_size=2, max_size=2), HORIZONS)
def test_the_second_phase_only_admits(points: list[float], horizon: Float32) -> None:
    early, late = (pool(config("three-phase"), horizon, p) for p in sorted(points))
    assert early.all() or (early <= late).all()


def test_an_empty_pool_is_everyone_and_the_summary_tells() -> None:
    """As the paper's own normaliser makes it: nearly everyone is cold."""
    horizon = np.full(5, 0.99, np.float32)
    setting = config("three-phase", mixing=0)
    assert pool(setting, horizon, 0.0).all()
    assert Curriculum(setting, horizon).summary() == {"kind": "three-phase", "warm": 0, "medium": 0, "cold": 1}


@given(KINDS, HORIZONS, PROGRESS, PROGRESS, st.floats(0, 1), st.integers(0, 99))
def test_truncation_falls_and_spares_cold_users(
    kind: str, horizon: Float32, one: float, other: float, share: float, seed: int
) -> None:
    draws = np.random.default_rng(seed).random(len(horizon), dtype=np.float32)
    early, late = (
        history_limit(config(kind, share=share, shown=(9, 3)), horizon, p, draws) for p in sorted([one, other])
    )
    short = early < UNLIMITED
    assert (late <= early).all()
    assert ((early >= 3) & (early[short] <= 9).all()).all()
    assert not short[horizon > 0.7].any()
    assert not short[draws >= share].any()
    if kind != "truncation":
        assert not short.any()


@given(st.lists(st.integers(2, 15), min_size=1, max_size=8), PROGRESS, st.integers(0, 99))
@settings(deadline=None)
def test_truncation_never_lengthens_and_keeps_the_targets_in_order(
    lengths: list[int], progress: float, seed: int
) -> None:
    indptr: Int64 = indptr_of(lengths)
    data = TrainingSequences(indptr, np.arange(indptr[-1]), tokens=1)
    curriculum = Curriculum(config("truncation", share=1, shown=(6, 2)), np.zeros(len(lengths), np.float32))
    exposure = curriculum.exposure(progress, np.random.default_rng(seed))
    assert exposure.limit is not None
    asked = []
    for batch in data.plan(np.random.default_rng(seed), [exposure]).batches():
        read = batch.items >= 0
        assert read.sum(1).max() <= min(exposure.limit.min(), max(lengths) - 1)
        assert (batch.targets[batch.targets >= 0] == batch.items[batch.targets >= 0] + 1).all()
        asked.append(batch.targets[batch.targets >= 0])
    assert len(np.unique(np.concatenate(asked))) == sum(lengths) - len(lengths)


def test_warm_users_come_first_and_cold_ones_last() -> None:
    horizon = np.repeat(np.array([0.1, 0.5, 0.9], np.float32), 50)
    curriculum = Curriculum(config("three-phase", mixing=0.1), horizon)
    data = TrainingSequences(np.arange(0, 151 * 2, 2), np.zeros(300, np.int64), tokens=4)

    def read(epoch: int) -> list[float]:
        rng = np.random.default_rng(epoch)
        users = data.plan(rng, curriculum.epoch(epoch, 20, rng)).windows.users
        return [float(np.isin(horizon[users], np.float32(h)).mean()) for h in (0.1, 0.5, 0.9)]

    first, middle, last = read(0), read(12), read(19)
    assert first[0] > 0.75
    assert middle[1] > 0.35
    assert last[2] > 0.75


def test_users_without_sequences_do_not_count() -> None:
    horizon = np.array([0.2, 0.4, 1.0, 1.0], np.float32)
    curriculum = Curriculum(config("competence", competence=0.3), horizon, np.array([0, 1]))
    probability = curriculum.exposure(0.0, np.random.default_rng(0)).probability
    assert probability is not None
    assert probability.tolist() == pytest.approx([1, 0.2, 0, 0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"borders": (0.9, 0.1)}, "borders"),
        ({"thresholds": (0.3, 1.7)}, "thresholds"),
        ({"shown": (2, 20)}, "shown"),
        ({"shown": (2, 0)}, "shown"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CurriculumConfig(**wrong)

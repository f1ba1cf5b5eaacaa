"""The evidence horizon: its four scales, their properties, and how the published one degenerates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrec_core.config_errors import validated
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale, HorizonConfig
from reasonrec_core.types import History, QueryBatch, Task

KINDS = ("quantile", "paper", "log", "cap")


def scale_of(users: list[int], kind: str = "quantile", cap: int = 50) -> EvidenceHorizonScale:
    return EvidenceHorizonScale.fit(np.array(users), validated(HorizonConfig, {"kind": kind, "cap": cap}))


lengths = st.lists(st.integers(1, 300), min_size=1, max_size=60)


def test_each_scale_by_hand() -> None:
    users = [1, 1, 2, 4]
    of = {kind: scale_of(users, kind, 2).of_lengths(np.array([0, 1, 3, 4, 9])) for kind in KINDS}
    np.testing.assert_allclose(of["quantile"], [1, 1 - 1 / 4, 1 - 3 / 4, 1 - 3.5 / 4, 0])
    np.testing.assert_allclose(of["paper"], [1, 0.75, 0.25, 0, 0])
    np.testing.assert_allclose(of["log"], [1, 1 - np.log(2) / np.log(5), 1 - np.log(4) / np.log(5), 0, 0], atol=1e-6)
    np.testing.assert_allclose(of["cap"], [1, 0.5, 0, 0, 0])


@given(users=lengths, asked=lengths, kind=st.sampled_from(KINDS))
def test_more_history_never_means_less_evidence(users: list[int], asked: list[int], kind: str) -> None:
    scale = scale_of(users, kind)
    horizon = scale.of_lengths(np.array(sorted(asked)))
    assert horizon.dtype == np.float32
    assert ((horizon >= 0) & (horizon <= 1)).all()
    assert (np.diff(horizon) <= 0).all()


@given(users=lengths)
def test_quantiles_of_the_training_users_are_one_half_on_average(users: list[int]) -> None:
    """Mid-rank ties make it so, however many users share a length."""
    horizon = scale_of(users).of_lengths(np.array(users))
    assert float(horizon.mean()) == pytest.approx(0.5, abs=1e-5)


@given(users=lengths, asked=lengths, kind=st.sampled_from(KINDS), seed=st.integers(0, 9))
def test_order_of_the_users_does_not_matter_and_json_keeps_everything(
    users: list[int], asked: list[int], kind: str, seed: int
) -> None:
    first = scale_of(users, kind, 7)
    second = scale_of(np.random.default_rng(seed).permutation(users).tolist(), kind, 7)
    third = EvidenceHorizonScale.from_dict(json.loads(json.dumps(first.to_dict())))
    for other in (second, third):
        np.testing.assert_array_equal(first.of_lengths(np.array(asked)), other.of_lengths(np.array(asked)))


def test_a_batch_is_measured_by_its_histories() -> None:
    scale = scale_of([4, 2, 0], "paper")
    batch = QueryBatch(Task.SEQUENTIAL, np.array([-1, 0], np.int32), History.of([[], [1, 2]]))
    np.testing.assert_array_equal(scale(batch), np.array([1.0, 0.5], np.float32))


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"kind: .*'quantile', 'paper', 'log' or 'cap', not 'papr'"):
        scale_of([1], "papr")
    with pytest.raises(ConfigError, match=r"cap: .*greater than or equal to 1, not 0"):
        scale_of([1], "cap", 0)
    with pytest.raises(DataError, match="no training user"):
        scale_of([0, 0, 0])
    with pytest.raises(DataError, match="negative"):
        scale_of([1, -1])


def test_published_scale_says_the_same_of_nearly_everybody(real_data: Callable[[str], Path]) -> None:
    """The figures of the module's docstring, for Amazon Beauty."""
    lines = (real_data("amazon-beauty") / "sequences.txt").read_text().splitlines()
    users = np.array([len(line.split()) - 1 for line in lines])
    assert (len(users), int(users.max()), float(np.median(users))) == (22_363, 204, 6.0)

    def spread(kind: str) -> tuple[float, float, float]:
        horizon = scale_of(users.tolist(), kind).of_lengths(users)
        low, high = float((horizon < 0.3).mean()), float((horizon > 0.7).mean())
        return round(low, 4), round(1 - low - high, 4), round(high, 4)

    assert spread("paper") == (0.0003, 0.0037, 0.9960)
    assert spread("log")[1] > 0.98
    assert spread("cap")[2] > 0.9
    low, middle, high = spread("quantile")
    assert min(low, middle, high) > 0.25

"""The suite of splitters catches what is wrong: each test fails on one kind of broken splitter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reasonrec_core.builtin.leave_one_out import LeaveOneOut
from reasonrec_core.data import VALID, Dataset, Division, make_split
from reasonrec_core.testing import SplitterConformance
from reasonrec_core.types import Interactions


class Whole(SplitterConformance):
    component = "leave-one-out"
    settings = {"repeats": "keep"}  # noqa: RUF012


def shifted(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """Parts of other rows than the targets."""
    division = SOUND(splitter, dataset, log)
    return replace(division, parts=np.roll(division.parts, 1))


def leaking(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """The validation interactions are trained on, too."""
    division = SOUND(splitter, dataset, log)
    return replace(division, parts=np.where(division.parts == VALID, 0, division.parts).astype(np.uint8))


def clairvoyant(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """Validation is asked with the histories of the test."""
    division = SOUND(splitter, dataset, log)
    history = replace(division.valid.queries, history=division.test.queries.history)
    return replace(division, valid=replace(division.valid, queries=history))


def dicing(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """A part drawn without the seed."""
    division = SOUND(splitter, dataset, log)
    parts = division.parts.copy()
    parts[np.random.default_rng().permutation(np.flatnonzero(parts == 0))[:20]] = 255
    return replace(division, parts=parts)


def scribbling(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """Writes to what it is given."""
    division = SOUND(splitter, dataset, log)
    log.items[:] = log.items[::-1].copy()
    return division


SOUND = LeaveOneOut.divide


@pytest.mark.parametrize(
    ("divide", "test"),
    [
        (shifted, "targets_are_interactions_of_their_part"),
        (leaking, "nothing_held_out_is_learned_from"),
        (clairvoyant, "histories_hold_what_came_before"),
        (dicing, "equal_settings_divide_equally"),
        (scribbling, "changes_nothing_that_it_is_given"),
    ],
)
def test_a_broken_splitter_fails(
    divide: Callable[..., Division], test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Whole.dataset(tmp_path)
    getattr(Whole(), f"test_{test}")((dataset, make_split(dataset, Whole.config())))
    monkeypatch.setattr(LeaveOneOut, "divide", divide)
    with pytest.raises(AssertionError):
        getattr(Whole(), f"test_{test}")((dataset, make_split(dataset, Whole.config())))

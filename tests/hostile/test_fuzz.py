"""Thousands of damaged inputs to every reader; `benchmarks/fuzz.py` tries more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import fuzz
from fuzzing.attempts import Case, Ended, find_faults


def test_what_a_command_may_not_do_is_seen(tmp_path: Path) -> None:
    """The fuzzer itself: each of these is a failure."""
    case = Case(["data", "import", "x"], tmp_path / "out")
    fine = Ended(2, "", "error: x.csv: the file is empty\n", 0.1)
    assert not list(find_faults(case, fine))
    assert list(find_faults(case, Ended(1, "", "", 0.1)))
    assert not list(find_faults(Case(["data", "check", "x"]), Ended(1, "NOT SAFE\n", "", 0.1)))
    assert list(find_faults(case, Ended(-11, "", "", 0.1)))
    assert list(find_faults(case, Ended(-1, "", "", 30.0)))
    assert list(find_faults(case, Ended(2, "", "", 0.1)))  # says nothing
    assert list(find_faults(case, Ended(2, "", "error: a\nerror: b\n", 0.1)))
    assert list(find_faults(case, Ended(2, "", f"error: {'x' * 9999}\n", 0.1)))
    assert list(find_faults(case, Ended(0, "a \x1b[31mtitle\n", "", 0.1)))
    assert list(find_faults(case, Ended(0, "a \u202etitle\n", "", 0.1)))
    assert list(find_faults(case, Ended(2, "", "error: raised KeyError. Report it to its authors\n", 0.1)))
    (tmp_path / "out").mkdir()
    assert list(find_faults(case, fine))  # left something


@pytest.mark.slow
def test_damaged_inputs_are_read_or_refused() -> None:
    found = fuzz.try_cases(0, fuzz.plan_cases(2100, list(fuzz.SHARES)))
    assert [line for tally in found.values() for line in tally.failed] == []
    assert sum(tally.tried for tally in found.values()) >= 2000
    for reader, tally in found.items():  # the damage is real, and not so bad that nothing is ever read
        assert tally.codes[2] > tally.tried / 20, reader
        assert tally.codes[0] + tally.codes[1] > 0, reader


@pytest.mark.slow
def test_damaged_inputs_in_processes_under_limits() -> None:
    found = fuzz.try_cases(1, dict.fromkeys(fuzz.SHARES, 1), processes=True)
    assert [line for tally in found.values() for line in tally.failed] == []

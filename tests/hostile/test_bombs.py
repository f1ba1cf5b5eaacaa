"""Small inputs that come to more than any machine has: refused early, by one message, in 30 s and 2 GB."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import fuzz
from fuzzing.attempts import call_process, find_faults
from fuzzing.bombs import LARGE, SMALL


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_bomb_is_refused_early(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "case").mkdir()
    case = LARGE[name](tmp_path / "case")
    ended = call_process(case.arguments)
    assert list(find_faults(case, ended)) == []
    assert ended.code == (0 if "allowed" in name else 1 if case.arguments[1] == "check" else 2)
    for path in tmp_path.glob("case/data/*"):
        os.unlink(path)  # pytest keeps folders, and these are large


@pytest.mark.slow
def test_small_bombs_are_refused_too() -> None:
    ended = {said["bomb"]: said for said in fuzz.try_small_bombs()}
    assert list(ended) == list(SMALL)
    assert [said for said in ended.values() if said["faults"]] == []

"""Delegates that fail or are late: the policy answers, and the reason says so."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reasonrec_core.act.fusion import Fusion
from reasonrec_core.config import check_config
from reasonrec_core.data.synth import SynthConfig, make_catalogue
from reasonrec_core.errors import PluginError
from reasonrec_core.pipeline.handover import ask_first, consult, hand_over, in_time
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.pipeline.serve import Recommender
from reasonrec_core.registry import Registry
from reasonrec_core.types import Ranking

from .conftest import silent
from .test_replay import pipeline

ONE = Ranking(np.array([[3, 4]], np.int32), np.array([[2.0, 1.0]], np.float32))


def broken(*_: object) -> Ranking:
    raise PluginError("no memory\n left")


def test_who_is_late_is_passed_over_and_who_is_not_is_heard() -> None:
    release = threading.Event()

    def late() -> Ranking:
        release.wait(5)
        return ONE

    with pytest.raises(PluginError, match="took longer than 10 ms"):
        in_time(late, 0.010)
    release.set()
    assert in_time(lambda: ONE, 5.0) is ONE
    assert in_time(lambda: ONE, None) is ONE
    with pytest.raises(PluginError, match="no memory"):
        in_time(broken, 5.0)


def test_only_the_failing_delegates_requests_come_back() -> None:
    who = np.array(["good", None, "bad", "bad"], object)
    handed = hand_over(who, lambda label, rows: broken() if label == "bad" else ONE)
    assert handed.who.tolist() == ["good", None, None, None]
    assert [rows.tolist() for rows, _ in handed.answers] == [[0]]
    assert handed.failed == dict.fromkeys((2, 3), "bad did not answer (no memory left)")
    assert who[2] == "bad", "the caller's array is left alone"
    assert ask_first(("good", "bad"), lambda label: broken() if label == "bad" else ONE) == (
        {},
        "bad did not answer (no memory left)",
    )


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("kind", ["threshold", "deferral"])
def test_the_policy_answers_for_a_delegate_that_fails(kind: str, stage: str, tmp_path: Path) -> None:
    make_catalogue(tmp_path / "data", SynthConfig(users=300, items=40, image_size=32), silent)
    settings = {"kind": kind, "share": 1.0, "stage": stage, "timeout": 10_000}
    config = check_config(pipeline(tmp_path / "data", router=settings), "shop.toml")
    run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    served = Recommender.open(tmp_path / "run")
    user = served.dataset.users.column("user_id")[0].as_py()
    before = served.recommend(user=user, k=5)
    assert before.route == "replace"
    failing = {
        label: replace(named, part=type("Broken", (), {"recommend": broken})())
        for label, named in served.agent.delegates.items()
    }
    served.agent = replace(served.agent, delegates=failing)
    after = served.recommend(user=user, k=5)
    assert (after.route, after.by) == ("self", "profile")
    assert "did not answer (no memory left)" in after.reason
    assert after.confidence is not None
    alone = replace(served.agent, routers={})
    served.agent = alone
    assert [i.id for i in served.recommend(user=user, k=5).items] == [i.id for i in after.items]


def test_whoever_cannot_be_consulted_leaves_the_policys_answer() -> None:
    fusion = Fusion(("mind", "quick"), (), np.array([[1.0, 1.0]]), np.array([2.0]), {})
    cold, rows = np.ones(1, np.float32), np.zeros(1, np.intp)
    other = Ranking(np.array([[4, 5]], np.int32), ONE.scores)
    fused, failed = consult(fusion, rows, ONE, cold, 2, lambda label, rows: other)
    assert fused is not None
    assert (fused.items.tolist(), failed) == ([[4, 3]], None)
    assert consult(fusion, rows, ONE, cold, 2, broken) == (None, "quick did not answer (no memory left)")

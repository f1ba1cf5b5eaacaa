"""Delegates that fail or are late: the policy answers, and the reason says so."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reasonrec_datasets.synth import SynthConfig, make_catalogue
from reasonrec_serve import Recommender

from reasonrec_core.config import check_config
from reasonrec_core.errors import PluginError
from reasonrec_core.pipeline.delegate_calls import DelegateCalls, call_in_time, hand_over
from reasonrec_core.pipeline.run import fit_pipeline, run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.types import Ranking, Task

from .conftest import shop_pipeline, silent

ONE = Ranking(np.array([[3, 4]], np.int32), np.array([[2.0, 1.0]], np.float32))


def broken(*_: object) -> Ranking:
    raise PluginError("no memory\n left")


def test_who_is_late_is_passed_over_and_who_is_not_is_heard() -> None:
    release = threading.Event()

    def late() -> Ranking:
        release.wait(5)
        return ONE

    with pytest.raises(PluginError, match="took longer than 10 ms"):
        call_in_time(late, 0.010)
    release.set()
    assert call_in_time(lambda: ONE, 5.0) is ONE
    assert call_in_time(lambda: ONE, None) is ONE
    with pytest.raises(PluginError, match="no memory"):
        call_in_time(broken, 5.0)


def asking(*failing: str, size: int = 4) -> tuple[DelegateCalls, list[str]]:
    """Delegates that answer item 3, but for those that fail; and who has been asked."""
    asked: list[str] = []

    def ask(label: str, rows: np.ndarray | None) -> Ranking:
        asked.append(label)
        if label in failing:
            broken()
        return ONE.take(np.zeros(size if rows is None else len(rows), np.intp))

    return DelegateCalls(ask, size, None), asked


def test_the_next_best_delegate_answers_for_one_that_fails_and_the_policy_where_none_is_left() -> None:
    who, then = np.array(["good", "", "bad", "bad"], object), {2: ("worse", "good"), 3: ("worse",)}
    ask, asked = asking("bad", "worse")
    handed = hand_over(who, lambda row: then[row], ask)
    assert handed.who.tolist() == ["good", "", "good", ""]
    assert sorted(row for rows, _ in handed.answers for row in rows.tolist()) == [0, 2]
    both = tuple(f"{label} did not answer (no memory left)" for label in ("bad", "worse"))
    assert handed.attempts == {2: both, 3: both}
    assert who[2] == "bad", "the caller's array is left alone"
    assert asked.count("bad") == asked.count("worse") == 1


def test_nobody_is_asked_twice_and_who_has_failed_is_left_alone() -> None:
    ask, asked = asking("bad")
    whole = ask("good")
    assert whole is not None
    assert len(whole.items) == 4
    part = ask("good", np.array([1, 3]))
    assert part is not None
    assert len(part.items) == 2
    assert ask("bad") is ask("bad", np.array([0])) is None
    assert asked == ["good", "bad"]
    assert ask.failed == {"bad": "bad did not answer (no memory left)"}


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("kind", ["threshold", "deferral", "cascade"])
def test_the_policy_answers_for_a_delegate_that_fails(kind: str, stage: str, tmp_path: Path) -> None:
    make_catalogue(tmp_path / "data", SynthConfig(users=300, items=40, image_size=32), silent)
    if (kind, stage) == ("cascade", "after"):
        pytest.skip("a cascade asks delegates before the policy")
    settings = {"kind": kind, "share": 1.0, "stage": stage, "timeout": 10_000}
    if kind != "threshold":
        settings |= {"answer_features": "all", "overhead": 1.0}
    config = check_config(shop_pipeline(tmp_path / "data", settings), "shop.toml")
    run_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    served = Recommender.open(tmp_path / "run")
    user = served.dataset.users.column("user_id")[0].as_py()
    before = served.recommend(user=user, k=5)
    assert before.route == "replace"
    failing = {
        label: replace(named, part=type("Broken", (), {"recommend": broken})())
        for label, named in served.agent.delegates.items()
    }
    (other,) = set(failing) - {before.by}
    served.agent = replace(served.agent, delegates={**served.agent.delegates, before.by: failing[before.by]})
    instead = served.recommend(user=user, k=5)
    if kind != "cascade":  # its levels may be one
        assert (instead.route, instead.by) == ("replace", other)
        assert len(instead.items) == 5
    assert f"{before.by} did not answer (no memory left)" in instead.reason
    served.agent = replace(served.agent, delegates=failing)
    after = served.recommend(user=user, k=5)
    assert (after.route, after.by) == ("self", "toy")
    assert "did not answer (no memory left)" in after.reason
    assert after.attempts
    assert after.confidence is not None
    alone = replace(served.agent, routers={})
    served.agent = alone
    assert [i.id for i in served.recommend(user=user, k=5).items] == [i.id for i in after.items]


def test_whoever_cannot_be_consulted_leaves_the_policys_answer(tmp_path: Path) -> None:
    make_catalogue(tmp_path / "data", SynthConfig(users=300, items=40, image_size=32), silent)
    settings = {"share": 0.0, "consult": 0.5}
    config = check_config(shop_pipeline(tmp_path / "data", settings, policy="toy-consulting"), "shop.toml")
    made = fit_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    agent, queries = made.agent, made.prepared.cases(Task.SEQUENTIAL, "test").queries
    cold = agent.horizon(queries) > 0.5
    before = agent.act(queries)
    assert cold.any()
    np.testing.assert_array_equal(before.decisions.consulted, cold)
    failing = replace(agent.delegates["popularity"], part=type("Broken", (), {"recommend": broken})())
    agent = replace(agent, delegates={**agent.delegates, "popularity": failing})
    after, alone = agent.act(queries), replace(agent, routers={}).act(queries)
    assert not after.decisions.consulted.any()
    np.testing.assert_array_equal(after.ranking.items, alone.ranking.items)
    assert (before.ranking.items[cold] != alone.ranking.items[cold]).any()
    np.testing.assert_array_equal(before.ranking.items[~cold], alone.ranking.items[~cold])
    row = int(np.argmax(cold))
    assert after.attempts[row] == ("popularity did not answer (no memory left)",)
    assert "popularity did not answer (no memory left)" in after.decisions.reason[row]
    assert before.deliberation is not None
    assert before.deliberation.steps[row]


@pytest.mark.parametrize("goal", [{"goal": "free"}, {"max_loss": 0.9}])
def test_the_goal_holds_where_nobody_is_worth_asking_first(
    goal: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reasonrec_routers.deferral import DeferralRouter

    def without_asking(self: DeferralRouter, *_: object) -> DeferralRouter:
        return DeferralRouter(self.config.model_copy(update={"answer_features": "none"}))

    monkeypatch.setattr(DeferralRouter, "cheaper", without_asking)
    make_catalogue(tmp_path / "data", SynthConfig(users=300, items=40, image_size=32), silent)
    tree = shop_pipeline(tmp_path / "data", {"kind": "deferral", **goal})
    agent = fit_pipeline(check_config(tree, "shop.toml"), tmp_path / "run", Registry.discover(), silent).agent
    (router,) = agent.routers.values()
    assert router.config.answer_features == "none"
    assert router.report["goal"]["goal"] == ("free" if "goal" in goal else "max_loss")

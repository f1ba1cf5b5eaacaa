"""The conformance suite of routers: what every kind of them promises, whatever it has learned."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from reasonrec_core.hookspecs import Kind
from reasonrec_core.registry import Registry
from reasonrec_core.routing import FEATURE, CalibrationData, Decisions, Router, make_router, read_router
from reasonrec_core.routing.config import AnyRouterConfig
from reasonrec_core.types import Bool, Uncertainty

SIZE, SMALL, FEW = 1000, 250, 60
POLICY, DELEGATES = "mind", ("quick", "steady")
_REQUEST, _ANSWER = ("length", "popularity", "last-popularity"), ("margin", "entropy", "total", "popularity")
_ANSWERS = [f"{label}:{part}" for label in DELEGATES for part in _ANSWER]
FEATURES = tuple(f"{FEATURE}{name}" for name in (*_REQUEST, *_ANSWERS, "quick~steady:overlap"))
"""Signals such as the learned routers look at."""


def calibration_data(size: int = SIZE, seed: int = 0) -> CalibrationData:
    """Queries that `quick` answers as well as the policy where its margin is wide, `steady` where its votes are many.

    Nothing else says who is better; the entropy of the policy's answer says where the policy finds nothing.
    """
    rng = np.random.default_rng(seed)
    names = [*FEATURES, "evidence-horizon"]
    signals = {name: Uncertainty(rng.random(size).astype(np.float32), "before") for name in names}
    signals["entropy"] = Uncertainty(rng.random(size).astype(np.float32), "after")
    wide, many = (signals[f"feature:{name}"].total > 0.6 for name in ("quick:margin", "steady:total"))
    chance = np.stack([0.7 - 0.5 * signals["entropy"].total, 0.15 + 0.4 * wide, 0.1 + 0.45 * many])
    hits = rng.random((3, size)) < chance
    labels = (POLICY, *DELEGATES)
    quality = {
        label: np.where(hit, rng.choice([1.0, 0.63, 0.5], size), 0.0) for label, hit in zip(labels, hits, strict=True)
    }
    hit = {label: values > 0 for label, values in quality.items()}
    return CalibrationData(POLICY, signals, quality, hit, rng.permutation(size).astype(np.int64))


def fit_router(settings: Mapping[str, Any], data: CalibrationData, **how: Any) -> Router[Any]:
    """A router with these settings of ``[router]``, fitted."""
    return make_router(AnyRouterConfig.model_validate(settings)).fit(data, **how)


def decide(router: Router[Any], data: CalibrationData) -> Decisions:
    """What it decides about these queries."""
    return router.decide(data.signals, data.keys)


class RouterConformance:
    """Subclass it in a test, set ``component``, and ``settings`` where the defaults do not do.

    Attributes:
        component: the name that the plugin registered.
        settings: of ``[router]``, without a goal.
        goals: goals that the kind can be fitted to; a share is always one of them.
        learns: whether the order is learned from who is better; if not, it may lose as much as chance, or more.
    """

    component: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    goals: ClassVar[Mapping[str, float]] = {"share": 0.4}
    learns: ClassVar[bool] = True

    @pytest.fixture(scope="class")
    @classmethod
    def known(cls) -> CalibrationData:
        return calibration_data()

    @pytest.fixture(scope="class")
    @classmethod
    def fresh(cls) -> CalibrationData:
        return calibration_data(seed=2)

    @pytest.fixture(scope="class")
    @classmethod
    def router(cls, known: CalibrationData) -> Router[Any]:
        return cls.fitted(known, share=0.4)

    @classmethod
    def fitted(cls, known: CalibrationData, **wanted: Any) -> Router[Any]:
        base = {"kind": cls.component, "estimators": ("evidence-horizon", "entropy"), "stage": "after"}
        return fit_router({**base, **cls.settings, **wanted}, known)

    @staticmethod
    def abstaining(router: Router[Any], known: CalibrationData, **wanted: float) -> Router[Any]:
        """The same router, which gives no answer where it is least sure."""
        made = router.with_state(router.config.model_copy(update=wanted))
        made.place_abstention(known)
        return made

    def seen(self, router: Router[Any], known: CalibrationData) -> dict[str, Uncertainty]:
        """What there is when the router decides: before the policy has answered, nothing that came after."""
        early = router.config.stage == "before"
        return {n: v for n, v in known.signals.items() if not early or v.stage == "before"}

    def test_it_is_registered_and_describes_its_settings(self) -> None:
        found = Registry.discover().load(Kind.ROUTER, self.component)
        for name, field in found.Config.model_fields.items():
            assert field.description or name == "seed", f"the setting {name!r} has no description"

    def test_every_share_is_met(self, router: Router[Any], fresh: CalibrationData) -> None:
        for share in (0.0, 0.25, 0.4, 0.9, 1.0):
            moved = router.at_share(share, fresh.signals)
            assert decide(moved, fresh).replaced.mean() == pytest.approx(share, abs=0.03)

    def test_another_share_leaves_the_router_as_it_is(self, router: Router[Any], fresh: CalibrationData) -> None:
        before = router.to_dict()
        router.at_share(0.9, fresh.signals)
        assert router.to_dict() == before

    def test_a_larger_share_replaces_what_a_smaller_one_did(self, router: Router[Any], fresh: CalibrationData) -> None:
        small, large = (decide(router.at_share(s, fresh.signals), fresh).replaced for s in (0.3, 0.6))
        assert not (small & ~large).any()

    def test_its_goals_are_met_on_the_queries_that_it_was_fitted_to(self, known: CalibrationData) -> None:
        known = known.take(np.arange(SMALL))
        for goal, value in self.goals.items():
            router = self.fitted(known, **{goal: value})
            assert router.config.given_goal == goal
            assert 0 <= router.report["share"] <= 1
            if goal == "share":
                assert router.report["share"] == pytest.approx(value, abs=0.03)

    def test_it_loses_less_than_chance(self, router: Router[Any], fresh: CalibrationData) -> None:
        if not self.learns:
            pytest.skip("the order is not learned")
        assigned = router.assign(fresh.signals, fresh.keys)
        theirs = np.select([assigned.best == label for label in DELEGATES], [fresh.quality[d] for d in DELEGATES])
        mine, replaced = fresh.quality[POLICY], assigned.replaced
        routed = np.where(replaced, theirs, mine).mean()
        chance = replaced.mean() * theirs.mean() + (1 - replaced.mean()) * mine.mean()
        assert routed > chance - 0.02

    def test_it_needs_nothing_that_comes_later(self, router: Router[Any], fresh: CalibrationData) -> None:
        early, all_known = (router.assign(s, fresh.keys) for s in (self.seen(router, fresh), fresh.signals))
        np.testing.assert_array_equal(early.who, all_known.who, "later signals change it")

    def test_decisions_follow_from_the_signals_that_it_names(self, router: Router[Any], fresh: CalibrationData) -> None:
        named = {name: fresh.signals[name] for name in router.signals}
        np.testing.assert_array_equal(
            router.assign(named, fresh.keys).who, router.assign(fresh.signals, fresh.keys).who
        )
        asked = {name.split(":")[1] for name in named if name.count(":") == 2 and "~" not in name}
        assert asked <= set(router.asks), "it looks at answers of delegates that it does not ask"

    def test_one_query_goes_as_it_goes_among_many(self, router: Router[Any], fresh: CalibrationData) -> None:
        many = decide(router, fresh)
        for row in range(FEW):
            one = decide(router, fresh.take(np.array([row])))
            for part in ("route", "who", "risk", "gain", "confidence", "reason"):
                assert getattr(one, part)[0] == getattr(many, part)[row], part

    def test_it_sends_requests_to_delegates_that_there_are(self, router: Router[Any], fresh: CalibrationData) -> None:
        assigned = router.assign(fresh.signals, fresh.keys)
        assert set(assigned.best) <= set(router.delegates) <= set(DELEGATES)
        assert set(router.asks) <= set(DELEGATES)
        for row in range(FEW):
            then = assigned.fallbacks(row)
            assert assigned.best[row] not in then
            assert {assigned.best[row], *then} == set(DELEGATES), "somebody is left who could answer"
            assert len(then) == len(set(then))

    def test_probabilities_are_probabilities(self, router: Router[Any], fresh: CalibrationData) -> None:
        decided = decide(router, fresh)
        for values in (decided.risk, router.confidence(fresh.signals), decided.confidence):
            assert values.dtype == np.float32
            assert ((values >= 0) & (values <= 1)).all()
        assert np.isfinite(decided.gain).all()

    def test_saved_and_loaded_it_decides_as_before(self, router: Router[Any], fresh: CalibrationData) -> None:
        again = read_router(json.loads(json.dumps(router.to_dict(), allow_nan=False)))
        assert type(again) is type(router)
        assert again.to_dict() == router.to_dict()
        for one, other in ((again, router), tuple(each.at_share(0.7, fresh.signals) for each in (again, router))):
            first, second = decide(one, fresh), decide(other, fresh)
            for part in ("route", "who", "risk", "gain", "confidence"):
                np.testing.assert_array_equal(getattr(first, part), getattr(second, part))

    def test_same_seed_same_router(self, known: CalibrationData) -> None:
        first, second = (self.fitted(known.take(np.arange(SMALL)), share=0.4).to_dict() for _ in range(2))
        assert first == second

    def test_it_changes_nothing_that_it_is_given(self, known: CalibrationData, fresh: CalibrationData) -> None:
        small, asked = known.take(np.arange(SMALL)), fresh.take(np.arange(FEW))
        before = copy.deepcopy((small, asked))
        list(decide(self.fitted(small, share=0.4), asked).reason)
        for kept, now in zip(before, (small, asked), strict=True):
            for name, value in kept.signals.items():
                np.testing.assert_array_equal(now.signals[name].total, value.total)
            for label, values in kept.quality.items():
                np.testing.assert_array_equal(now.quality[label], values)

    def test_every_decision_has_a_reason(self, router: Router[Any], fresh: CalibrationData) -> None:
        decided = decide(router, fresh.take(np.arange(FEW)))
        for row, reason in enumerate(decided.reason):
            assert reason.startswith(f"{decided.who[row] or 'the policy'} answers: ")
            assert reason == decided.reason[row]

    def test_a_share_gets_no_answer_and_those_are_the_least_sure(
        self, router: Router[Any], known: CalibrationData, fresh: CalibrationData
    ) -> None:
        router = self.abstaining(router, known, abstain=0.25)
        decided = decide(router, fresh)
        abstained, sure = decided.abstained, decided.confidence
        assert abstained.mean() == pytest.approx(0.25, abs=0.06)
        assert sure[abstained].max() <= sure[~abstained].min()
        assert not decided.who[abstained].any()
        assert decided.reason[int(np.argmax(abstained))].startswith("no answer is given: ")
        again = read_router(json.loads(json.dumps(router.to_dict())))
        np.testing.assert_array_equal(decide(again, fresh).route, decided.route)

    def test_a_selective_risk_is_kept(
        self, router: Router[Any], known: CalibrationData, fresh: CalibrationData
    ) -> None:
        who = decide(router, fresh).who
        missed: Bool = ~np.select(
            [who == label for label in DELEGATES], [fresh.hit[d] for d in DELEGATES], fresh.hit[POLICY]
        )
        limit = 1 - float(decide(router, known).confidence.mean()) - 0.02
        abstained = decide(self.abstaining(router, known, selective_risk=limit), fresh).abstained
        assert abstained.any()
        assert missed[~abstained].mean() < limit + 0.05

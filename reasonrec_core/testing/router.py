"""The conformance suite of routers: what every kind of them promises, whatever it has learned."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from reasonrec_core.routing import Evidence, Router, RouterConfig, answer_confidence, clue_names, fit_router
from reasonrec_core.types import Uncertainty

SIZE, SMALL, FEW = 1000, 250, 60
POLICY, DELEGATES = "mind", ("quick", "steady")


def evidence(size: int = SIZE, seed: int = 0) -> Evidence:
    """Queries that `quick` answers as well as the policy where its margin is wide, `steady` where its votes are many.

    Nothing else says who is better; the entropy of the policy's answer says where the policy finds nothing.
    """
    rng = np.random.default_rng(seed)
    names = [*clue_names(DELEGATES), "evidence-horizon"]
    signals = {name: Uncertainty(rng.random(size).astype(np.float32), "before") for name in names}
    signals["entropy"] = Uncertainty(rng.random(size).astype(np.float32), "after")
    wide, many = (signals[f"clue:{clue}"].total > 0.6 for clue in ("quick:margin", "steady:total"))
    chance = np.stack([0.7 - 0.5 * signals["entropy"].total, 0.15 + 0.4 * wide, 0.1 + 0.45 * many])
    hits = rng.random((3, size)) < chance
    labels = (POLICY, *DELEGATES)
    quality = {
        label: np.where(hit, rng.choice([1.0, 0.63, 0.5], size), 0.0) for label, hit in zip(labels, hits, strict=True)
    }
    hit = {label: values > 0 for label, values in quality.items()}
    return Evidence(POLICY, signals, quality, hit, rng.permutation(size).astype(np.int64))


def routes(router: Router, signals: Mapping[str, Uncertainty], keys: npt.NDArray[np.int64]) -> list[str]:
    """The route of each query."""
    return list(router.decide(signals, keys).route)


class RouterConformance:
    """Subclass it in a test and set ``settings``.

    Attributes:
        settings: of `RouterConfig`, without a goal.
        goals: goals that the kind can be calibrated to; a share is always one of them.
        learns: whether the order is learned from who is better; if not, it may lose as much as chance, or more.
    """

    settings: ClassVar[Mapping[str, Any]]
    goals: ClassVar[Mapping[str, float]] = {"share": 0.4}
    learns: ClassVar[bool] = True

    @pytest.fixture(scope="class")
    @classmethod
    def known(cls) -> Evidence:
        return evidence()

    @pytest.fixture(scope="class")
    @classmethod
    def fresh(cls) -> Evidence:
        return evidence(seed=2)

    @pytest.fixture(scope="class")
    @classmethod
    def router(cls, known: Evidence) -> Router:
        return cls.fitted(known, share=0.4)

    @classmethod
    def fitted(cls, known: Evidence, **wanted: Any) -> Router:
        base = {"estimators": ("evidence-horizon", "entropy"), "stage": "after"}
        return fit_router(RouterConfig.model_validate({**base, **cls.settings, **wanted}), known)

    @staticmethod
    def holding_back(router: Router, known: Evidence, **wanted: float) -> Router:
        """The same router, which gives no answer where it is least sure."""
        value = router.to_dict()
        made = Router.from_dict({**value, "config": {**value["config"], **wanted}})
        made.hold_back(known.signals, known.keys)
        return made

    def seen(self, router: Router, known: Evidence) -> dict[str, Uncertainty]:
        """What there is when the router decides: before the policy has answered, nothing that came after."""
        early = router.config.stage == "before"
        return {n: v for n, v in known.signals.items() if not early or v.stage == "before"}

    def test_every_share_is_met(self, router: Router, fresh: Evidence) -> None:
        for share in (0.0, 0.25, 0.4, 0.9, 1.0):
            moved = router.at_share(share, fresh.signals)
            assert moved.replace(fresh.signals, fresh.keys).mean() == pytest.approx(share, abs=0.03)

    def test_another_share_leaves_the_router_as_it_is(self, router: Router, fresh: Evidence) -> None:
        before = router.to_dict()
        router.at_share(0.9, fresh.signals)
        assert router.to_dict() == before

    def test_a_larger_share_replaces_what_a_smaller_one_did(self, router: Router, fresh: Evidence) -> None:
        small, large = (router.at_share(s, fresh.signals).replace(fresh.signals, fresh.keys) for s in (0.3, 0.6))
        assert not (small & ~large).any()

    def test_its_goals_are_met_on_the_queries_that_it_was_calibrated_on(self, known: Evidence) -> None:
        known = known.take(np.arange(SMALL))
        for goal, value in self.goals.items():
            router = self.fitted(known, **{goal: value})
            assert router.config.goal == goal
            replaced = router.replace(known.signals, known.keys)
            assert 0 <= router.report["share"] <= 1
            if goal == "share":
                assert replaced.mean() == pytest.approx(value, abs=0.03)

    def test_it_loses_less_than_chance(self, router: Router, fresh: Evidence) -> None:
        if not self.learns:
            pytest.skip("the order is not learned")
        who, replaced = router.who(fresh.signals, fresh.keys), router.replace(fresh.signals, fresh.keys)
        theirs = np.select([who == label for label in DELEGATES], [fresh.quality[label] for label in DELEGATES])
        mine = fresh.quality[POLICY]
        routed = np.where(replaced, theirs, mine).mean()
        chance = replaced.mean() * theirs.mean() + (1 - replaced.mean()) * mine.mean()
        assert routed > chance - 0.02

    def test_it_needs_nothing_that_comes_later(self, router: Router, fresh: Evidence) -> None:
        seen = self.seen(router, fresh)
        np.testing.assert_array_equal(
            router.replace(seen, fresh.keys), router.replace(fresh.signals, fresh.keys), "later signals change it"
        )

    def test_decisions_follow_from_the_signals_that_it_names(self, router: Router, fresh: Evidence) -> None:
        named = {name: fresh.signals[name] for name in router.signals}
        assert routes(router, named, fresh.keys) == routes(router, fresh.signals, fresh.keys)
        asked = {name.split(":")[1] for name in named if name.count(":") == 2 and "~" not in name}
        assert asked <= set(router.asks), "it looks at answers of delegates that it does not ask"

    def test_one_query_goes_as_it_goes_among_many(self, router: Router, fresh: Evidence) -> None:
        ways, who = routes(router, fresh.signals, fresh.keys), router.who(fresh.signals, fresh.keys)
        risk, gain = router.risk(fresh.signals), router.gain(fresh.signals)
        for row in range(FEW):
            one = fresh.take(np.array([row]))
            assert routes(router, one.signals, one.keys) == [ways[row]]
            assert router.who(one.signals, one.keys)[0] == who[row]
            assert (router.risk(one.signals)[0], router.gain(one.signals)[0]) == (risk[row], gain[row])

    def test_it_sends_requests_to_delegates_that_there_are(self, router: Router, fresh: Evidence) -> None:
        judged = router.judge(fresh.signals, fresh.keys)
        assert set(judged.who) <= set(router.delegates) <= set(DELEGATES)
        assert set(router.asks) <= set(DELEGATES)
        for row in range(FEW):
            then = judged.after(row)
            assert judged.who[row] not in then
            assert {judged.who[row], *then} == set(DELEGATES), "somebody is left who could answer"
            assert len(then) == len(set(then))

    def test_probabilities_are_probabilities(self, router: Router, fresh: Evidence) -> None:
        replaced, who = router.replace(fresh.signals, fresh.keys), router.who(fresh.signals, fresh.keys)
        sure = answer_confidence(router, fresh.signals, replaced, who)
        for values in (router.risk(fresh.signals), router.confidence(fresh.signals), sure):
            assert values.dtype == np.float32
            assert ((values >= 0) & (values <= 1)).all()
        assert np.isfinite(router.gain(fresh.signals)).all()

    def test_saved_and_loaded_it_decides_as_before(self, router: Router, fresh: Evidence) -> None:
        again = Router.from_dict(json.loads(json.dumps(router.to_dict(), allow_nan=False)))
        assert routes(again, fresh.signals, fresh.keys) == routes(router, fresh.signals, fresh.keys)
        np.testing.assert_array_equal(again.gain(fresh.signals), router.gain(fresh.signals))
        assert again.to_dict() == router.to_dict()
        moved, same = (each.at_share(0.7, fresh.signals) for each in (again, router))
        assert routes(moved, fresh.signals, fresh.keys) == routes(same, fresh.signals, fresh.keys)

    def test_same_seed_same_router(self, known: Evidence) -> None:
        first, second = (self.fitted(known.take(np.arange(SMALL)), share=0.4).to_dict() for _ in range(2))
        assert first == second

    def test_it_changes_nothing_that_it_is_given(self, known: Evidence, fresh: Evidence) -> None:
        small, asked = known.take(np.arange(SMALL)), fresh.take(np.arange(FEW))
        before = copy.deepcopy((small, asked))
        router = self.fitted(small, share=0.4)
        routes(router, asked.signals, asked.keys)
        list(router.decide(asked.signals, asked.keys).reason)
        for kept, now in zip(before, (small, asked), strict=True):
            for name, value in kept.signals.items():
                np.testing.assert_array_equal(now.signals[name].total, value.total)
            for label, values in kept.quality.items():
                np.testing.assert_array_equal(now.quality[label], values)

    def test_every_decision_is_told(self, router: Router, fresh: Evidence) -> None:
        some = fresh.take(np.arange(FEW))
        replaced, who = router.replace(some.signals, some.keys), router.who(some.signals, some.keys)
        for row, told in enumerate(router.decide(some.signals, some.keys).reason):
            assert told.startswith(f"{who[row] if replaced[row] else 'the policy'} answers: ")
            assert told == router.decide(some.signals, some.keys).reason[row]

    def test_a_share_gets_no_answer_and_those_are_the_least_sure(
        self, router: Router, known: Evidence, fresh: Evidence
    ) -> None:
        router = self.holding_back(router, known, abstain=0.25)
        held = self.held(router, fresh)
        assert held.mean() == pytest.approx(0.25, abs=0.06)
        replaced, who = router.replace(fresh.signals, fresh.keys), router.who(fresh.signals, fresh.keys)
        sure = answer_confidence(router, fresh.signals, replaced, who)
        assert sure[held].max() <= sure[~held].min()
        assert router.decide(fresh.signals, fresh.keys).reason[int(np.argmax(held))].startswith("no answer is given: ")
        again = Router.from_dict(json.loads(json.dumps(router.to_dict())))
        assert routes(again, fresh.signals, fresh.keys) == routes(router, fresh.signals, fresh.keys)

    def test_a_selective_risk_is_kept(self, router: Router, known: Evidence, fresh: Evidence) -> None:
        replaced, who = router.replace(fresh.signals, fresh.keys), router.who(fresh.signals, fresh.keys)
        hit = np.select([who == label for label in DELEGATES], [fresh.hit[label] for label in DELEGATES])
        missed = np.where(replaced, hit, fresh.hit[POLICY]) == 0
        before = (router.replace(known.signals, known.keys), router.who(known.signals, known.keys))
        limit = 1 - float(answer_confidence(router, known.signals, *before).mean()) - 0.02
        held = self.held(self.holding_back(router, known, selective_risk=limit), fresh)
        assert held.any()
        assert missed[~held].mean() < limit + 0.05

    def held(self, router: Router, known: Evidence) -> npt.NDArray[np.bool_]:
        return router.decide(known.signals, known.keys).abstained

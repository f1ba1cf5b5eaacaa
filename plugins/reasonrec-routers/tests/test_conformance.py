"""Every learned router keeps what `RouterConformance` says."""

from __future__ import annotations

from typing import ClassVar

from reasonrec_routers.features import feature_names

from reasonrec_core.testing import RouterConformance
from reasonrec_core.testing.router import DELEGATES, FEATURES


class TestDeferral(RouterConformance):
    component = "deferral"
    settings: ClassVar = {"stage": "before"}
    goals: ClassVar = {"share": 0.2, "risk": 0.25}


class TestDeferralWithoutAnswers(RouterConformance):
    component = "deferral"
    settings: ClassVar = {"stage": "before", "answer_features": "none"}


class TestRiskControl(RouterConformance):
    component = "risk-control"
    settings: ClassVar = {"stage": "before"}
    goals: ClassVar = {"share": 0.2, "risk": 0.2}


class TestCascade(RouterConformance):
    component = "cascade"
    settings: ClassVar = {"stage": "before"}
    goals: ClassVar = {"share": 0.2, "risk": 0.3}


def test_the_suites_signals_are_those_that_are_looked_at() -> None:
    assert feature_names(DELEGATES) == FEATURES

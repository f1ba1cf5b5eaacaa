"""Every kind of router keeps what `RouterConformance` says."""

from __future__ import annotations

from typing import ClassVar

from reasonrec_core.testing import RouterConformance


class TestThreshold(RouterConformance):
    settings: ClassVar = {"kind": "threshold"}
    goals: ClassVar = {"share": 0.2, "risk": 0.25}


class TestThresholdBefore(RouterConformance):
    settings: ClassVar = {"kind": "threshold", "stage": "before"}


class TestTable(RouterConformance):
    settings: ClassVar = {"kind": "table"}
    learns = False


class TestDeferral(RouterConformance):
    settings: ClassVar = {"kind": "deferral", "stage": "before"}
    goals: ClassVar = {"share": 0.2, "risk": 0.25}


class TestDeferralWithoutClues(RouterConformance):
    settings: ClassVar = {"kind": "deferral", "stage": "before", "clues": "none"}


class TestRiskControl(RouterConformance):
    settings: ClassVar = {"kind": "risk-control", "stage": "before"}
    goals: ClassVar = {"share": 0.2, "risk": 0.2}


class TestCascade(RouterConformance):
    settings: ClassVar = {"kind": "cascade", "stage": "before"}
    goals: ClassVar = {"share": 0.2, "risk": 0.3}

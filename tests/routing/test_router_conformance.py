"""The core's router keeps what `RouterConformance` says."""

from __future__ import annotations

from typing import ClassVar

from reasonrec_core.testing import RouterConformance


class TestThreshold(RouterConformance):
    component = "threshold"
    goals: ClassVar = {"share": 0.2, "risk": 0.25}


class TestThresholdBefore(RouterConformance):
    component = "threshold"
    settings: ClassVar = {"stage": "before"}

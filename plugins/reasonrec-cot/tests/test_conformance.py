"""The suite that every policy passes, for each way to answer; with a small model and one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from reasonrec_core.testing import PolicyConformance
from reasonrec_core.types import StepKind


class Small(PolicyConformance):
    component = "cot"
    steps: ClassVar = frozenset({StepKind.OBSERVE, StepKind.DECIDE})
    more: ClassVar[dict[str, Any]]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _settings(cls, llama: Path) -> None:
        backbone = {"model": str(llama), "device": "cpu", "precision": "float32"}
        cls.settings = {
            "backbone": backbone,
            "prompt": {"history": 4},
            "shortlist": {"size": 6},
            "explanation": 3,
            **cls.more,
        }


class TestLabels(Small):
    more: ClassVar = {"thought": {"observe": 4, "deliberate": 4}, "confidence": "verbalised"}


class TestTitles(Small):
    more: ClassVar = {"answer": "title"}


class TestWritten(Small):
    more: ClassVar = {"answer": "written", "beams": 5}

"""The suite that every policy passes, for a tuned one: soft tokens, head, decision, kept, loaded, a grown catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError
from reasonrec_cot.config import CotConfig
from tuning_shop import SMALL

from reasonrec_core.testing import PolicyConformance
from reasonrec_core.types import StepKind


@pytest.mark.slow
class TestTuned(PolicyConformance):
    component = "cot"
    steps: ClassVar = frozenset({StepKind.OBSERVE, StepKind.DECIDE})

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _settings(cls, llama: Path) -> None:
        cls.settings = {
            "backbone": {"model": str(llama), "device": "cpu", "precision": "float32"},
            "prompt": {"history": 4, "history_text": "none"},
            "shortlist": {"size": 6},
            "answer": "head",
            "tuning": {**SMALL, "steps": 3, "validations": 1},
        }


def test_the_head_needs_tuning() -> None:
    with pytest.raises(ValidationError, match="needs a tuned model"):
        CotConfig.model_validate({"answer": "head"})

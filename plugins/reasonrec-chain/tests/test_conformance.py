"""The suite that every editable policy passes, with a small network and few epochs."""

from __future__ import annotations

from typing import ClassVar

from reasonrec_core.testing import EditablePolicyConformance

SMALL = {
    "network": {"dimensions": 16, "layers": 1, "heads": 2, "max_history": 20, "components": 8},
    "training": {"epochs": 3, "warmup": 5, "learning_rate": 0.01, "ema": 0.8, "device": "cpu"},
    "counted": {"fields": ["categories", "brand"], "transitions": {"trials": 2}},
    "gates": {"steps": 20, "epochs": 2, "folds": 2, "hidden": 4, "depth": 15},
}


class TestChain(EditablePolicyConformance):
    component = "chain"
    settings: ClassVar = SMALL

"""Settings of the student. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from reasonrec_torch.config import TrainerConfig

from reasonrec_core.components import Settings

POLICY: Literal["policy"] = "policy"


class DistilTraining(TrainerConfig):
    """How the student is trained."""

    epochs: int | None = Field(4, ge=1, description="At most; the rate of learning has fallen to 0 after the last.")
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate (AdamW).")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of matrices.")
    batch: int = Field(256, ge=1, description="Histories of a step; fewer where the catalogue is large.")
    order: Literal["plain", "easy-to-hard"] = Field(
        "plain",
        description="Learn the teacher's shares alone, or those first and then the order of its best items"
        " (after HetComp). On H&M data the latter made no significant difference.",
    )


class DistilledConfig(Settings):
    """Settings of `Distilled`."""

    teacher: Literal["policy"] | tuple[str, ...] = Field(
        POLICY, description="Who is learned from: the pipeline's policy, or delegates by their names."
    )
    dimensions: int = Field(64, ge=2, description="Size of item and history vectors.")
    hidden: int = Field(128, ge=1, description="Width of the layer that a history's vector goes through.")
    links: int = Field(100, ge=0, description="Items that each item leads to directly; 0 for none.")
    histories: int = Field(100_000, ge=1, description="Histories that the teacher is asked about, at most.")
    depth: int = Field(100, ge=2, description="Items of its answer that are learned from.")
    max_history: int = Field(50, ge=1, description="Only this many newest history items are read.")
    training: DistilTraining = Field(DistilTraining(), description="How it is trained.")

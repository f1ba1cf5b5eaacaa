"""Settings of the student. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from reasonrec_torch.config import TrainerConfig

from reasonrec_core.components import Settings

POLICY = "policy"


class DistilTraining(TrainerConfig):
    """How the student is trained."""

    epochs: int | None = Field(5, ge=1, description="Most epochs; the learning rate falls to 0 by the last one.")
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate (AdamW).")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of matrices.")
    batch: int = Field(256, ge=1, description="Histories per training step; fewer if the catalogue is large.")
    order: Literal["plain", "easy-to-hard"] = Field(
        "plain",
        description="plain: learn the teacher's shares. easy-to-hard: then also the order of its best items (HetComp);"
        " for an earlier student, on H&M data, that made no significant difference.",
    )


class DistilledConfig(Settings):
    """Settings of `Distilled`."""

    teacher: str | tuple[str, ...] = Field(
        POLICY,
        description='Who teaches: the pipeline\'s policy ("policy", or its kind, such as "chain"), one delegate by its'
        " label, or a list of delegates.",
    )
    policies: int = Field(
        1,
        ge=1,
        description="How many policies teach where the policy does: the pipeline's, and others like it, fitted from"
        " other seeds for this alone; their probabilities are averaged. Fitting takes longer, answering does not.",
    )
    dimensions: int = Field(96, ge=2, description="Size of item and history vectors.")
    heads: int = Field(4, ge=1, description="Ways of weighing the history's items; each is a vector of its own.")
    hidden: int = Field(128, ge=1, description="Width of the layer that a history's vector goes through.")
    links: int = Field(100, ge=0, description="Items that each item leads to directly; 0 for none.")
    histories: int = Field(150_000, ge=1, description="Most histories that the teacher is asked about.")
    depth: int = Field(100, ge=2, description="How many of the best items of each answer are learned.")
    max_history: int = Field(50, ge=1, description="How many of the newest history items are read.")
    training: DistilTraining = Field(DistilTraining(), description="How it is trained.")

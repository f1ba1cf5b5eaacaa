"""Settings of the click models. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from reasonrec_clicks.item_content import WITHOUT, WITHOUT_HELP
from reasonrec_torch.config import TrainerConfig

from reasonrec_core.components import Settings


class FieldTraining(TrainerConfig):
    """How the networks are trained."""

    learning_rate: float = Field(1e-3, gt=0, description="Of AdamW, at its highest.")
    weight_decay: float = Field(0.1, ge=0, description="Of matrices, vectors of ids among them.")
    ema: float = Field(0.98, ge=0, lt=1, description="Decay of the moving average of the weights, which is kept.")
    batch: int = Field(1024, ge=1, description="Rows of a step.")


class FieldConfig(Settings):
    """What both share."""

    dimensions: int = Field(10, ge=1, description="Of the vector of each field.")
    hidden: tuple[int, ...] = Field((200, 200), description="Units of the deep network's layers.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Rate in the deep network.")
    bins: int = Field(12, ge=2, description="Quantiles of a number, each with a vector.")
    least: int = Field(5, ge=1, description="Ids that occur less often in training share one vector.")
    hidden_ids: float = Field(0.2, ge=0, lt=1, description="Share of the ids that are hidden in a training step.")
    history: Literal["attention", "mean", "none"] = Field("attention", description="How the history is summed up.")
    max_history: int = Field(50, ge=1, description="Only this many newest history items are read.")
    blocks: int = Field(12, ge=2, le=1000, description="Blocks of time that training rows are described in.")
    components: int = Field(16, ge=1, description="Each modality's vectors are compressed to so many numbers.")
    without: tuple[str, ...] = Field(WITHOUT, description=WITHOUT_HELP)
    members: int = Field(5, ge=1, description="Networks that are trained alike from other seeds, and averaged.")
    training: FieldTraining = Field(FieldTraining(), description="How they are trained.")


class XDeepFMConfig(FieldConfig):
    """xDeepFM."""

    interactions: tuple[int, ...] = Field((32, 32), description="Feature maps of the interaction network's layers.")


class DCNv2Config(FieldConfig):
    """DCNv2."""

    crosses: int = Field(3, ge=1, description="Cross layers.")

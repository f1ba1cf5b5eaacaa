"""Settings of the click models. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from reasonrec_clicks.item_content import WITHOUT, WITHOUT_HELP
from reasonrec_torch.config import TrainerConfig

from reasonrec_core.components import Settings


class FieldTraining(TrainerConfig):
    """How the networks are trained."""

    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate (AdamW).")
    weight_decay: float = Field(0.1, ge=0, description="Weight decay of matrices, including the vectors of ids.")
    ema: float = Field(0.98, ge=0, lt=1, description="Decay of the moving average of the weights; the average is kept.")
    batch: int = Field(1024, ge=1, description="Rows per training step.")


class FieldConfig(Settings):
    """What both share."""

    dimensions: int = Field(10, ge=1, description="Dimensions of each field's vector.")
    hidden: tuple[int, ...] = Field((200, 200), description="Units per layer of the deep network.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout in the deep network.")
    bins: int = Field(12, ge=2, description="Into how many quantiles a number is divided, each with its own vector.")
    least: int = Field(5, ge=1, description="Ids that occur less often than this in training share one vector.")
    hidden_ids: float = Field(0.2, ge=0, lt=1, description="Share of ids that are hidden in a training step.")
    history: Literal["attention", "mean", "none"] = Field("attention", description="How the history is summarised.")
    max_history: int = Field(50, ge=1, description="How many of the newest history items are read.")
    blocks: int = Field(
        12, ge=2, le=1000, description="Number of time blocks; a training row is described by the blocks before it."
    )
    components: int = Field(16, ge=1, description="To how many numbers each modality's vectors are compressed.")
    without: tuple[str, ...] = Field(WITHOUT, description=WITHOUT_HELP)
    evidence: str = Field(
        "",
        description="Evidential loss by its name (`dirichlet-mse`, `dirichlet-log`, `dirichlet-digamma`): each click "
        "becomes a Beta distribution, and `evidence` tells how much is known. Empty: log loss.",
    )
    divergence: float = Field(0.01, ge=0, description="With evidence: weight of the divergence from no evidence.")
    members: int = Field(5, ge=1, description="Number of networks that are trained from different seeds and averaged.")
    training: FieldTraining = Field(FieldTraining(), description="How they are trained.")


class XDeepFMConfig(FieldConfig):
    """xDeepFM."""

    interactions: tuple[int, ...] = Field((32, 32), description="Feature maps per layer of the interaction network.")


class DCNv2Config(FieldConfig):
    """DCNv2."""

    crosses: int = Field(3, ge=1, description="Cross layers.")


class ClickBlendConfig(Settings):
    """Click models together."""

    members: tuple[str, ...] = Field(
        ("lightgbm-ctr", "dcnv2"),
        min_length=2,
        description="Delegates of the pipeline, by their labels, that are fitted with its settings and weighed.",
    )

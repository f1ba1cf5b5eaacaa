"""Settings of the delegates. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from reasonrec_torch.config import TrainerConfig

from reasonrec_core.components import Settings


class SequenceTraining(TrainerConfig):
    """How the network is trained."""

    learning_rate: float = Field(1e-3, gt=0, description="Of AdamW, at its highest.")
    batch_tokens: int = Field(1536, ge=1, description="History places of a batch; a GPU is kept busy by many more.")
    shuffle_ties: bool = Field(
        True, description="What a user did at the same time comes in another order in each epoch; the log's is chance."
    )
    loss: Literal["full", "sampled"] = Field("sampled", description="Softmax over all items, or over a sample of them.")
    negatives: int = Field(256, ge=1, description="Items drawn per step for the sampled loss.")
    popularity: float = Field(
        0.0, ge=0, le=1, description="How much the sample follows how often items occur: 0 not at all, 1 in proportion."
    )


class SequenceConfig(Settings):
    """What all encoders share."""

    dimensions: int = Field(64, ge=4, description="Of item vectors and states.")
    layers: int = Field(2, ge=1, description="Of the encoder.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Rate.")
    max_history: int = Field(50, ge=1, description="Only this many newest history items are read.")
    items: Literal["ids", "features", "both"] = Field(
        "ids", description="What items are: vectors of their own, what they look and read like, or the sum of both."
    )
    modalities: tuple[str, ...] | None = Field(
        None, description="Item features to read; empty: all that the pipeline observes."
    )
    components: int = Field(128, ge=1, description="Principal components of each modality's features.")
    hidden_ids: float = Field(
        0.1, ge=0, lt=1, description="With both: share of the items whose own vector is hidden in a training step."
    )
    training: SequenceTraining = Field(SequenceTraining(), description="How it is trained.")


class AttentionConfig(SequenceConfig):
    """Encoders with attention."""

    heads: int = Field(2, ge=1, description="Of each layer's attention; divides the dimensions.")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dimensions % self.heads:
            raise ValueError(f"{self.heads} heads do not divide {self.dimensions} dimensions")
        return self


class BSARecConfig(AttentionConfig):
    """BSARec."""

    filter_share: float = Field(0.7, gt=0, le=1, description="Of the frequency filter; the rest is attention's.")
    frequencies: int = Field(5, ge=1, description="Lowest frequencies that the filter keeps whole.")


class LightSANsConfig(AttentionConfig):
    """LightSANs."""

    interests: int = Field(5, ge=1, description="Latent interests that the history is summed up to.")
    causal: bool = Field(
        True,
        description="Sum up what came before each position, and train on all positions at once. Otherwise each position"
        " looks at the whole row, as published, and every prefix of a history is a training row of its own: slower.",
    )


class ConvFormerConfig(SequenceConfig):
    """ConvFormer."""

    kernel: int = Field(30, ge=1, description="Positions that a convolution reaches back.")

"""Settings of the delegates. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from reasonrec_torch.config import TrainerConfig

from reasonrec_core.components import Settings


class SequenceTraining(TrainerConfig):
    """How the network is trained."""

    epochs: int | None = Field(30, ge=1, description="Most epochs; the learning rate falls to 0 by the last one.")
    patience: int = Field(
        10, ge=1, description="Training stops after this many epochs without improvement on validation."
    )
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate (AdamW).")
    warmup: int = Field(
        200,
        ge=0,
        description="Steps during which the learning rate rises from 0; at most a tenth of the training. Long "
        "trainings of several layers at a higher rate can get stuck early: give them 2000.",
    )
    batch_tokens: int = Field(1536, ge=1, description="History positions per batch; use many more on a GPU.")
    shuffle_ties: bool = Field(
        True,
        description="Shuffle what a user did at the same time in each epoch, because its order in the "
        "log is arbitrary.",
    )
    loss: Literal["full", "sampled"] = Field(
        "sampled", description="Softmax over all items (full) or over a sample of them (sampled)."
    )
    negatives: int = Field(2048, ge=1, description="Items drawn per step for the sampled loss.")
    popularity: float = Field(
        0.0, ge=0, le=1, description="How closely the sample follows item popularity: 0 not at all, 1 in proportion."
    )


class SequenceConfig(Settings):
    """What all encoders share."""

    dimensions: int = Field(64, ge=4, description="Size of item vectors and states.")
    layers: int = Field(1, ge=1, description="Layers of the encoder.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Rate.")
    max_history: int = Field(50, ge=1, description="How many of the newest history items are read.")
    temperature: float = Field(
        0.07, ge=0, description="Compare states and items by cosines divided by this; 0: by inner products."
    )
    items: Literal["ids", "features", "both"] = Field(
        "ids",
        description="How items are represented: by vectors of their own (ids), by their text and "
        "pictures (features), or by the sum of both.",
    )
    modalities: tuple[str, ...] | None = Field(
        None, description="Item features to use; empty: all that the pipeline observes."
    )
    components: int = Field(128, ge=1, description="Principal components kept of each modality's features.")
    hidden_ids: float = Field(
        0.1, ge=0, lt=1, description="With both: share of items whose own vector is hidden in a training step."
    )
    training: SequenceTraining = Field(SequenceTraining(), description="How it is trained.")


class AttentionConfig(SequenceConfig):
    """Encoders with attention."""

    heads: int = Field(1, ge=1, description="Attention heads per layer; must divide the dimensions.")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dimensions % self.heads:
            raise ValueError(f"{self.heads} heads do not divide {self.dimensions} dimensions evenly")
        return self


class BSARecConfig(AttentionConfig):
    """BSARec."""

    filter_share: float = Field(0.7, gt=0, le=1, description="Share of the frequency filter; the rest is attention.")
    frequencies: int = Field(5, ge=1, description="How many of the lowest frequencies the filter keeps unchanged.")


class LightSANsConfig(AttentionConfig):
    """LightSANs."""

    interests: int = Field(5, ge=1, description="Number of latent interests that summarise the history.")
    causal: bool = Field(
        True,
        description="Summarise only what came before each position, and train on all positions at once. "
        "Otherwise each position sees the whole row, as published, and every prefix of a "
        "history is a training row of its own, which is slower.",
    )


class ConvFormerConfig(SequenceConfig):
    """ConvFormer."""

    kernel: int = Field(30, ge=1, description="How many positions a convolution reaches back.")


class RoundsTraining(SequenceTraining):
    """How the rounds are trained, on top of a trained base."""

    epochs: int | None = Field(4, ge=1, description="Most epochs. An epoch has one random target per user.")
    learning_rate: float = Field(5e-4, gt=0, description="Peak learning rate (AdamW).")
    fade: float = Field(0.3, ge=0, le=1, description="Weight of each round's loss, as a share of the round before it.")


class AdaRetrievalConfig(Settings):
    """Ada-Retrieval."""

    base: str = Field("sasrec", description="The pipeline's delegate whose encoder reads the history, by its label.")
    rounds: int = Field(5, ge=1, description="Rounds of retrieval.")
    train_base: bool = Field(
        False, description="Train the base on with the rounds, as published; otherwise it stays as it was fitted."
    )
    items: int = Field(20, ge=1, description="Items that each round retrieves.")
    frequencies: int = Field(5, ge=1, description="How many of the lowest frequencies of the retrieved row are kept.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Rate.")
    training: RoundsTraining = Field(RoundsTraining(), description="How the rounds are trained.")

    @model_validator(mode="after")
    def _learns(self) -> Self:
        if self.rounds == 1 and not self.train_base:
            raise ValueError("with one round and train_base = false there is nothing to train")
        return self

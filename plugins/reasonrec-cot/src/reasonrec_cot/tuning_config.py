"""Settings of tuning. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from reasonrec_torch.config import TrainerConfig
from reasonrec_torch.curriculum import CurriculumConfig

from reasonrec_core.components import Settings


class LoraSettings(Settings):
    """Low-rank adapters of the language model (Hu et al., 2022), by peft."""

    rank: int = Field(16, ge=0, description="Rank of the adapters; 0: the language model stays as it is.")
    alpha: float = Field(32.0, gt=0, description="Scale of the adapters times their rank (LoRA's alpha).")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on an adapter's input.")
    modules: tuple[str, ...] | Literal["all-linear"] = Field(
        "all-linear", description="Names of the layers that get an adapter; all-linear: all except the output layer."
    )


class LossWeights(Settings):
    """How much each part of the loss weighs; each is a mean over its own targets."""

    recommendation: float = Field(
        1.0, ge=0, description="Weight of the next-item loss (softmax over the catalogue by the head)."
    )
    thought: float = Field(0.3, ge=0, description="Weight of the loss on observation and deliberation tokens.")
    answer: float = Field(0.3, ge=0, description="Weight of the loss on answer tokens.")
    confidence: float = Field(0.5, ge=0, description="Weight of the loss on confidence tokens, in the last phase.")


class TaskShares(Settings):
    """Shares of the tokens that are spent on each task, relative to each other."""

    sequential: float = Field(1.0, ge=0, description="Share of dialogues that ask what comes next.")
    direct: float = Field(0.2, ge=0, description="Share of dialogues that ask for one of the listed candidates.")
    ctr: float = Field(0.1, ge=0, description="Share of dialogues that ask yes or no about one item.")
    explain: float = Field(
        0.0,
        ge=0,
        description="Share of dialogues that ask for a sentence of the user's own review, if there are reviews.",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("all shares are 0: give at least one task a share above 0")
        return self


class TuningConfig(Settings):
    """How the model is tuned."""

    steps: int = Field(2000, ge=1, description="Most steps of the optimiser.")
    minutes: float | None = Field(
        None,
        gt=0,
        description="Time limit for the whole tuning, including validation and the last phases; none if not set.",
    )
    lora: LoraSettings = Field(default=LoraSettings(), description="Adapters of the language model.")
    shares: TaskShares = Field(default=TaskShares(), description="Which dialogues are learned from.")
    weights: LossWeights = Field(default=LossWeights(), description="Weights of the parts of the loss.")
    thoughts: float = Field(0.0, ge=0, le=1, description="Share of dialogues in which reasoning is written.")
    curriculum: CurriculumConfig = Field(
        default=CurriculumConfig(), description="In which order training shows users, by evidence horizon."
    )
    learning_rate: float = Field(4e-4, gt=0, description="Peak learning rate of the adapters (AdamW).")
    head_rate: float = Field(
        2e-3, gt=0, description="Peak learning rate of the projector and the head, which are trained from scratch."
    )
    warmup: float = Field(
        0.03, ge=0, lt=1, description="Share of the training during which the learning rates rise from 0."
    )
    weight_decay: float = Field(0.01, ge=0, description="Of matrices.")
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of a moving average of the weights; the average is validated and kept."
    )
    clip: float = Field(1.0, gt=0, description="Largest norm of gradients; larger ones are clipped.")
    batch_tokens: int = Field(1024, ge=64, description="Token positions per batch.")
    accumulate: int = Field(1, ge=1, description="Batches per step.")
    dimensions: int = Field(256, ge=8, description="Dimensions of the head's item vectors.")
    learned: bool = Field(True, description="Learn a vector for each item in addition to its content.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout in the projector and on the states that the head reads."
    )
    shuffle_ties: bool = Field(
        True,
        description="Shuffle what a user did at the same time in each dialogue, because its order in the "
        "log is arbitrary.",
    )
    collaborative: int = Field(
        64, ge=0, description="Number of transition factors used as item features (CoLLM, LLaRA); 0: none."
    )
    negatives: int | None = Field(
        None, ge=1, description="How many items, sampled per batch, the head's softmax covers; all if not set."
    )
    candidates: int = Field(10, ge=2, le=100, description="Most candidates listed in direct dialogues.")
    validations: int = Field(8, ge=1, description="How often validation requests are answered during tuning.")
    patience: int = Field(3, ge=1, description="Training stops after this many validations without improvement.")
    queries: int = Field(300, ge=1, description="Validation requests used for early stopping.")
    pairs: int = Field(
        2000, ge=0, description="Validation pairs that the decision is fitted on; 0: the head alone decides."
    )
    confidence_steps: int = Field(
        0, ge=0, description="Steps of a last phase that learns to state the accuracy on held-out data; 0: none."
    )
    checkpoint_seconds: float = Field(120.0, ge=0, description="Seconds between checkpoints.")

    def make_trainer_config(self, device: str) -> TrainerConfig:
        """As the trainer takes it; what is learned is kept in float32 whatever the language model's type."""
        same = ("patience", "learning_rate", "weight_decay", "clip", "ema", "accumulate", "checkpoint_seconds")
        fields = {name: getattr(self, name) for name in same}
        return TrainerConfig(epochs=self.validations, device=device, precision="float32", compiled="no", **fields)

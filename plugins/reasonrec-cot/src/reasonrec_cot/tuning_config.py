"""Settings of tuning. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from reasonrec_torch.config import TrainerConfig
from reasonrec_torch.curriculum import CurriculumConfig

from reasonrec_core.components import Settings


class LoraSettings(Settings):
    """Low-rank adapters of the language model (Hu et al., 2022), by peft."""

    rank: int = Field(16, ge=0, description="Of the adapters; 0: the language model stays as it is.")
    alpha: float = Field(32.0, gt=0, description="Their scale times the rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Of what enters an adapter.")
    modules: tuple[str, ...] | Literal["all-linear"] = Field(
        "all-linear", description="Names of the layers that get one; all-linear: all but the output layer."
    )


class LossWeights(Settings):
    """How much each part of the loss weighs; each is a mean over its own targets."""

    recommendation: float = Field(1.0, ge=0, description="Next item, softmax over the catalogue by the head.")
    thought: float = Field(0.3, ge=0, description="Tokens of observation and deliberation.")
    answer: float = Field(0.3, ge=0, description="Tokens of the answer.")
    confidence: float = Field(0.5, ge=0, description="Tokens of the confidence, in the last phase.")


class TaskShares(Settings):
    """Shares of the tokens that are spent on each task, relative to each other."""

    sequential: float = Field(1.0, ge=0, description="What comes next.")
    direct: float = Field(0.2, ge=0, description="One of listed candidates, by its label.")
    ctr: float = Field(0.1, ge=0, description="Yes or no to one item.")
    explain: float = Field(0.0, ge=0, description="A sentence of the user's own review, where there are reviews.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("all shares are 0; give one task a share above 0")
        return self


class TuningConfig(Settings):
    """How the model is tuned."""

    steps: int = Field(2000, ge=1, description="Steps of the optimiser, at most.")
    minutes: float | None = Field(
        None, gt=0, description="Bound of the whole tuning, validation and last phases included; none if not set."
    )
    lora: LoraSettings = Field(default=LoraSettings(), description="Adapters of the language model.")
    shares: TaskShares = Field(default=TaskShares(), description="What is learned from.")
    weights: LossWeights = Field(default=LossWeights(), description="Of the parts of the loss.")
    thoughts: float = Field(0.0, ge=0, le=1, description="Share of dialogues in which reasoning is written.")
    curriculum: CurriculumConfig = Field(
        default=CurriculumConfig(), description="Whom training shows when, by evidence horizon."
    )
    learning_rate: float = Field(4e-4, gt=0, description="Of the adapters, at its highest (AdamW).")
    head_rate: float = Field(2e-3, gt=0, description="Of projector and head, which start from nothing.")
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of the training over which the rates rise from 0.")
    weight_decay: float = Field(0.01, ge=0, description="Of matrices.")
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of a moving average of the weights, which is then what is judged and kept."
    )
    clip: float = Field(1.0, gt=0, description="Norm that gradients are cut down to.")
    batch_tokens: int = Field(1024, ge=64, description="Places of a batch.")
    accumulate: int = Field(1, ge=1, description="Batches per step.")
    dimensions: int = Field(256, ge=8, description="Of the head's item vectors.")
    learned: bool = Field(
        True, description="Whether head and projector learn a vector for each item beside its content."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="In the projector and of the states that the head judges.")
    shuffle_ties: bool = Field(
        True,
        description="What a user did at the same time comes in another order in each dialogue; the log's is chance.",
    )
    collaborative: int = Field(
        64, ge=0, description="Factors of transitions that items have as a feature (CoLLM, LLaRA); 0 for none."
    )
    negatives: int | None = Field(
        None, ge=1, description="Items that the head's softmax is taken over, drawn per batch; all if not set."
    )
    candidates: int = Field(10, ge=2, le=100, description="Listed in direct dialogues, at most.")
    validations: int = Field(8, ge=1, description="How often validation queries are answered on the way.")
    patience: int = Field(3, ge=1, description="Validations without a better figure after which training stops.")
    queries: int = Field(300, ge=1, description="Validation queries that early stopping looks at.")
    pairs: int = Field(2000, ge=0, description="Validation pairs that the decision is fitted to; 0: the head decides.")
    confidence_steps: int = Field(
        0, ge=0, description="Steps of a last phase that learns to state held-out accuracy; 0: none is learned."
    )
    checkpoint_seconds: float = Field(120.0, ge=0, description="Time between checkpoints.")

    def make_trainer_config(self, device: str) -> TrainerConfig:
        """As the trainer takes it; what is learned is kept in float32 whatever the language model's type."""
        same = ("patience", "learning_rate", "weight_decay", "clip", "ema", "accumulate", "checkpoint_seconds")
        fields = {name: getattr(self, name) for name in same}
        return TrainerConfig(epochs=self.validations, device=device, precision="float32", compiled="no", **fields)

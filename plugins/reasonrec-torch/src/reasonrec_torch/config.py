"""Settings of training. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import Field

from reasonrec_core.components import Settings

SHOWN, FEWEST, MOST = 1_500_000, 8, 40
T = TypeVar("T", bound="TrainerConfig")


class TrainerConfig(Settings):
    """How a model is trained; a component's own settings of training extend it."""

    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Most epochs; the learning rate falls to 0 by the last one. Empty: enough for about "
        "1,500,000 samples, between 8 and 40.",
    )
    stop_after: int | None = Field(
        default=None, ge=1, description="Stop after this epoch although more are planned: what validation chose before."
    )
    patience: int = Field(
        3,
        ge=1,
        description="Training stops after this many epochs without improvement on validation; the best epoch is kept.",
    )
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate (AdamW).")
    warmup: int = Field(
        200,
        ge=0,
        description="Steps during which the learning rate rises from 0; at most a tenth of the training.",
    )
    decay_from: float = Field(
        0.0, ge=0, lt=1, description="Share of the training after which the learning rate falls linearly to 0."
    )
    weight_decay: float = Field(0.05, ge=0, description="Weight decay of matrices; vectors (biases, norms) have none.")
    betas: tuple[float, float] = Field((0.9, 0.98), description="AdamW's two betas.")
    clip: float = Field(5.0, gt=0, description="Largest norm of gradients; larger ones are clipped.")
    ema: float = Field(
        0.995, ge=0, lt=1, description="Decay of the moving average of the weights; the average is kept. 0: none."
    )
    accumulate: int = Field(1, ge=1, description="Batches per step; their gradients are averaged.")
    device: str = Field("auto", description="'cpu', 'cuda', 'cuda:1'..., or auto: a GPU if there is one.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Number type of matrix products; auto: bfloat16 on a GPU that supports it, otherwise float32.",
    )
    compiled: Literal["auto", "yes", "no"] = Field(
        "auto", description="Compile the network; auto: on a GPU, if training takes more than 2,000 steps."
    )
    checkpoint_seconds: float = Field(300.0, ge=0, description="Seconds after which an epoch is also saved midway.")


NOT_IDENTITY = frozenset({"device", "compiled", "checkpoint_seconds", "precision"})
"""Settings that may differ when a training goes on; the precision counts by what it comes to on the device."""


def epochs_of(config: TrainerConfig, samples: int) -> int:
    """The number of epochs, for so many samples in each."""
    if config.epochs is not None:
        return config.epochs
    return min(MOST, max(FEWEST, round(SHOWN / max(samples, 1))))


def train_as_long(config: T, planned: int, best: int) -> T:
    """The settings under which a training ends after its epoch ``best`` of ``planned``: what validation once chose.

    They are those of `progress.TrainingReport`; the rate of learning falls as it did then.
    """
    return config.model_copy(update={"epochs": planned, "stop_after": max(best, 1)})

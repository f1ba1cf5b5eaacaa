"""Settings of training. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reasonrec_core.components import Settings


class TrainingConfig(Settings):
    """How a model is trained."""

    epochs: int | None = Field(
        default=None,
        ge=1,
        description="At most; the rate of learning has fallen to 0 after the last. Empty: as many as show about"
        " 1,500,000 next items, from 8 to 40.",
    )
    patience: int = Field(
        3, ge=1, description="Epochs without a better validation figure after which training stops; the best is kept."
    )
    learning_rate: float = Field(2e-3, gt=0, description="Of AdamW, at its highest.")
    warmup: int = Field(200, ge=0, description="Steps over which the rate rises from 0.")
    decay_from: float = Field(
        0.0, ge=0, lt=1, description="Share of the training after which the rate begins to fall, linearly to 0."
    )
    weight_decay: float = Field(0.05, ge=0, description="Of matrices; vectors (biases, norms) have none.")
    betas: tuple[float, float] = Field((0.9, 0.98), description="Of AdamW's moving averages.")
    clip: float = Field(5.0, gt=0, description="Norm that gradients are cut down to.")
    ema: float = Field(
        0.995, ge=0, lt=1, description="Decay of the moving average of the weights, which is what is kept; 0 for none."
    )
    batch_tokens: int = Field(768, ge=1, description="History places of a batch; a GPU is kept busy by many more.")
    samples: Literal["positions", "prefixes"] = Field(
        "positions",
        description="positions: all prefixes of a sequence in one pass. prefixes: each on its own, much slower.",
    )
    shuffle_ties: bool = Field(
        True, description="What a user did at the same time comes in another order in each epoch; the log's is chance."
    )
    newest_only: bool = Field(
        False, description="Learn only from each user's newest items, as many as a history may have, not from all."
    )
    loss: Literal["full", "sampled"] = Field("full", description="Softmax over all items, or over a sample of them.")
    negatives: int = Field(1024, ge=1, description="Items drawn per step for the sampled loss.")
    popularity: float = Field(
        0.0, ge=0, le=1, description="How much the sample follows how often items occur: 0 not at all, 1 in proportion."
    )
    smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target's probability that the full loss spreads over all items."
    )
    device: str = Field("auto", description="'cpu', 'cuda', 'cuda:1'..., or auto: a GPU if there is one.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of matrix products; auto: bfloat16 on a GPU that has it, else float32."
    )
    compiled: Literal["auto", "yes", "no"] = Field(
        "auto", description="Compile the network's code; auto: on a GPU, where training takes more than 2,000 steps."
    )
    checkpoint_seconds: float = Field(
        300.0, ge=0, description="An epoch that takes longer than this is also saved on the way."
    )


SHOWN, FEWEST, MOST = 1_500_000, 8, 40


def epochs_of(config: TrainingConfig, samples: int) -> int:
    """The number of epochs, for so many next items in each."""
    if config.epochs is not None:
        return config.epochs
    return min(MOST, max(FEWEST, round(SHOWN / max(samples, 1))))

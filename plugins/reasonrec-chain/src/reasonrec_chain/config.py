"""Settings of `chain`. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from reasonrec_profile.api import ProfileConfig
from reasonrec_torch.config import TrainerConfig
from reasonrec_torch.curriculum import CurriculumConfig

from reasonrec_core.components import Settings


class NetworkConfig(Settings):
    """The trained part: item vectors, the history encoder, the intent."""

    dimensions: int = Field(96, ge=8, description="Of item vectors and states.")
    layers: int = Field(2, ge=1, description="Of the history encoder.")
    heads: int = Field(3, ge=1, description="Of each layer's attention; divides the dimensions.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Rate.")
    max_history: int = Field(50, ge=1, description="Only this many newest history items are read.")
    filter_share: float = Field(
        0.0, ge=0, le=1, description="Of a frequency filter in each layer, next to attention; 1 = the filter alone."
    )
    frequencies: int = Field(3, ge=1, description="Lowest frequencies that the filter keeps whole.")
    refinements: int = Field(0, ge=0, description="Extra passes of the last layer over its own states.")
    refinement_weight: float = Field(0.5, ge=0, description="Of the loss of the states before the last pass.")
    intent_weight: float = Field(0.1, ge=0, description="Of the loss of the inferred labels.")
    ids: bool = Field(True, description="Give items vectors of their own; otherwise they are their content alone.")
    hidden_ids: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the items whose own vector is hidden in a training step, so that content learns to stand"
        " for an item; empty: the share of items without interactions.",
    )
    members: int = Field(1, ge=1, description="Networks that are trained alike from other seeds, and averaged.")
    modalities: tuple[str, ...] | None = Field(
        default=None, description="Item features to read; empty: all that the pipeline observes."
    )
    components: int = Field(128, ge=1, description="Principal components of each modality's features.")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dimensions % self.heads:
            raise ValueError(f"{self.heads} heads do not divide {self.dimensions} dimensions")
        return self


class TrainingConfig(TrainerConfig):
    """How the network is trained."""

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


class GateConfig(Settings):
    """How the experts are weighed."""

    hidden: int = Field(16, ge=0, description="Hidden units between what is known and the weights; 0 = linear.")
    depth: int = Field(100, ge=1, description="Items that each expert puts into the pool that is decided on.")
    epochs: int = Field(15, ge=1, description="Passes over the validation pairs that the gates are fitted on.")
    steps: int = Field(400, ge=1, description="Steps at least, however few pairs there are.")
    learning_rate: float = Field(0.02, gt=0, description="Of AdamW, at its highest.")
    softness: float = Field(0.2, gt=0, description="Of the ranks that are improved; smaller is sharper.")
    likelihood: float = Field(0.05, ge=0, description="Weight of the likelihood next to the ranks.")
    weight_decay: float = Field(5.0, ge=0, description="Of what reads the facts; not of the weights that all share.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Rate in the hidden units.")
    pairs: int = Field(25_000, ge=1, description="Validation pairs that the gates are fitted on, at most.")
    folds: int = Field(3, ge=2, description="Parts of the pairs; each is judged by gates fitted on the others.")


class EvidenceConfig(Settings):
    """On how much evidence an answer rests; trained last, on validation pairs. It changes no answer."""

    loss: str = Field(
        "", description="An installed evidential loss, such as dirichlet-mse of reasonrec-evidential; empty: none."
    )
    divergence: float = Field(0.01, ge=0, description="Weight of the divergence from no evidence, once annealed.")
    hidden: int = Field(16, ge=1, description="Units between the facts that the gates know and the strength.")
    steps: int = Field(300, ge=1, description="Of training, on all pairs at once.")
    learning_rate: float = Field(0.01, gt=0, description="Of AdamW.")
    weight_decay: float = Field(0.1, ge=0, description="Of AdamW.")


class ChainConfig(Settings):
    """All of it has defaults; the parts are settings of their own."""

    network: NetworkConfig = Field(default=NetworkConfig(), description="The trained part.")
    training: TrainingConfig = Field(default=TrainingConfig(), description="How it is trained.")
    curriculum: CurriculumConfig = Field(default=CurriculumConfig(), description="Whom training shows when.")
    counted: ProfileConfig = Field(
        default=ProfileConfig(), description="The experts and fields that are counted rather than trained."
    )
    experts: tuple[str, ...] | None = Field(
        default=None, description="Experts to ask: sequence, transitions, a modality, affinity, popularity; empty: all."
    )
    gates: GateConfig = Field(default=GateConfig(), description="How the experts are weighed.")
    evidence: EvidenceConfig = Field(default=EvidenceConfig(), description="On how much evidence an answer rests.")

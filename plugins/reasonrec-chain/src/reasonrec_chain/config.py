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

    dimensions: int = Field(96, ge=8, description="Size of item vectors and states.")
    layers: int = Field(2, ge=1, description="Layers of the history encoder.")
    heads: int = Field(3, ge=1, description="Attention heads per layer; must divide the dimensions.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Rate.")
    max_history: int = Field(50, ge=1, description="How many of the newest history items are read.")
    filter_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of a frequency filter in each layer, beside attention; 1 = the filter alone.",
    )
    frequencies: int = Field(3, ge=1, description="How many of the lowest frequencies the filter keeps unchanged.")
    refinements: int = Field(0, ge=0, description="Extra passes of the last layer over its own states.")
    refinement_weight: float = Field(0.5, ge=0, description="Weight of the loss of the states before the last pass.")
    intent_weight: float = Field(0.1, ge=0, description="Weight of the loss of the inferred labels.")
    ids: bool = Field(
        True, description="Give each item a vector of its own; otherwise items are known by their content alone."
    )
    hidden_ids: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of items whose own vector is hidden in a training step, so that content learns "
        "to replace it; empty: the share of items without interactions.",
    )
    members: int = Field(1, ge=1, description="Number of networks that are trained from different seeds and averaged.")
    modalities: tuple[str, ...] | None = Field(
        default=None, description="Item features to use; empty: all that the pipeline observes."
    )
    components: int = Field(128, ge=1, description="Principal components kept of each modality's features.")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dimensions % self.heads:
            raise ValueError(f"{self.heads} heads do not divide {self.dimensions} dimensions evenly")
        return self


class TrainingConfig(TrainerConfig):
    """How the network is trained."""

    batch_tokens: int = Field(768, ge=1, description="History positions per batch; use many more on a GPU.")
    samples: Literal["positions", "prefixes"] = Field(
        "positions",
        description="positions: all prefixes of a sequence in one pass; prefixes: each by itself, much slower.",
    )
    shuffle_ties: bool = Field(
        True,
        description="Shuffle what a user did at the same time in each epoch, because its order in the "
        "log is arbitrary.",
    )
    newest_only: bool = Field(
        False, description="Learn only from each user's newest items (as many as a history may have) instead of all."
    )
    loss: Literal["full", "sampled"] = Field(
        "full", description="Softmax over all items (full) or over a sample of them (sampled)."
    )
    negatives: int = Field(1024, ge=1, description="Items drawn per step for the sampled loss.")
    popularity: float = Field(
        0.0, ge=0, le=1, description="How closely the sample follows item popularity: 0 not at all, 1 in proportion."
    )
    smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Label smoothing of the full loss: share of the target's probability "
        "that is spread over all items.",
    )


class GateConfig(Settings):
    """How the experts are weighed."""

    hidden: int = Field(16, ge=0, description="Hidden units between the facts and the weights; 0 = linear.")
    depth: int = Field(100, ge=1, description="How many items each expert puts into the pool of candidates.")
    epochs: int = Field(15, ge=1, description="Passes over the validation pairs that the gates are fitted on.")
    steps: int = Field(400, ge=1, description="Least number of steps, however few pairs there are.")
    learning_rate: float = Field(0.02, gt=0, description="Peak learning rate (AdamW).")
    softness: float = Field(0.2, gt=0, description="Temperature of the ranking loss; smaller is sharper.")
    likelihood: float = Field(0.05, ge=0, description="Weight of the likelihood beside the ranking loss.")
    weight_decay: float = Field(
        5.0, ge=0, description="Weight decay of the part that reads the facts (not of the shared weights)."
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="Dropout in the hidden units.")
    pairs: int = Field(25_000, ge=1, description="Most validation pairs that the gates are fitted on.")
    folds: int = Field(
        3, ge=2, description="Folds of the pairs; each is judged by gates that were fitted on the others."
    )


class EvidenceConfig(Settings):
    """On how much evidence an answer rests; trained last, on validation pairs. It changes no answer."""

    loss: str = Field(
        "", description="An installed evidential loss, such as dirichlet-mse of reasonrec-evidential; empty: none."
    )
    divergence: float = Field(
        0.01, ge=0, description="Final weight of the divergence from no evidence, after annealing."
    )
    hidden: int = Field(16, ge=1, description="Hidden units between the gates' facts and the strength.")
    steps: int = Field(300, ge=1, description="Training steps, each on all pairs.")
    learning_rate: float = Field(0.01, gt=0, description="Of AdamW.")
    weight_decay: float = Field(0.1, ge=0, description="Of AdamW.")


class ChainConfig(Settings):
    """All of it has defaults; the parts are settings of their own."""

    network: NetworkConfig = Field(default=NetworkConfig(), description="The network that is trained.")
    training: TrainingConfig = Field(default=TrainingConfig(), description="How it is trained.")
    curriculum: CurriculumConfig = Field(default=CurriculumConfig(), description="In which order training shows users.")
    counted: ProfileConfig = Field(
        default=ProfileConfig(), description="The experts and fields that are counted rather than trained."
    )
    experts: tuple[str, ...] | None = Field(
        default=None,
        description="Who proposes: of its own experts sequence, transitions, a modality, affinity, popularity (all of "
        "them where none is named), and delegates of the pipeline by their labels; each of those is fitted twice.",
    )
    consulted: tuple[str, ...] = Field(
        default=(),
        description="Delegates of the pipeline, by their labels, that join the experts where the router consults "
        "(router.consult) and are not asked elsewhere; each is fitted twice.",
    )
    gates: GateConfig = Field(default=GateConfig(), description="How the experts are weighed.")
    evidence: EvidenceConfig = Field(
        default=EvidenceConfig(), description="How the amount of evidence behind an answer is learned."
    )

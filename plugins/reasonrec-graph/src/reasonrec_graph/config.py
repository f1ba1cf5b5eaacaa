"""Settings of the delegates. Cheap to import: no torch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from reasonrec_torch.config import TrainerConfig

from reasonrec_core.components import Settings


class GraphTraining(TrainerConfig):
    """How vectors are trained."""

    learning_rate: float = Field(5e-3, gt=0, description="Peak learning rate (AdamW).")
    weight_decay: float = Field(1e-3, ge=0, description="Weight decay of the vectors.")
    patience: int = Field(
        5, ge=1, description="Training stops after this many epochs without improvement on validation."
    )
    ema: float = Field(0.98, ge=0, lt=1, description="Decay of the moving average of the weights; the average is kept.")
    batch: int = Field(
        8192,
        ge=1,
        description="Pairs per training step. Each step passes over the whole graph, so a few large steps are cheaper.",
    )
    by_user: bool = Field(
        False,
        description="With the softmax: a step has all pairs of some users instead of any pairs, and sums over the "
        "sampled items once for each user. Many more pairs then fit into a step.",
    )
    loss: Literal["softmax", "bpr"] = Field(
        "softmax", description="softmax: over cosines, with sampled negatives; bpr: over inner products, as published."
    )
    negatives: int = Field(512, ge=1, description="Sampled items: per step for the softmax, per pair for BPR.")
    popularity: float = Field(0.0, ge=0, le=1, description="How closely the softmax's sample follows item popularity.")
    temperature: float = Field(0.15, gt=0, description="Temperature: cosines are divided by it.")
    item_length: float = Field(
        0.0,
        ge=0,
        le=1,
        description="With the softmax: the power to which the length of an item's vector counts. 0: cosines alone, in"
        " which nothing says how popular an item is; 1: products with whole item vectors.",
    )
    validation_queries: int | None = Field(
        None, ge=1, description="Validation queries, drawn at random, that choose the epoch. Empty: all."
    )


class GraphConfig(Settings):
    """What all of them share."""

    dimensions: int = Field(64, ge=1, description="Dimensions of the vectors.")
    layers: int = Field(3, ge=0, description="Layers (steps over the graph); their mean is the answer.")
    training: GraphTraining = Field(GraphTraining(), description="How it is trained.")


class LightGCNConfig(GraphConfig):
    """LightGCN."""

    start: Literal["random", "spectral"] = Field(
        "random",
        description="Where the vectors start. spectral: at the leading singular vectors of the normalised adjacency; "
        "a large log then needs far fewer steps.",
    )


class SGLConfig(LightGCNConfig):
    """SGL."""

    views: Literal["edge-drop", "noise"] = Field(
        "edge-drop",
        description="How the two views differ: by dropped edges, or by noise in the layers, without a second graph "
        "(as good on H&M data).",
    )
    drop: float = Field(0.1, ge=0, lt=1, description="Share of edges that are dropped in a view.")
    noise: float = Field(0.1, ge=0, description="Length of the noise vector in each layer.")
    contrast: float = Field(0.1, ge=0, description="Weight of the agreement between views.")
    contrast_temperature: float = Field(0.2, gt=0, description="Temperature: cosines between views are divided by it.")
    compared: int = Field(
        2048, ge=2, description="Most users, and most items, of a step whose views are compared, each with all others."
    )


class GCMConfig(LightGCNConfig):
    """GCM."""

    context: tuple[str, ...] | None = Field(
        None, description="Columns of context to use; empty: all that the data have ([data] context)."
    )
    last_item: bool = Field(True, description="The item before is context, too.")

    @model_validator(mode="after")
    def _ask_pairs(self) -> Self:
        if self.training.by_user:
            raise ValueError("gcm asks each pair in its context, so that training.by_user has nothing to share")
        return self


class AlphaRecConfig(GraphConfig):
    """AlphaRec."""

    layers: int = Field(2, ge=0, description="Layers (steps over the graph); their mean is the answer.")
    modalities: tuple[str, ...] | None = Field(
        None, description="Item features to use; empty: all that the pipeline observes."
    )
    map: Literal["mlp", "linear"] = Field(
        "mlp", description="From features to vectors: by a network with one hidden layer, or by one linear map."
    )
    pretrained: Path | None = Field(
        None,
        description="Folder of a fitted alpharec (RUN/stages/delegate-alpharec/component) whose network is "
        "used as it is instead of training one: for a catalogue with too few interactions, "
        "observed by the same encoders.",
    )


class RelationTraining(TrainerConfig):
    """How users, items and relations are trained."""

    epochs: int | None = Field(20, ge=1, description="Most epochs; the learning rate falls to 0 by the last one.")
    learning_rate: float = Field(5e-3, gt=0, description="Peak learning rate (AdamW).")
    weight_decay: float = Field(1e-3, ge=0, description="Weight decay of the vectors.")
    ema: float = Field(0.98, ge=0, lt=1, description="Decay of the moving average of the weights; the average is kept.")
    batch: int = Field(4096, ge=1, description="Pairs per training step.")
    negatives: int = Field(128, ge=1, description="Sampled items per step, which all pairs share.")
    loss: Literal["softmax", "hinge"] = Field(
        "softmax", description="softmax: over distances to the item and the sampled ones; hinge: as published."
    )
    margin: float = Field(
        0.5,
        ge=0,
        description="How much nearer than others the strongest feedback must be; weaker kinds proportionally.",
    )
    temperature: float = Field(
        0.1, gt=0, description="Temperature of the softmax: squared distances are divided by it."
    )
    validation_queries: int = Field(
        2000, ge=1, description="Validation queries, drawn at random, that choose the epoch."
    )


class MRMNConfig(Settings):
    """MRMN."""

    dimensions: int = Field(64, ge=1, description="Dimensions of the vectors.")
    slots: int = Field(8, ge=1, description="Slots of the memory that relation vectors are made of.")
    kinds: tuple[float, ...] | None = Field(
        None,
        min_length=1,
        description="Lowest value of each kind of feedback, weakest first; rows below the first are left out. "
        "Empty: every value is a kind. What is recommended is what the strongest kind leads to.",
    )
    training: RelationTraining = Field(RelationTraining(), description="How it is trained.")

    @field_validator("kinds")
    @classmethod
    def _rise(cls, kinds: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if kinds is not None and any(b <= a for a, b in pairwise(kinds)):
            raise ValueError("the values must rise, from the weakest kind to the strongest")
        return kinds


class ContentConfig(LightGCNConfig):
    """What models of items with pictures and texts share."""

    layers: int = Field(2, ge=0, description="Layers (steps over the graph); their mean is the answer.")
    modalities: tuple[str, ...] | None = Field(
        None, description="Item features to use; empty: all that the pipeline observes."
    )
    components: int = Field(128, ge=1, description="Principal components kept of each modality's features.")
    neighbours: int = Field(10, ge=1, description="Items that each item is linked to, by each modality.")
    ids: bool = Field(
        True, description="Give users and items vectors of their own, beside what items read or look like."
    )
    hidden_ids: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of items whose own vector is hidden in a training step, so that content learns to "
        "replace it.",
    )
    compared: int = Field(512, ge=2, description="Most items of a step that alignments compare.")


class RecGOATConfig(ContentConfig):
    """RecGOAT."""

    align: Literal["none", "infonce", "transport", "both"] = Field(
        "none",
        description="How content is aligned with the items' own vectors: item by item (infonce), as distributions "
        "(transport), both or not at all, which was measured to be the best.",
    )
    infonce_weight: float = Field(0.1, ge=0, description="Weight of the alignment item by item.")
    infonce_temperature: float = Field(0.2, gt=0, description="Temperature: its cosines are divided by it.")
    transport_weight: float = Field(0.1, ge=0, description="Weight of the distance between distributions.")
    transport_blur: float = Field(0.05, ge=0.03, description="Entropic regularisation of the transport plan.")
    attention: bool = Field(True, description="Weigh the linked items by attention, or else all equally.")


class SSRConfig(ContentConfig):
    """SSR."""

    bands: int = Field(4, ge=1, description="Frequency bands of equal energy.")
    order: int = Field(12, ge=1, description="Degree of the polynomials that filter the bands.")
    rank: int = Field(4, ge=0, description="Rank of the mixing across bands; 0: none.")
    mask: float = Field(0.25, ge=0, lt=1, description="Share of bands that are hidden in a training step.")
    consistency: float = Field(
        1.0, ge=0, description="Weight of the agreement between predictions with hidden bands and with all."
    )
    infonce_weight: float = Field(0.1, ge=0, description="Weight of the agreement between modalities in each band.")
    infonce_temperature: float = Field(0.2, gt=0, description="Temperature: its cosines are divided by it.")

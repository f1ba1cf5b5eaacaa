"""Settings of the delegates. Cheap to import: no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from reasonrec_torch.config import TrainerConfig

from reasonrec_core.components import Settings


class GraphTraining(TrainerConfig):
    """How vectors are trained."""

    learning_rate: float = Field(5e-3, gt=0, description="Of AdamW, at its highest.")
    weight_decay: float = Field(1e-3, ge=0, description="Of the vectors.")
    patience: int = Field(5, ge=1, description="Epochs without a better validation figure after which training stops.")
    ema: float = Field(0.98, ge=0, lt=1, description="Decay of the moving average of the weights, which is kept.")
    batch: int = Field(
        8192, ge=1, description="Pairs of a step. The whole graph is passed over in each, so few large steps are cheap."
    )
    loss: Literal["softmax", "bpr"] = Field(
        "softmax", description="Softmax over cosines with sampled negatives, or BPR over inner products, as published."
    )
    negatives: int = Field(512, ge=1, description="Items drawn: per step for the softmax, per pair for BPR.")
    popularity: float = Field(
        0.0, ge=0, le=1, description="How much the softmax's sample follows how often items occur."
    )
    temperature: float = Field(0.15, gt=0, description="That cosines are divided by.")


class GraphConfig(Settings):
    """What all of them share."""

    dimensions: int = Field(64, ge=1, description="Of the vectors.")
    layers: int = Field(3, ge=0, description="Steps over the graph; the mean over all layers is the answer.")
    training: GraphTraining = Field(GraphTraining(), description="How it is trained.")


class SGLConfig(GraphConfig):
    """SGL."""

    views: Literal["edge-drop", "noise"] = Field(
        "edge-drop",
        description="How the two views differ: each lacks some edges, or has noise in its layers (cheaper).",
    )
    drop: float = Field(0.1, ge=0, lt=1, description="Share of the edges that a view lacks.")
    noise: float = Field(0.1, ge=0, description="Length of the noise in each layer.")
    contrast: float = Field(0.1, ge=0, description="Weight of the agreement.")
    contrast_temperature: float = Field(0.2, gt=0, description="That the cosines of views are divided by.")


class AlphaRecConfig(GraphConfig):
    """AlphaRec."""

    layers: int = Field(2, ge=0, description="Steps over the graph; the mean over all layers is the answer.")
    modalities: tuple[str, ...] | None = Field(
        None, description="Item features to read; empty: all that the pipeline observes."
    )
    map: Literal["mlp", "linear"] = Field("mlp", description="From features to vectors.")
    pretrained: Path | None = Field(
        None,
        description="Folder of a fitted alpharec (RUN/stages/delegate-alpharec/component) whose map is taken as it is,"
        " instead of training one: for a catalogue with too little of a log, observed by the same encoders.",
    )

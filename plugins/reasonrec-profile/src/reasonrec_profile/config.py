"""Settings of the `profile` policy."""

from __future__ import annotations

from pydantic import Field
from reasonrec_transitions.api import TransitionsConfig

from reasonrec_core.components import Settings


class ProfileConfig(Settings):
    """All of it has defaults that validation data adapts; the numbers say how hard to look."""

    modalities: tuple[str, ...] | None = Field(
        default=None, description="Item features to compare items by; empty: all that the pipeline observes."
    )
    fields: tuple[str, ...] | None = Field(
        default=None, description="Item fields to infer; empty: those whose labels repeat (category, brand...)."
    )
    max_fields: int = Field(default=6, ge=0, description="Most fields that are found automatically.")
    neighbours: int = Field(default=50, ge=1, description="Nearest items kept per item and modality.")
    power: float = Field(default=6.0, gt=0, description="Power of the cosine between items.")
    groups: bool = Field(
        default=True, description="Also infer groups of items that users treat as alike, as fields of their own."
    )
    dimensions: int = Field(default=128, ge=1, description="Most principal components kept of the features.")
    max_history: int = Field(default=50, ge=1, description="How many of the newest history items count as evidence.")
    fit_queries: int = Field(default=6000, ge=1, description="Validation requests that the mixture is fitted on.")
    trials: int = Field(default=600, ge=1, description="How many mixtures may be tried.")
    transitions: TransitionsConfig = Field(
        default=TransitionsConfig(search_queries=1500, trials=50), description="Settings of the co-occurrence expert."
    )

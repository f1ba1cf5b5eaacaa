"""Settings of soft tokens. Cheap to import: no torch."""

from __future__ import annotations

from pydantic import Field

from reasonrec_core.components import Settings


class SoftTokenConfig(Settings):
    """How items' features enter a prompt."""

    per_item: int = Field(2, ge=0, le=16, description="Soft tokens per item; 0: items are text alone.")
    hidden: int = Field(256, ge=4, description="Units between features and soft tokens.")
    modalities: tuple[str, ...] | None = Field(
        None, description="Names of observed features that are used; all if not set."
    )

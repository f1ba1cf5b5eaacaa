"""Settings of similar users. Cheap to import: no torch."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from reasonrec_core.components import Settings


class SimilarUsersConfig(Settings):
    """Who is like the user of a request, and what they clicked (OptiRAG-Rec, 2025)."""

    delegate: str = Field(
        "lightgcn", description="The delegate whose vectors say who is alike: one whose scores are inner products."
    )
    settings: dict[str, Any] = Field({}, description="Settings of that delegate, which is fitted to training clicks.")
    count: int = Field(10, ge=1, le=1000, description="How many of the most similar users are asked.")

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
    prompt: bool = Field(
        False,
        description="Also write into the prompt how many of these users liked the item or saw it and did not, and a "
        "few other items that the nearest of them liked. Tuning then fits the delegate `folds` times more.",
    )
    titles: int = Field(3, ge=0, le=20, description="With `prompt`: most items that are named; 0: the counts alone.")
    folds: int = Field(
        4,
        ge=2,
        le=20,
        description="With `prompt`: number of parts that users are divided into for tuning. Prompts of each part use a "
        "delegate fitted to the other users, so that none knows its own label.",
    )

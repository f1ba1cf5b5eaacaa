"""Settings of explanations. Cheap to import."""

from __future__ import annotations

from pydantic import Field

from reasonrec_core.components import Settings


class MbrSettings(Settings):
    """How a sentence of reviews is chosen."""

    alike: int = Field(20, ge=0, description="How many items with similar reviews may lend an item their sentences.")
    anybody: int = Field(512, ge=1, description="How many sentences from anybody's reviews take part in the choice.")
    pairs: float = Field(3.0, ge=0, description="Weight of shared word pairs, relative to the common word order.")
    per_word: float = Field(
        0.0025, ge=0, description="Reward for each extra word, so that sentences are not too short."
    )
    useful_words: int = Field(40, ge=1, description="Number of words beyond which more are not rewarded.")

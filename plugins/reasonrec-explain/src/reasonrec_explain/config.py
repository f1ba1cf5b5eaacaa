"""Settings of explanations. Cheap to import."""

from __future__ import annotations

from pydantic import Field

from reasonrec_core.components import Settings


class MbrSettings(Settings):
    """How a sentence of reviews is chosen."""

    alike: int = Field(20, ge=0, description="Items with like reviews, whose sentences may be said of an item, too.")
    anybody: int = Field(512, ge=1, description="Sentences of anybody's reviews that take part in the choice.")
    pairs: float = Field(3.0, ge=0, description="Weight of shared pairs of words next to that of the common order.")
    per_word: float = Field(0.0025, ge=0, description="What a word more is worth: sentences shall not be too short.")
    useful_words: int = Field(40, ge=1, description="Words beyond which more are worth nothing.")

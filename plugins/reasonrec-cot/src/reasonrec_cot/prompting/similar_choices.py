"""What users with similar choices did, as a prompt about a click says it (after OptiRAG-Rec, 2025)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reasonrec_core.types import QueryBatch


@dataclass(frozen=True, slots=True)
class SimilarChoices:
    """What users like the one of a request did before it.

    Attributes:
        asked: how many such users there are.
        liked: how many of them liked the item that is asked about.
        disliked: how many of them saw it and did not like it.
        items: dense indices of other items that the nearest of them liked.
    """

    asked: int
    liked: int
    disliked: int
    items: tuple[int, ...] = ()


DescribeSimilar = Callable[[QueryBatch], list[SimilarChoices]]
"""What is known of each candidate that there is, by rows."""


def count_choices(choices: SimilarChoices) -> str:
    """A sentence of numbers alone; "" where there is nobody to ask."""
    seen = choices.liked + choices.disliked
    if not choices.asked:
        return ""
    if choices.asked == 1:
        did = "liked" if choices.liked else "did not like" if seen else "has not seen"
        return f"The person with the most similar choices {did} the item in question."
    people = f"the {choices.asked} people with the most similar choices"
    if not seen:
        return f"None of {people} has seen the item in question."
    return f"{seen} of {people} saw the item in question: {choices.liked} liked it, {choices.disliked} did not."

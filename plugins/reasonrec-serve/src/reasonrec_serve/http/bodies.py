"""What callers send. Unknown fields are refused; ids are text or whole numbers, which mean their digits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

LONGEST_ID = 512
MOST_ITEMS = 10_000
"""Of a history, or of candidates."""
MOST_WANTED = 1_000
"""Of `k`."""
Text = Annotated[str, StringConstraints(max_length=LONGEST_ID)]
Id = (
    Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
    | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
)
Ids = Annotated[list[Id], Field(max_length=MOST_ITEMS)]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class RecommendBody(Body):
    """One request: a user, or a history. See docs/answers.md."""

    user: Id | None = None
    """A user's id; their log and their events are the history."""
    history: Ids | None = None
    """Item ids, oldest first; unknown ones are skipped and counted."""
    candidates: Ids | None = None
    """Rank these items instead of the catalogue."""
    k: int = Field(10, ge=1, le=MOST_WANTED)
    """How many items."""
    task: Literal["sequential", "direct"] | None = None
    """Direct with candidates, else sequential."""
    assume: dict[Text, Text] = Field({}, max_length=50)
    """Labels of the next item to take for granted, by item field."""
    ignore: Ids = []
    """Items of the history that shall not count."""
    steps: bool = False
    """Whether the answer brings the policy's steps; they take about as long as the answer."""

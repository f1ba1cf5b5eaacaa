"""What callers send. Unknown fields are refused; ids are text or whole numbers, which mean their digits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

LONGEST_ID = 512
MOST_ITEMS = 10_000
"""Of a history, or of candidates."""
MOST_WANTED = 1_000
"""Of `k`."""
MOST_ALLOWED = 1_000_000
"""Items of an allow list; the size of a body is limited, too."""
MOST_REQUESTS, MOST_EVENTS = 256, 1_000
"""In one body."""
Text = Annotated[str, StringConstraints(max_length=LONGEST_ID)]
Id = (
    Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
    | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
)
Ids = Annotated[list[Id], Field(max_length=MOST_ITEMS)]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


Limit = Id | float | bool | None
Condition = Limit | list[Limit] | dict[Literal["min", "max"], Limit]
"""What an item field must be: a value, one of several, or within a range."""


class LimitedBody(Body):
    """What may be recommended."""

    k: int = Field(10, ge=1, le=MOST_WANTED)
    """How many items."""
    exclude: Ids = []
    """Items that must not be recommended."""
    only: Annotated[list[Id], Field(max_length=MOST_ALLOWED)] | None = None
    """The items that may be recommended; all without it."""
    where: dict[Text, Condition] = Field({}, max_length=50)
    """Item field -> a value, a list of values (any of them), or {"min": a, "max": b}."""


class CompareBody(LimitedBody):
    """A request that every system can answer: a user, or a history. See docs/answers.md."""

    user: Id | None = None
    """A user's id; their log and their events are the history."""
    history: Ids | None = None
    """Item ids, oldest first; unknown ones are skipped and counted."""
    candidates: Ids | None = None
    """Rank these items instead of the catalogue."""
    task: Literal["sequential", "direct"] | None = None
    """Direct with candidates, else sequential."""
    include_seen: bool = False
    """Whether items of the history may be recommended again."""


class RecommendBody(CompareBody):
    """One request: a user, or a history. See docs/answers.md."""

    assume: dict[Text, Text] = Field({}, max_length=50)
    """Labels of the next item to take for granted, by item field."""
    ignore: Ids = []
    """Items of the history that shall not count."""
    diversity: float = Field(0.0, ge=0, le=1)
    """0 takes the best items, 1 those that are least alike."""
    steps: bool = False
    """Whether the answer brings the policy's steps; they take about as long as the answer."""


class BatchBody(Body):
    """Several requests."""

    requests: list[RecommendBody] = Field(min_length=1, max_length=MOST_REQUESTS)


class SimilarBody(LimitedBody):
    """An item whose like is looked for."""

    item: Id
    by: Text | None = None
    """"content", "together", or the label of a policy or delegate; the best that knows the item without it."""


class EventBody(Body):
    """Somebody did something with an item."""

    id: Id
    """Chosen by the sender; the same id is the same event."""
    user: Id
    item: Id
    time: StrictInt | None = Field(None, ge=0, lt=2**53)
    """Seconds since 1970; now without it."""


class EventsBody(Body):
    """What happened."""

    events: list[EventBody] = Field(min_length=1, max_length=MOST_EVENTS)

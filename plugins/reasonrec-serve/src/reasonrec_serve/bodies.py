"""What callers send as JSON, over HTTP or by a tool: a `Request` with types and limits for strangers.

Unknown fields are refused; ids are text or whole numbers, which mean their digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints, WithJsonSchema

from reasonrec_serve.request import LONGEST_QUERY, Request

LONGEST_ID = 512
MOST_ITEMS = 10_000
"""Of a history, or of candidates."""
MOST_WANTED = 1_000
"""Of `k`."""
MOST_VALUES = 1_000
"""Of one condition."""
MOST_REQUESTS, MOST_EVENTS = 256, 1_000
"""In one body."""
SHOWN = 3
"""Faults of one body that are named."""
Text = Annotated[str, StringConstraints(max_length=LONGEST_ID)]
Id = (
    Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
    | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
)
Ids = Annotated[list[Id], Field(max_length=MOST_ITEMS)]
AnyIds = list[Id]
"""As many as a body can hold."""


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


def _check_length(given: object) -> object:
    if isinstance(given, list) and len(given) > MOST_VALUES:
        raise ValueError(f"has {len(given):,} values, {MOST_VALUES:,} at most; for a list of ids use `only`")
    return given


VALUE = {"type": ["string", "number", "boolean", "null"]}
RANGE = {"type": "object", "properties": {"min": VALUE, "max": VALUE}, "additionalProperties": False}
Condition = Annotated[
    Any,
    AfterValidator(_check_length),
    WithJsonSchema({"anyOf": [VALUE, {"type": "array", "items": VALUE}, RANGE]}),
]
"""What an item field must be: a value, one of several, or within a range. What is wrong with one is said by the field
it is about (`reasonrec_serve.item_filter`)."""


class LimitedBody(Body):
    """What may be recommended."""

    k: int = Field(10, ge=1, le=MOST_WANTED)
    """How many items."""
    exclude: AnyIds = []
    """Items that must not be recommended."""
    only: AnyIds | None = None
    """The items that may be recommended; all without it."""
    where: dict[Text, Condition] = Field({}, max_length=50)
    """Item field -> a value, a list of values (any of them), {"min": a, "max": b}, or null (the item has none)."""


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
    context: dict[Text, Text | int] = Field({}, max_length=50)
    """What is known of the moment, by column of the data's context."""
    include_seen: bool = False
    """Whether items of the history may be recommended again."""

    def make_request(self) -> Request:
        """The request, as Python makes it.

        Raises:
            ConfigError: it contradicts itself.
        """
        return Request(**self.model_dump(include=set(Request.__dataclass_fields__)))


class AskBody(CompareBody):
    """A request without edits."""

    diversity: float = Field(0.0, ge=0, le=1)
    """0 takes the best items, 1 those that are least alike."""
    query: Annotated[str, StringConstraints(max_length=LONGEST_QUERY)] | None = None
    """Words for what is wanted, beside a user or history or alone, where a delegate of the run reads text."""
    query_weight: float = Field(0.5, ge=0, le=1)
    """How much the words count beside the history."""


class EditBody(AskBody):
    """A request that may edit the policy's steps."""

    assume: dict[Text, Text] = Field({}, max_length=50)
    """Labels of the next item to take for granted, by item field."""
    ignore: Ids = []
    """Items of the history that shall not count."""


class RecommendBody(EditBody):
    """One request: a user, or a history. See docs/answers.md."""

    steps: bool = False
    """Whether the answer brings the policy's steps."""
    because: bool | None = None
    """Whether it brings what each item is recommended for (`because`, `why`); as `steps` without it."""


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


def name_faults(faults: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What is wrong with a body, by pydantic's account of it: the first faults in words, and where the first one is."""
    said = [f"{_place(fault['loc'])}: {_in_words(fault)}" for fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        said.append(f"and {len(faults) - SHOWN} more")
    return "; ".join(said), _place(faults[0]["loc"])


def _place(location: tuple[Any, ...]) -> str:
    """``body.history[3]``; names that a caller made up are cut."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{str(part)[:80]}" if text else str(part)[:80]
    return text or "request"


def _in_words(fault: Mapping[str, Any]) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    return "there is no such field" if fault["type"] == "extra_forbidden" else message[:1].lower() + message[1:]

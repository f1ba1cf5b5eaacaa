"""What the tools take: the requests of `reasonrec_serve`, with what a tool adds."""

from __future__ import annotations

from pydantic import Field
from reasonrec_serve.bodies import AskBody, Body, EditBody, Id, SimilarBody, Text

MOST_FOUND = 100


class Because(Body):
    """Whether items come with reasons."""

    because: bool = True
    """Whether each item comes with what it is recommended for, which takes about as long again."""


class RecommendArguments(AskBody, Because):
    """Recommend items to a user, or for a history of items.

    A known user's log is their history; somebody new gets an answer that is not personalised, and is told so. Each item
    comes with what it was recommended for, the answer with who gave it, why, and the calibrated chance that the next
    choice is among the first ones.
    """


class SimilarArguments(SimilarBody):
    """Items that are like an item, and what they share."""


class ExplainArguments(EditBody):
    """Say how an answer comes about: the steps it was worked out by, what they rest on, what else was possible.

    Give the request of the answer; with ``item`` also what that item of it was recommended for.
    """

    item: Id | None = None
    """One of the recommended items."""


class AssumeArguments(EditBody, Because):
    """Recommend under an assumption: what the next item is like (``assume``), or what does not count (``ignore``).

    The steps are edited, the answer is worked out from them, and what entered and left the list is told. The tool
    ``lookup`` lists what can be assumed.
    """


class LookupArguments(Body):
    """Find items by words of their titles or by ids; or the labels of an item field that can be assumed."""

    words: Text = ""
    """All of them must be in the title or id."""
    ids: list[Id] | None = Field(None, max_length=MOST_FOUND)
    """Items by their ids; unknown ones are left out and counted."""
    labels_of: Text | None = None
    """An item field: lists its labels that hold the words, instead of items."""
    limit: int = Field(20, ge=1, le=MOST_FOUND)
    """How many are told at most."""

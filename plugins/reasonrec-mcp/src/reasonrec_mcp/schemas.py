"""What the tools give, as JSON schemas made from the records that are given."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import BaseModel, create_model
from reasonrec_serve import Answer, Similar
from reasonrec_serve.http.live import Live

from reasonrec_core.types import Step


class FoundItem(BaseModel):
    """What is known of an item."""

    id: str
    title: str
    image: bool
    fields: dict[str, str]


class Found(BaseModel):
    """What was looked up."""

    items: list[FoundItem]
    unknown: int
    fields: list[str]
    labels: list[str] | None


def _describe(record: type, **more: Any) -> dict[str, Any]:
    """The schema of a record, with further properties; what it does not show (callables) is left out."""
    hints = get_type_hints(record)
    shown = {field.name: hints[field.name] for field in fields(record) if field.repr} | more
    definitions: dict[str, Any] = {name: (kind, ...) for name, kind in shown.items()}
    made: type[BaseModel] = create_model(record.__name__, **definitions)
    return made.model_json_schema(mode="serialization")


ANSWER = _describe(Answer, live=Live | None)
EXPLAINED = _describe(Answer, live=Live | None, steps=list[Step])
SIMILAR = _describe(Similar)
FOUND = Found.model_json_schema()

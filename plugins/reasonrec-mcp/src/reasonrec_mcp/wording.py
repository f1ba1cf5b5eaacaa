"""Results in a few lines; every text of the catalogue is fenced (`reasonrec_mcp.fence`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrec_serve import Answer, Cause, Recommended, Similar
from reasonrec_serve.http.live import Live

from reasonrec_core.types import format_percent, shorten_steps
from reasonrec_mcp.fence import name_item, quote

CITED = 3
"""Causes, alternatives and items of a list that a line names."""


def word_answer(answer: Answer, live: Live | None, only: str | None = None, *, because: bool = True) -> list[str]:
    """An answer; ``only``: of its items the one with this id; ``because``: with what items are recommended for."""
    reason = answer.reason.partition(" answers: ")[2] or answer.reason
    lines = [f"{f'Answered by {answer.by} ({answer.models} models)' if answer.by else 'No answer'}: {reason}."]
    if answer.confidence is not None:
        chance = format_percent(answer.confidence)
        lines.append(f"Chance that the next choice is among the first {answer.cutoff}: {chance}.")
    else:
        lines.append("No confidence is stated.")
    for place, item in enumerate(answer.explained if because else answer.items, 1):
        if only is None or item.id == only:
            lines.append(f"{place}. {name_item(item.id, item.title)}{_word_causes(item.because)}")
    if answer.edited is not None:
        edited = answer.edited
        lines += [f"Assumed: {quote(field)} is {quote(label)}." for field, label in edited.assumed.items()]
        lines += [f"Ignored: {name_item(item, title)}." for item, title in edited.ignored]
        lines += [_word_list("Entered the list", edited.entered), _word_list("Left the list", edited.left)]
    if live is not None and live.events:
        lines.append(f"{live.events} of their newest events are included.")
    if live is not None and live.problem:
        lines.append(f"Note: {live.problem}.")
    return [*lines, *(f"Note: {note}" for note in answer.notes)]


def word_steps(answer: Answer) -> list[str]:
    """The steps that tell most, with what they rest on and what else was possible."""
    if not answer.steps:
        return ["There are no steps: the model that answered does not reason in steps."]
    lines = ["Steps:"]
    for step in shorten_steps(answer.steps):
        named = [name_item(*answer.history[e]) if isinstance(e, int) else quote(e) for e in step.evidence]
        evidence = list(dict.fromkeys(named))[:CITED]
        because = f"; because of {', '.join(evidence)}" if evidence else ""
        others = [f"{quote(claim)} {format_percent(weight)}" for claim, weight in step.alternatives[:CITED]]
        also = f"; also possible: {', '.join(others)}" if others else ""
        lines.append(f"- {step.kind}{' (edited)' if step.edited else ''}: {quote(step.claim)}{because}{also}")
    return lines


def word_similar(found: Similar) -> list[str]:
    """Items like an item."""
    lines = [f"Similar to {name_item(found.id, found.title)}, judged by {found.method}:"]
    for place, item in enumerate(found.items, 1):
        shared = f"; {quote('; '.join(item.reasons))}" if item.reasons else ""
        lines.append(f"{place}. {name_item(item.id, item.title)}{shared}")
    return [*lines, *(f"Note: {note}" for note in found.notes)]


def word_found(items: Sequence[dict[str, Any]], unknown: int, fields: Sequence[str]) -> list[str]:
    """Items that were looked up."""
    lines = [f"{len(items)} items:" if items else "No such item."]
    for item in items:
        words = ", ".join(f"{quote(name)}: {quote(value)}" for name, value in item["fields"].items())
        lines.append(f"- {name_item(item['id'], item['title'])}{'; ' if words else ''}{words}")
    if unknown:
        lines.append(f"Note: {unknown} of the ids are unknown.")
    return [*lines, f"Can be assumed: {', '.join(map(quote, fields))}."] if fields else lines


def word_labels(field: str, labels: Sequence[str], limit: int) -> list[str]:
    """Labels that can be assumed."""
    more = f" (the first {limit} of {len(labels)})" if len(labels) > limit else ""
    return [f"Labels of {quote(field)}{more}: {', '.join(map(quote, labels[:limit])) or 'none'}."]


def _word_causes(because: Sequence[Cause]) -> str:
    named = [f"{name_item(cause.id, cause.title)} {format_percent(cause.share)}" for cause in because[:CITED]]
    return f"; because of {', '.join(named)}" if named else ""


def _word_list(what: str, items: Sequence[Recommended]) -> str:
    return f"{what}: {', '.join(name_item(item.id, item.title) for item in items) or 'nothing'}."

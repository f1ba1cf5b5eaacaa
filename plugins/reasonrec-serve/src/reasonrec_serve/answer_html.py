"""An answer in a notebook: items, who answered and why, how sure, what edits changed; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from reasonrec_core.types import format_percent

if TYPE_CHECKING:
    from reasonrec_serve.answer import Answer, Edited, Recommended

CELL = "padding:2px 12px 2px 0;text-align:left;font-variant-numeric:tabular-nums"


def render_answer(answer: Answer) -> str:
    """The answer as HTML; its steps are not worked out for that."""
    said = [answer.reason]
    if answer.by:
        said.insert(0, f"{answer.by} answers ({answer.models} models)")
    if answer.confidence is not None:
        said.append(
            f"the next one is among the first {answer.cutoff} with a chance of {format_percent(answer.confidence)}"
        )
    parts = [f"<p>{escape('; '.join(said))}.</p>", _render_items(answer.items)]
    if answer.edited is not None:
        parts.append(_render_edits(answer.edited))
    parts += [f"<p>Note: {escape(note)}</p>" for note in answer.notes]
    return "".join(parts)


def _render_items(items: Iterable[Recommended]) -> str:
    head = "".join(f'<th style="{CELL}">{name}</th>' for name in ("", "item", "title", "score"))
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="{CELL}">{escape(cell)}</td>' for cell in (str(rank), item.id, item.title, f"{item.score:.4g}")
        )
        + "</tr>"
        for rank, item in enumerate(items, 1)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _render_edits(edited: Edited) -> str:
    assumed = [f"{field} is {label}" for field, label in edited.assumed.items()]
    ignored = [f"{title} does not count" for _, title in edited.ignored]
    changes = [("Assumptions", [*assumed, *ignored])]
    changes += [("Entered", [item.title for item in edited.entered]), ("Left", [item.title for item in edited.left])]
    return "".join(f"<p>{name}: {escape(', '.join(words) or 'nothing')}.</p>" for name, words in changes)

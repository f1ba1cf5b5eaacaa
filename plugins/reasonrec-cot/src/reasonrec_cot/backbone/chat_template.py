"""How a model wants its conversations written: found by trying its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from reasonrec_cot.prompting.dialogue import Role, Segment, SegmentKind

BOUNDARY = "\ue000"
"""Stands where a segment begins while a template is applied; a private character that no item's text can hold."""
PLAIN = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
"""For models without a chat template that fits."""


@dataclass(frozen=True)
class ChatForm:
    """One way to hand messages to a tokenizer's chat template.

    Attributes:
        template: None for the tokenizer's own.
        parts: whether contents are lists of typed parts, as processors of images take them.
        system: whether there is a turn for the system; else its words open the user's first turn.
    """

    template: str | None
    parts: bool
    system: bool

    def write(self, tokenizer: Any, segments: Sequence[Segment], answered: bool) -> list[str]:
        """The text before the first segment, then that of each segment with what the template puts after it."""
        turns: list[tuple[str, str]] = []
        for segment in segments:
            role = Role.USER if segment.role is Role.SYSTEM and not self.system else segment.role
            said = BOUNDARY + segment.text
            if not turns or turns[-1][0] != role:
                turns.append((str(role), said))
            else:
                turns[-1] = (str(role), turns[-1][1] + said)
        messages = [{"role": role, "content": self._content(said)} for role, said in turns]
        written: str = tokenizer.apply_chat_template(
            messages, chat_template=self.template, tokenize=False, add_generation_prompt=not answered
        )
        return written.split(BOUNDARY)

    def _content(self, said: str) -> Any:
        return [{"type": "text", "text": said}] if self.parts else said


def chat_form(tokenizer: Any) -> ChatForm:
    """The first form under which the tokenizer's template repeats all that is said; `PLAIN` if none does."""
    said = [
        Segment(role, SegmentKind.PROMPT, text)
        for role, text in zip(Role, ("be brief", "hello", "good day"), strict=True)
    ]
    if tokenizer.chat_template:
        for system, parts in ((True, False), (True, True), (False, False), (False, True)):
            form = ChatForm(None, parts, system)
            if _repeats(form, tokenizer, said[:2], False) and _repeats(form, tokenizer, said, True):
                return form
    return ChatForm(PLAIN, False, True)


def _repeats(form: ChatForm, tokenizer: Any, segments: Sequence[Segment], answered: bool) -> bool:
    try:
        pieces = form.write(tokenizer, segments, answered)
    except (TemplateError, TypeError, ValueError, KeyError, IndexError):
        return False
    pairs = zip(segments, pieces[1:], strict=False)
    return len(pieces) == len(segments) + 1 and all(piece.startswith(said.text) for said, piece in pairs)

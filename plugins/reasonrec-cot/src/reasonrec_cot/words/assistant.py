"""The assistant's turn as segments of a dialogue."""

from __future__ import annotations

from reasonrec_cot.words.dialogue import Dialogue, Role, Segment, SegmentKind
from reasonrec_cot.words.grammar import PARTS, closing, opening, render, written
from reasonrec_cot.words.thought import Thought

KINDS = dict(
    zip(PARTS, (SegmentKind.THOUGHT, SegmentKind.THOUGHT, SegmentKind.ANSWER, SegmentKind.CONFIDENCE), strict=True)
)


def answered(dialogue: Dialogue, answer: str, confidence: float, thought: Thought | None = None) -> Dialogue:
    """The prompt with an answer in the grammar, a segment per part; without ``thought`` no reasoning is written.

    Raises:
        ValueError: a part is empty or holds a tag, or the confidence is not in [0, 1].
    """
    observe, deliberate = (thought.observe, thought.deliberate) if thought else (None, None)
    render(answer, confidence, observe=observe, deliberate=deliberate)  # checks the parts
    parts = dict(zip(PARTS, (observe, deliberate, answer, written(confidence)), strict=True))
    said = [
        Segment(Role.ASSISTANT, KINDS[part], f"{opening(part)}{text}{closing(part)}")
        for part, text in parts.items()
        if text is not None
    ]
    return dialogue.prompt.followed_by(*said)

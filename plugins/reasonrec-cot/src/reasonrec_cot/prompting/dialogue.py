"""A request and its answer as a dialogue: segments that know who speaks and which part of the loss they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

from reasonrec_core.types import Task
from reasonrec_cot.prompting.output_grammar import PARTS, closing, format_confidence, opening, render


class Role(StrEnum):
    """Who speaks; the names that chat templates use."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class SegmentKind(StrEnum):
    """What a segment is, and with it which part of the loss its tokens belong to."""

    PROMPT = "prompt"
    """Given text: no loss."""
    ITEM = "item"
    """A place for an item's soft tokens: no text, no loss."""
    THOUGHT = "thought"
    """``<observe>`` and ``<deliberate>`` with their tags."""
    ANSWER = "answer"
    """``<answer>`` with its tags."""
    CONFIDENCE = "confidence"
    """``<confidence>`` with its tags."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a dialogue.

    Attributes:
        text: "" for `SegmentKind.ITEM`.
        item: dense index of the item whose soft tokens stand here, -1 elsewhere.
    """

    role: Role
    kind: SegmentKind
    text: str = ""
    item: int = -1


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One request as a conversation; the assistant's last turn, if there is one, is what is learned.

    Attributes:
        task: what is asked.
        segments: in reading order.
        template: name of the template that the words come from.
        candidates: dense indices of the listed candidates in their order (label A is the first), () where none are.
        target: dense index of the right item, -1 where there is none or it is not known.
    """

    task: Task
    segments: tuple[Segment, ...]
    template: str = ""
    candidates: tuple[int, ...] = ()
    target: int = -1

    @property
    def prompt(self) -> Dialogue:
        """The dialogue up to the assistant's last turn: what is given when an answer is wanted."""
        end = len(self.segments)
        while end and self.segments[end - 1].role is Role.ASSISTANT:
            end -= 1
        return replace(self, segments=self.segments[:end])

    @property
    def completion(self) -> tuple[Segment, ...]:
        """The assistant's last turn, () for a prompt."""
        return self.segments[len(self.prompt.segments) :]

    @property
    def items(self) -> tuple[int, ...]:
        """Dense indices of the items with a place for soft tokens, in reading order."""
        return tuple(segment.item for segment in self.segments if segment.kind is SegmentKind.ITEM)

    def turns(self) -> Iterator[tuple[Role, tuple[Segment, ...]]]:
        """Consecutive segments of one speaker."""
        for role, segments in groupby(self.segments, key=lambda segment: segment.role):
            yield role, tuple(segments)

    def text(self, slot: str = "") -> str:
        """All turns as plain text, ``role: text``, with ``slot`` where soft tokens stand; for reading."""
        turns = (
            (role, "".join(slot if s.kind is SegmentKind.ITEM else s.text for s in said)) for role, said in self.turns()
        )
        return "\n\n".join(f"{role}: {said}" for role, said in turns)

    def followed_by(self, *segments: Segment) -> Dialogue:
        """The dialogue with more segments at its end."""
        return replace(self, segments=(*self.segments, *segments))


@dataclass(frozen=True, slots=True)
class Thought:
    """Reasoning in words.

    Attributes:
        observe: facts that were seen.
        deliberate: preference, match, how much evidence there is.
        evidence: history positions (0 = oldest) that it rests on.
    """

    observe: str
    deliberate: str
    evidence: tuple[int, ...] = ()


SEGMENT_KINDS = dict(
    zip(PARTS, (SegmentKind.THOUGHT, SegmentKind.THOUGHT, SegmentKind.ANSWER, SegmentKind.CONFIDENCE), strict=True)
)


def add_answer(dialogue: Dialogue, answer: str, confidence: float, thought: Thought | None = None) -> Dialogue:
    """The prompt with an answer in the grammar, a segment per part; without ``thought`` no reasoning is written.

    Raises:
        ValueError: a part is empty or holds a tag, or the confidence is not in [0, 1].
    """
    observe, deliberate = (thought.observe, thought.deliberate) if thought else (None, None)
    render(answer, confidence, observe=observe, deliberate=deliberate)  # checks the parts
    parts = dict(zip(PARTS, (observe, deliberate, answer, format_confidence(confidence)), strict=True))
    said = [
        Segment(Role.ASSISTANT, SEGMENT_KINDS[part], f"{opening(part)}{text}{closing(part)}")
        for part, text in parts.items()
        if text is not None
    ]
    return dialogue.prompt.followed_by(*said)

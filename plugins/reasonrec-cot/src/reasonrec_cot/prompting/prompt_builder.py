"""From a request to the dialogue that asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from reasonrec_core.components import Settings
from reasonrec_core.types import QueryBatch, Task
from reasonrec_cot.prompting.dialogue import Dialogue, Role, Segment, SegmentKind
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.similar_choices import DescribeSimilar, SimilarChoices, count_choices
from reasonrec_cot.prompting.templates import TaskWords, Template

if TYPE_CHECKING:
    from reasonrec_explain.evidence import ExplanationEvidence

NOTHING = "nothing so far"


def labels(count: int) -> tuple[str, ...]:
    """Labels of a list: A, B, ... for up to 26 candidates, else 1, 2, ..."""
    return tuple(ascii_uppercase[:count]) if count <= len(ascii_uppercase) else tuple(map(str, range(1, count + 1)))


class PromptSettings(Settings):
    """What a prompt contains."""

    history: int = Field(default=20, ge=1, le=1000)
    """How many of the newest history items a prompt contains."""
    soft_tokens: bool = True
    """Whether listed items have a place for soft tokens."""
    history_text: Literal["line", "title", "none"] = "line"
    """What stands beside the soft tokens of a history item: title and fields, the title, or nothing; an item without
    soft tokens has its title even then."""


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """One query as a prompt sees it.

    Attributes:
        task: what is asked.
        history: dense item indices, oldest first.
        candidates: what is listed; under `Task.CTR` and `Task.EXPLAIN` the one item that is asked about.
        knowledge: sentences of harmless text that stand before the question (see `knowledge`).
        hint: a harmless word that an explanation is to be about.
        stars: the person's rating of the item, for an explanation.
        target: the right item, -1 where it is not known; it never enters the prompt.
        similar: what similar users did, under `Task.CTR`; it stands before the question.
    """

    task: Task
    history: Sequence[int]
    candidates: Sequence[int] = ()
    knowledge: Sequence[str] = ()
    hint: str | None = None
    stars: float | None = None
    target: int = -1
    similar: SimilarChoices | None = None


def click_requests(batch: QueryBatch, describe: DescribeSimilar | None = None) -> list[PromptRequest]:
    """Ask about each candidate that there is, by rows.

    Args:
        batch: B queries with candidates.
        describe: says what similar users did, where prompts tell of them.
    """
    assert batch.candidates is not None
    rows, columns = np.nonzero(batch.candidates >= 0)
    similar: Sequence[SimilarChoices | None] = [None] * len(rows) if describe is None else describe(batch)
    items = batch.candidates[rows, columns].tolist()
    return [
        PromptRequest(Task.CTR, batch.history.row(row).tolist(), (item,), similar=known)
        for row, item, known in zip(rows.tolist(), items, similar, strict=True)
    ]


def explanation_request(
    evidence: ExplanationEvidence, *, hint: str | None = None, stars: float | None = None
) -> PromptRequest:
    """Ask why the item of ``evidence`` suits its user.

    Args:
        evidence: told in the prompt.
        hint: an aspect that the sentence is to be about; taken from the answer where it is one to learn from.
        stars: the user's rating of the item, where the protocol gives it.
    """
    known = tuple(evidence.describe())
    return PromptRequest(Task.EXPLAIN, evidence.history, (evidence.item,), known, hint, stars, evidence.item)


class PromptBuilder:
    """Asks requests in words.

    Args:
        items: words of the items.
        words: templates of all tasks, see `load_templates`.
        settings: what stands in a prompt.
        has_soft: whether an item has soft tokens.
    """

    def __init__(
        self,
        items: ItemWords,
        words: Mapping[Task, TaskWords],
        settings: PromptSettings | None = None,
        has_soft: Callable[[int], bool] = lambda item: True,
    ) -> None:
        self.items, self.words, self.settings = items, words, settings or PromptSettings()
        self._has_soft = has_soft

    def templates(self, request: PromptRequest) -> list[Template]:
        """The templates that fit: a ranking without a list is asked as a sequential one, with a list as a direct one;
        one with a slot for what is not known (a hint, stars) is left out."""
        unknown = {slot for slot, value in (("hint", request.hint), ("stars", request.stars)) if value is None}
        templates = self.words[self._form(request)].templates
        return [each for each in templates if not unknown & {slot for _, slot in each.pieces()}]

    def ask(self, request: PromptRequest, template: Template | None = None) -> Dialogue:
        """The dialogue up to the answer, in the words of ``template`` (by default the first that fits).

        The system's turn and, for one template, the text up to the history are equal for all requests of a task, so
        that a language model reads them once.
        """
        chosen = template or self.templates(request)[0]
        said = [Segment(Role.USER, SegmentKind.PROMPT, f"{sentence}\n") for sentence in request.knowledge]
        said += self._similar(request.similar)
        for text, slot in chosen.pieces():
            if text:
                said.append(Segment(Role.USER, SegmentKind.PROMPT, text))
            if slot is not None:
                said += self._slot(slot, request)
        system = Segment(Role.SYSTEM, SegmentKind.PROMPT, self.words[self._form(request)].system)
        listed = tuple(map(int, request.candidates))
        return Dialogue(request.task, (system, *merge_segments(said)), chosen.name, listed, request.target)

    def choose(self, request: PromptRequest, generator: np.random.Generator) -> Template:
        """A template that fits, drawn with ``generator``."""
        fitting = self.templates(request)
        return fitting[int(generator.integers(len(fitting)))]

    def _form(self, request: PromptRequest) -> Task:
        if request.task in {Task.SEQUENTIAL, Task.DIRECT}:
            return Task.DIRECT if len(request.candidates) else Task.SEQUENTIAL
        return request.task

    def _slot(self, slot: str, request: PromptRequest) -> list[Segment]:
        if slot == "history":
            return self._history(request.history)
        if slot == "candidates":
            return self.listed(request.candidates)
        if slot == "item":
            return self.item(int(request.candidates[0]))
        values = {
            "count": str(min(len(request.history), self.settings.history)),
            "listed": str(len(request.candidates)),
            "hint": str(request.hint),
            "stars": f"{request.stars:g}" if request.stars is not None else "",
        }
        return [Segment(Role.USER, SegmentKind.PROMPT, values[slot])]

    def _similar(self, choices: SimilarChoices | None) -> list[Segment]:
        """What similar users did, its items written as those of a history; nothing where there are no such users."""
        counted = "" if choices is None else count_choices(choices)
        if choices is None or not counted:
            return []
        if not choices.items:
            return [Segment(Role.USER, SegmentKind.PROMPT, f"{counted}\n")]
        lead = Segment(Role.USER, SegmentKind.PROMPT, f"{counted} They recently liked ")
        return [lead, *self._list_past(choices.items), Segment(Role.USER, SegmentKind.PROMPT, ".\n")]

    def _history(self, history: Sequence[int]) -> list[Segment]:
        shown = list(history)[-self.settings.history :]
        return self._list_past(shown) if shown else [Segment(Role.USER, SegmentKind.PROMPT, NOTHING)]

    def _list_past(self, shown: Sequence[int]) -> list[Segment]:
        segments: list[Segment] = []
        for item in map(int, shown):
            piece = self._describe_past(item)
            if segments and not (len(piece) == 1 and segments[-1].kind is SegmentKind.ITEM):
                segments.append(Segment(Role.USER, SegmentKind.PROMPT, ", "))
            segments += piece
        return segments

    def _describe_past(self, item: int) -> list[Segment]:
        """An item of the history; soft tokens alone need nothing between them."""
        place, line = self.items.segments(item)
        soft = self.settings.soft_tokens and self._has_soft(item)
        if self.settings.history_text == "none" and soft:
            return [place]
        if self.settings.history_text != "line":
            line = Segment(Role.USER, SegmentKind.PROMPT, self.items.quoted(item))
        return [place, line] if self.settings.soft_tokens else [line]

    def listed(self, candidates: Sequence[int]) -> list[Segment]:
        """The candidates, a line each: ``A: "Title; ..."``."""
        segments: list[Segment] = []
        for label, item in zip(labels(len(candidates)), candidates, strict=True):
            segments.append(
                Segment(Role.USER, SegmentKind.PROMPT, f"{label}: " if label in {"A", "1"} else f"\n{label}: ")
            )
            segments += self.item(int(item))
        return segments

    def item(self, item: int) -> list[Segment]:
        """An item's line, after a place for its soft tokens where those are used."""
        segments = list(self.items.segments(item))
        return segments if self.settings.soft_tokens else segments[1:]


def merge_segments(segments: Sequence[Segment]) -> list[Segment]:
    """Neighbouring texts of one role and kind as one segment."""
    merged: list[Segment] = []
    for segment in segments:
        last = merged[-1] if merged else None
        plain = last is not None and last.kind is segment.kind is not SegmentKind.ITEM and last.role is segment.role
        if last is not None and plain:
            merged[-1] = Segment(last.role, last.kind, last.text + segment.text)
        else:
            merged.append(segment)
    return merged

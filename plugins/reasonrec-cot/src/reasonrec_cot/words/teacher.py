"""Rationales from a teacher model, kept only where they help: they must lower the loss of the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from reasonrec_core.types import Bool, Float32
from reasonrec_cot.words.assistant import answered
from reasonrec_cot.words.dialogue import Dialogue
from reasonrec_cot.words.grammar import parse
from reasonrec_cot.words.telling import Telltale
from reasonrec_cot.words.thought import Thought


class Teacher(Protocol):
    """A larger model that is told the target and explains backwards (Taiji's reverse reasoning)."""

    def explain(self, dialogues: Sequence[Dialogue]) -> Sequence[str]:
        """An answer in the grammar for each dialogue (its `Dialogue.target` is known); anything else is refused."""


class AnswerLoss(Protocol):
    """The model that is to be tuned, asked how it finds an answer."""

    def __call__(self, dialogues: Sequence[Dialogue]) -> Float32:
        """float32[B]: mean negative log-likelihood of the answer's tokens, given all that stands before them."""


def taught(texts: Sequence[str], titles: Sequence[str]) -> list[Thought | None]:
    """What teachers wrote as thoughts; None where it is malformed or names the target.

    Args:
        texts: answers in the grammar.
        titles: the title of each target.
    """
    thoughts: list[Thought | None] = []
    for text, title in zip(texts, titles, strict=True):
        read = parse(text, ("observe", "deliberate"))
        told = f"{read.observe} {read.deliberate}"
        good = read.observe and read.deliberate and not Telltale([title]).tells(told)
        thoughts.append(Thought(str(read.observe), str(read.deliberate)) if good else None)
    return thoughts


def helpful(
    dialogues: Sequence[Dialogue],
    answers: Sequence[str],
    thoughts: Sequence[Thought | None],
    loss: AnswerLoss,
    *,
    keep: Literal["lower", "median"] = "lower",
    margin: float = 0.0,
) -> Bool:
    """bool[B]: which thoughts are worth learning.

    Args:
        dialogues: prompts.
        answers: the right answer to each.
        thoughts: None is never kept.
        loss: of the model that is to be tuned.
        keep: ``"lower"``: the answer's loss after the thought is lower by more than ``margin`` than without one
            (Reason4Rec's filter). ``"median"``: it is at most the median over all thoughts (Taiji's).
        margin: nats per token.
    """
    rows = [row for row, thought in enumerate(thoughts) if thought is not None]
    kept = np.zeros(len(thoughts), np.bool_)
    if not rows:
        return kept
    with_thought = loss([answered(dialogues[r], answers[r], 0.0, thoughts[r]) for r in rows])
    if keep == "median":
        kept[rows] = with_thought <= np.median(with_thought)
        return kept
    without = loss([answered(dialogues[r], answers[r], 0.0) for r in rows])
    kept[rows] = with_thought < without - margin
    return kept

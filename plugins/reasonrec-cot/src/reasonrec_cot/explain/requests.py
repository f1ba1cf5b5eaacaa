"""Explanations as dialogues: the evidence stands in the prompt, the user's own sentence is the answer to learn."""

from __future__ import annotations

from reasonrec_core.types import Task
from reasonrec_cot.explain.evidence import Evidence
from reasonrec_cot.words.compose import Request
from reasonrec_cot.words.fence import Fence

ANSWER_CHARACTERS = 240


def request(evidence: Evidence, *, hint: str | None = None, stars: float | None = None) -> Request:
    """Ask why the item of ``evidence`` suits its user.

    Args:
        evidence: told in the prompt.
        hint: an aspect that the sentence is to be about; taken from the answer where it is one to learn from.
        stars: the user's rating of the item, where the protocol gives it.
    """
    known = tuple(evidence.told())
    return Request(Task.EXPLAIN, evidence.history, (evidence.item,), known, hint, stars, evidence.item)


def answer(reference: str, fence: Fence) -> str:
    """A sentence of a review as an answer to learn from: reviews are untrusted, too; "" where nothing is left."""
    return fence.harmless(reference, ANSWER_CHARACTERS)

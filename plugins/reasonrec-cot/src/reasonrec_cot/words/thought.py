"""What is thought before an answer, in the two parts of the grammar."""

from __future__ import annotations

from dataclasses import dataclass


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

"""The second turn: what delegates say stands in the prompt, and the model decides again among the same candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reasonrec_explain.sanitise import Sanitiser

from reasonrec_cot.prompting.dialogue import Dialogue, Role, Segment, SegmentKind
from reasonrec_cot.prompting.prompt_builder import labels

HEAD = "Other recommenders ranked the same candidates, best first:"
ASK = "Weigh them{by}, and answer again in the same form, with one label."
NAME_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class DelegateTable:
    """One delegate's answer to one request.

    Attributes:
        name: the delegate's.
        items: dense item indices, best first; those that are no candidates are left out of the prompt.
        accuracy: how often its first choice was right on validation, None where it is not known.
        confidence: how sure it is now, None where it does not say.
    """

    name: str
    items: Sequence[int]
    accuracy: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Consultation:
    """The second turn.

    Attributes:
        dialogue: the prompt of the second turn; its candidates are those of the first.
        outside: how many of the delegates' items were no candidates.
    """

    dialogue: Dialogue
    outside: int


def build_second_turn(
    first: Dialogue, tables: Sequence[DelegateTable], *, shown: int = 5, sanitiser: Sanitiser | None = None
) -> Consultation:
    """Ask again, with the delegates' rankings facts by the labels under which the candidates are listed.

    The first turn is kept as context without being learned from. No text of an item is repeated, so that a table
    cannot bring in anything that the list has not.

    Args:
        first: a dialogue with listed candidates, answered or not.
        tables: one per delegate.
        shown: most candidates facts per delegate.
        sanitiser: makes the delegates' names harmless.

    Raises:
        ValueError: the first turn listed no candidates.
    """
    if not first.candidates:
        raise ValueError("a consultation needs listed candidates")
    sanitiser = sanitiser or Sanitiser()
    places = dict(zip(first.candidates, labels(len(first.candidates)), strict=True))
    lines, outside = [HEAD], 0
    for table in tables:
        known = [places[item] for item in dict.fromkeys(table.items) if item in places]
        outside += sum(item >= 0 and item not in places for item in table.items)
        name = sanitiser.clean(table.name, NAME_CHARACTERS)
        lines.append(f"{name}{_describe_table(table)}: {', '.join(known[:shown]) or 'none'}")
    said = tuple(
        replace(segment, kind=SegmentKind.PROMPT) if segment.role is Role.ASSISTANT else segment
        for segment in first.segments
    )
    by = " by how often they were right" if any(table.accuracy is not None for table in tables) else ""
    turn = Segment(Role.USER, SegmentKind.PROMPT, "\n".join([*lines, ASK.format(by=by)]))
    if said[-1].role is Role.USER:  # not answered before: one turn of the user
        turn = replace(turn, text=f"\n{turn.text}")
    return Consultation(replace(first, segments=(*said, turn)), outside)


def _describe_table(table: DelegateTable) -> str:
    facts = []
    if table.accuracy is not None:
        facts.append(f"right in {table.accuracy:.2f} of past cases")
    if table.confidence is not None:
        facts.append(f"sure {table.confidence:.2f}")
    return f" ({', '.join(facts)})" if facts else ""

"""What led to an answer, as steps: what was read, thought, proposed, weighed and decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reasonrec_explain.evidence import ExplanationEvidence
from reasonrec_explain.mbr import ChosenSentence

from reasonrec_core.types import Int32, Step, StepKind, format_percent
from reasonrec_cot.answers.score_fusion import FusionSet
from reasonrec_cot.prompting.item_words import ItemWords

HOW = {
    "label": "the probability of each listed item's label as the answer",
    "title": "the probability of each title as the answer",
    "written": "the most probable titles",
    "head": "the tuned head's score of each item",
}
NAMED = 5
"""Items named in a claim."""


def observe_history(items: ItemWords, history: Int32, shown: int, thought: Mapping[str, str]) -> Step:
    """What of the history the model read; in its own words where it wrote some."""
    first = max(0, len(history) - shown)
    places = tuple(range(first, len(history)))
    claim = thought.get("observe")
    if not claim:
        newest = ", ".join(items.title(int(item)) for item in history[:-4:-1])
        claim = (
            f"The newest {len(places)} of {len(history)} items are read: {newest}" if places else "No history to read"
        )
    return Step(StepKind.OBSERVE, claim, places)


def add_deliberation(thought: Mapping[str, str]) -> list[Step]:
    """The deliberation, where there is one."""
    return [Step(StepKind.INFER, thought["deliberate"])] if thought.get("deliberate") else []


def list_proposed(items: ItemWords, listed: Sequence[int], source: str) -> Step:
    """What the model was asked about."""
    named = ", ".join(items.title(item) for item in listed[:NAMED])
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return Step(StepKind.PROPOSE, f"{source}: {named}{more}" if listed else f"{source}: nothing to propose")


def name_comparison(answer: str, decision: FusionSet | None, generator: str, *, whole: bool, listed: bool) -> str:
    """What items are compared by, in words.

    Args:
        answer: how items are ranked.
        decision: how the head's scores are weighed, where they are.
        generator: name of the delegate that proposes candidates.
        whole: whether the whole catalogue is ranked.
        listed: whether candidates came with the query.
    """
    if answer == "head" and whole:
        return "the tuned head's score of every item in the catalogue"
    return HOW[answer] if answer != "head" or decision is None else decision.describe(generator, listed=listed)


def compare_items(items: ItemWords, best: Sequence[tuple[int, float]], how: str) -> Step:
    """How likely the model finds the best of them."""
    ranked = tuple((items.title(item), min(max(mass, 0.0), 1.0)) for item, mass in best[:NAMED])
    return Step(StepKind.WEIGH, f"Compared {how}", alternatives=ranked)


def state_decision(claim: str, probability: float, confidence: float | None, asked: bool) -> Step:
    """The answer, its probability, and the confidence that the model states."""
    stated = (
        f"; states a confidence of {format_percent(confidence)}"
        if confidence is not None
        else "; states no confidence"
        if asked
        else ""
    )
    return Step(
        StepKind.DECIDE, f"{claim} ({format_percent(probability, 1)}{stated})", weight=min(max(probability, 0.0), 1.0)
    )


def cite_reviews(items: ItemWords, known: ExplanationEvidence) -> list[Step]:
    """What reviews say of the item and of the user."""
    count = f"{known.reviews} reviews of it, which mention no aspect" if known.reviews else "no review of it"
    claims = known.describe() or [f"Of {items.title(known.item)}: {count}"]
    return [Step(StepKind.OBSERVE, claim) for claim in claims]


def cite_sentence(items: ItemWords, said: ChosenSentence, item: int) -> list[Step]:
    """How a reviewer's sentence was chosen."""
    if said.source < 0:
        return [
            Step(
                StepKind.WEIGH,
                f"None of the {said.compared} review sentences could be used, so the evidence is listed instead",
            )
        ]
    source = "a review of it" if said.source == item else f"a review of {items.title(said.source)}, an item like it"
    claim = (
        f"Chosen from {said.compared} sentences, because most others agree with it and the evidence "
        f"supports it; from {source}"
    )
    passed = f" ({said.refused} better ones could not be used)" if said.refused else ""
    return [Step(StepKind.WEIGH, claim + passed)]


def name_explained(items: ItemWords, item: int) -> Step:
    """The answer to a request for an explanation."""
    return Step(StepKind.DECIDE, f"Explain {items.title(item)}" if item >= 0 else "Nothing to explain")

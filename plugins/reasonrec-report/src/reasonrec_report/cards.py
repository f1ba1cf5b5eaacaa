"""Decision cards: what was asked, what was answered, and the chain of steps that led there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reasonrec_core.types import shorten_steps
from reasonrec_report.card_schema import Card, CardItem, CardStep, Explanation, OtherAnswer
from reasonrec_report.number_format import format_percent
from reasonrec_report.thumbnails import Picture, Pictures

FIRST = 10
"""Ranked items that a card shows before "more"."""
RECENT = 10
"""Newest history items that a card shows; older ones only where the answer rests on them."""
ALTERNATIVES, EVIDENCE = 3, 3
"""What a step shows of its alternatives and its evidence."""
FILLER = 0.01
"""Weight below which an alternative is not worth naming."""
INSTEAD = {"observe": "less because of", "infer": "less likely:", "decide": "followed by"}
"""What leads over to the alternatives of a step, by its kind."""


@dataclass(frozen=True)
class ItemView:
    """An item: title, thumbnail as a data URI, and what is special about it."""

    title: str
    picture: Picture | None
    initial: str
    score: str = ""
    is_target: bool = False
    is_evidence: bool = False


@dataclass(frozen=True)
class StepView:
    """A step in words: what it decided, from what, how much it counts, what else was possible."""

    kind: str
    claim: str
    evidence: tuple[str, ...]
    more_evidence: int
    weight: str
    share: float
    alternatives: tuple[tuple[str, str], ...]
    instead: str


@dataclass(frozen=True)
class OtherView:
    """What a system that did not answer would have said."""

    system: str
    items: tuple[str, ...]
    verdict: str
    is_hit: bool


@dataclass(frozen=True)
class CardView:
    """A decision, ready to be shown."""

    anchor: str
    title: str
    is_hit: bool
    outcome: str
    route: str
    delegated: bool
    reason: str
    confidence: float | None
    confidence_text: str
    risk: float | None
    risk_text: str
    history: tuple[ItemView, ...]
    older: int
    target: tuple[ItemView, ...]
    ranking: tuple[ItemView, ...]
    more: tuple[ItemView, ...]
    because: tuple[tuple[str, str], ...]
    is_groundless: bool
    steps: tuple[StepView, ...]
    brief: tuple[StepView, ...]
    others: tuple[OtherView, ...]
    has_pictures: bool


def make_card_view(card: Card, pictures: Pictures) -> CardView:
    """Make a card ready to be shown."""
    targets = {item.id for item in card.target}
    cited = {place - card.history_start for place in _grounds(card)}
    recent = max(len(card.history) - RECENT, 0)
    shown = [i for i in range(len(card.history)) if i >= recent or i in cited]
    history = tuple(make_item_view(card.history[i], pictures, is_evidence=i in cited) for i in shown)
    ranking = tuple(make_item_view(item, pictures, is_target=item.id in targets) for item in card.ranking)
    rank = next((i for i, item in enumerate(card.ranking, 1) if item.id in targets), None)
    target = tuple(make_item_view(item, pictures) for item in card.target)
    everything = (*history, *ranking, *target)
    return CardView(
        anchor=f"query-{card.query}",
        title=f"User {card.user}" if card.user is not None else f"Query {card.query}",
        is_hit=card.outcome == "hit",
        outcome=_outcome(card, rank),
        route=_route(card),
        delegated=card.route != "self",
        reason=card.reason,
        confidence=_share(card.confidence),
        confidence_text="" if card.confidence is None else format_percent(card.confidence),
        risk=_share(card.risk),
        risk_text="" if card.risk is None else format_percent(card.risk),
        history=history,
        older=card.history_start + len(card.history) - len(shown),
        target=target,
        ranking=ranking[:FIRST],
        more=ranking[FIRST:],
        because=_because(card),
        is_groundless=card.route == "replace" and not card.because,
        steps=tuple(make_step_view(step, card) for step in card.steps),
        brief=tuple(make_step_view(step, card) for step in shorten_steps(card.steps)),
        others=tuple(_other(other) for other in card.others),
        has_pictures=any(item.picture for item in everything),
    )


def make_item_view(
    item: CardItem, pictures: Pictures, *, is_target: bool = False, is_evidence: bool = False
) -> ItemView:
    """An item ready to be shown."""
    title = item.title.strip() or item.id
    score = "" if item.score is None else f"{item.score:.3g}"
    initial = next((c.upper() for c in title if c.isalnum()), "?")
    return ItemView(title, pictures(item.image), initial, score, is_target, is_evidence)


def _other(other: OtherAnswer) -> OtherView:
    name = f"{other.system} (policy)" if other.role == "policy" else other.system
    name = "the policy, after consulting delegates" if other.role == "consult" else name
    verdict = f"the next choice is at rank {other.rank}" if other.rank else f"not among the first {other.of}"
    return OtherView(name, tuple(item.title.strip() or item.id for item in other.items), verdict, bool(other.rank))


def _share(value: float | None) -> float | None:
    """A probability as the percentage that a bar shows."""
    return None if value is None else round(100 * min(max(value, 0.0), 1.0), 1)


def _outcome(card: Card, rank: int | None) -> str:
    if card.outcome == "hit":
        return f"Hit at rank {rank}" if rank else "Hit"
    return f"Not among the first {len(card.ranking)}" if card.ranking and rank is None else "Missed"


def _route(card: Card) -> str:
    delegate = card.delegate or "a delegate"
    words = {
        "self": "Answered by the policy",
        "replace": f"Handed to {delegate}",
        "consult": "Answered by the policy, after consulting delegates",
        "abstain": "No answer given",
    }
    return words.get(card.route, card.route)


def make_step_view(step: CardStep, card: Card | Explanation) -> StepView:
    """A step ready to be shown; ``card`` has the history that its evidence points at."""
    share = min(max(step.weight, 0.0), 1.0)
    others = [(name, w) for name, w in step.alternatives[:ALTERNATIVES] if w >= FILLER]
    known = [_evidence(e, card) for e in step.evidence if not _older(e, card)]
    shown = [] if _names_all(step.claim, known[:EVIDENCE]) else list(dict.fromkeys(known))[:EVIDENCE]
    return StepView(
        kind=step.kind,
        claim=step.claim,
        evidence=tuple(shown),
        more_evidence=len(step.evidence) - len(shown) if shown or not known else 0,
        weight=format_percent(share),
        share=round(100 * share, 1),
        alternatives=() if step.kind == "weigh" else tuple((n, format_percent(w)) for n, w in others),
        instead=INSTEAD.get(step.kind, "then"),
    )


def _because(card: Card) -> tuple[tuple[str, str], ...]:
    """What a delegate's first item was recommended for: titles of the history shown, with their shares."""
    shown = [cause for cause in card.because if not _older(cause.entry, card)]
    return tuple((_evidence(cause.entry, card), format_percent(cause.share)) for cause in shown)


def _names_all(claim: str, titles: list[str]) -> bool:
    """Whether a claim says already what it rests on."""
    return bool(titles) and all(title in claim for title in titles)


def _grounds(card: Card) -> set[int]:
    """The history positions that the answer rests on: its causes, or those of the last step that cites any."""
    if card.because:
        return {cause.entry for cause in card.because}
    cited = ({e for e in step.evidence if isinstance(e, int)} for step in reversed(card.steps))
    return next((places for places in cited if places), set())


def _older(evidence: int | str, card: Card | Explanation) -> bool:
    """Whether the card does not have the title: it is counted, not named."""
    return isinstance(evidence, int) and not 0 <= evidence - card.history_start < len(card.history)


def _evidence(evidence: int | str, card: Card | Explanation) -> str:
    """A history position as the title that stands there, a field as its name."""
    if isinstance(evidence, str):
        return evidence.replace("_", " ")
    item = card.history[evidence - card.history_start]
    return item.title or item.id


def count_shown(shown: int, every: int | None, what: str) -> str:
    """How many of how many are shown: a few cards of each say nothing about how often there are such."""
    return f"{shown} of {every:,} {what}" if every is not None else f"{shown} {what}"


def group_by_outcome(cards: Sequence[Card]) -> tuple[tuple[Card, ...], tuple[Card, ...]]:
    """The successes and the failures, each in the order given."""
    return tuple(c for c in cards if c.outcome == "hit"), tuple(c for c in cards if c.outcome == "miss")

"""Explanations, looked at one by one: what was said of an item, what it rests on, what the check of it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reasonrec_core.types import shorten_steps
from reasonrec_report.card_schema import Explanation
from reasonrec_report.cards import ItemView, StepView, make_item_view, make_step_view
from reasonrec_report.thumbnails import Pictures

GROUPS = (
    ("best", "Closest to what the user then wrote"),
    ("drawn", "Chosen at random"),
    ("worst", "Furthest from what the user then wrote"),
)


@dataclass(frozen=True)
class ClaimView:
    """A claim: its kind, its words, whether the evidence holds it."""

    kind: str
    text: str
    is_verified: bool


@dataclass(frozen=True)
class OtherTextView:
    """What another system said of the same item."""

    system: str
    text: str
    value: str


@dataclass(frozen=True)
class ExplanationView:
    """An explanation, ready to be shown; ``claims`` None where nothing was checked."""

    anchor: str
    title: str
    item: ItemView
    text: str
    value: str
    reference: str | None
    claims: tuple[ClaimView, ...] | None
    is_true: bool
    verdict: str
    steps: tuple[StepView, ...]
    brief: tuple[StepView, ...]
    others: tuple[OtherTextView, ...]


@dataclass(frozen=True)
class ExplanationGroup:
    """Explanations that are shown for the same reason."""

    title: str
    members: tuple[ExplanationView, ...]


def group_explanations(explanations: Sequence[Explanation], pictures: Pictures) -> tuple[ExplanationGroup, ...]:
    """The explanations by why they are shown; reasons without any are left out."""
    named = ((title, tuple(each for each in explanations if each.shown == shown)) for shown, title in GROUPS)
    filled = ((title, members) for title, members in named if members)
    return tuple(ExplanationGroup(title, tuple(_view(each, pictures) for each in members)) for title, members in filled)


def _view(explanation: Explanation, pictures: Pictures) -> ExplanationView:
    claims = explanation.claims
    return ExplanationView(
        anchor=f"explanation-{explanation.shown}-{explanation.query}",
        title=f"User {explanation.user}" if explanation.user is not None else f"Query {explanation.query}",
        item=make_item_view(explanation.item, pictures),
        text=explanation.text,
        value=f"{explanation.metric} {explanation.value:.1f}" if explanation.value is not None else "",
        reference=explanation.reference,
        claims=None if claims is None else tuple(ClaimView(c.kind, c.text, c.verified) for c in claims),
        is_true=not claims or all(claim.verified for claim in claims),
        verdict=_verdict(explanation),
        steps=tuple(make_step_view(step, explanation) for step in explanation.steps),
        brief=tuple(make_step_view(step, explanation) for step in shorten_steps(explanation.steps)),
        others=tuple(
            OtherTextView(each.system, each.text, "" if each.value is None else f"{each.value:.1f}")
            for each in explanation.others
        ),
    )


def _verdict(explanation: Explanation) -> str:
    """What the check of the claims found, in a few words."""
    if explanation.claims is None:
        return "Claims were not checked"
    if not explanation.claims:
        return "Makes no claim that could be checked"
    true = sum(claim.verified for claim in explanation.claims)
    if true == len(explanation.claims):
        return "All claims verified" if true > 1 else "The claim is verified"
    return f"{true} of {len(explanation.claims)} claims verified"

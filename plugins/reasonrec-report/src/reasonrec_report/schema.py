"""What a run leaves for the page beside ``metrics.json``: the formats of ``cards.json`` and ``explanations.json``."""

from __future__ import annotations

from typing import Literal

from reasonrec_core.evaluate.routing_schema import Estimate, Record


class CardItem(Record):
    """An item on a decision card; ``image`` is relative to the images folder."""

    id: str
    title: str = ""
    image: str | None = None
    score: float | None = None


class CardStep(Record):
    """A reasoning step; integers in ``evidence`` are positions in the history (0 = oldest)."""

    kind: str
    claim: str
    evidence: tuple[int | str, ...] = ()
    weight: float = 1.0
    alternatives: tuple[tuple[str, float], ...] = ()
    edited: bool = False


class Other(Record):
    """What a system that did not answer would have said; ``rank`` of what came next among its first ``of`` items."""

    system: str
    role: str = "delegate"
    items: tuple[CardItem, ...] = ()
    rank: int | None = None
    of: int = 10


class Card(Record):
    """One decision, told. ``history_start``: position in the full history of the first item in ``history``."""

    query: int
    user: str | None = None
    outcome: Literal["hit", "miss"]
    route: str
    reason: str = ""
    delegate: str | None = None
    confidence: float | None = None
    risk: float | None = None
    history: tuple[CardItem, ...] = ()
    history_start: int = 0
    target: tuple[CardItem, ...] = ()
    ranking: tuple[CardItem, ...] = ()
    steps: tuple[CardStep, ...] = ()
    others: tuple[Other, ...] = ()


class CheckedClaim(Record):
    """One thing that an explanation says, and whether the evidence of its request holds it."""

    kind: str
    text: str
    verified: bool


class OtherText(Record):
    """What a system with which explanations are compared said; ``value`` in the metric of `Explanation`."""

    system: str
    text: str = ""
    value: float | None = None


class Explanation(Record):
    """One explanation, told. ``shown``: why this one; ``value``: its ``metric`` against ``reference``, a user's words.

    ``claims`` null: they were not checked. ``history_start`` as in `Card`.
    """

    query: int
    user: str | None = None
    shown: Literal["best", "drawn", "worst"]
    item: CardItem
    text: str = ""
    reference: str | None = None
    metric: str = "ROUGE-L"
    value: float | None = None
    claims: tuple[CheckedClaim, ...] | None = None
    history: tuple[CardItem, ...] = ()
    history_start: int = 0
    steps: tuple[CardStep, ...] = ()
    others: tuple[OtherText, ...] = ()


class PairedEffect(Record):
    """A paired effect: a difference with its 95 % interval and p-values."""

    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_corrected: float | None = None


class EvidenceEffect(PairedEffect):
    """What is lost with a ``share`` of the history removed (comprehensiveness) or kept alone (sufficiency).

    ``of``: the best item's probability (mass), or the first items (list). ``difference``: cited minus random.
    """

    measure: str
    of: str
    share: float
    cited: Estimate
    random: Estimate


class IntentEffect(PairedEffect):
    """The share of the first items that carries a label of ``field``, before and after it is assumed."""

    field: str
    before: Estimate
    after: Estimate


class FaithfulnessResult(Record):
    """Whether the steps cause the answers; ``skipped`` says why that was not measured."""

    skipped: str | None = None
    task: str | None = None
    policy: str | None = None
    n: int = 0
    k: int = 10
    draws: int = 0
    mass: Estimate | None = None
    evidence: tuple[EvidenceEffect, ...] = ()
    edits: tuple[IntentEffect, ...] = ()

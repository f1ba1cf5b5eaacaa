"""What a run leaves for readers beside ``metrics.json``: the formats of ``cards.json`` and ``explanations.json``."""

from __future__ import annotations

from typing import Literal

from reasonrec_core.evaluate.schema import Record


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


class OtherAnswer(Record):
    """What a system that did not answer would have said; ``rank`` of what came next among its first ``of`` items."""

    system: str
    role: str = "delegate"
    items: tuple[CardItem, ...] = ()
    rank: int | None = None
    of: int = 10


class CardCause(Record):
    """A position in the history (0 = oldest), and its share of why the first item was recommended."""

    entry: int
    share: float


class Card(Record):
    """One decision, told. ``history_start``: position in the full history of the first item in ``history``.

    ``because``: of a delegate's answer, the largest share first; the policy's own has ``steps``.
    """

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
    because: tuple[CardCause, ...] = ()
    steps: tuple[CardStep, ...] = ()
    others: tuple[OtherAnswer, ...] = ()


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

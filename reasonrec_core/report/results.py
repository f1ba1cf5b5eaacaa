"""What a run leaves behind for readers: the formats of ``metrics.json``, ``cards.json``, ``explanations.json``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from reasonrec_core.report.format import Estimate, Format
from reasonrec_core.report.routed import Abstention, Bills, Calibration, DelegationCurve, Routing, Spent


class Comparison(Format):
    """A paired comparison: ``difference`` = metric of ``a`` minus metric of ``b``, 95 % interval, p-values."""

    a: str
    b: str
    metric: str
    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_corrected: float | None = None


class Slice(Format):
    """One system on one group of the queries."""

    slice: str
    group: str
    system: str
    metric: str
    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None


class RiskCoverage(Format):
    """Mean loss (``risk``) of the most certain ``coverage`` of all answers; ``loss`` says which, in words."""

    coverage: tuple[float, ...] = ()
    risk: tuple[float, ...] = ()
    aurc: float | None = None
    loss: str | None = None


class Delegation(Format):
    """How much was delegated, and what it saved: time of the routed system over time of the policy alone."""

    share: float | None = None
    latency_ratio: float | None = None
    latency: dict[str, Spent] = Field(default_factory=dict)


class Observed(Format):
    """A feature of the items and how many items have it."""

    name: str
    encoder: str | None = None
    present: int | None = None
    missing: int | None = None
    refused: int | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)


class Roles(Format):
    """Which of the systems is what."""

    routed: str | None = None
    policy: str | None = None
    delegates: tuple[str, ...] = ()


class DatasetFacts(Format):
    """The data that was used."""

    name: str = "dataset"
    hash: str | None = None
    users: int | None = None
    items: int | None = None
    interactions: int | None = None
    images_root: str | None = None


class Effect(Format):
    """A paired effect: a difference with its 95 % interval and p-values."""

    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_corrected: float | None = None


class EvidenceEffect(Effect):
    """What is lost with a ``share`` of the history removed (comprehensiveness) or kept alone (sufficiency).

    ``of``: the best item's probability (mass), or the first items (list). ``difference``: cited minus random.
    """

    measure: str
    of: str
    share: float
    cited: Estimate
    random: Estimate


class IntentEffect(Effect):
    """The share of the first items that carries a label of ``field``, before and after it is assumed."""

    field: str
    before: Estimate
    after: Estimate


class Faithfulness(Format):
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


class Seconds(Format):
    """Wall-clock seconds by part."""

    fit: dict[str, float] = Field(default_factory=dict)
    evaluate: dict[str, float] = Field(default_factory=dict)


class Results(Format):
    """``metrics.json``: the stable format that other programs read, too."""

    dataset: DatasetFacts
    protocol: str = ""
    systems: dict[str, dict[str, Estimate]] = Field(min_length=1)
    delegation: Delegation | None = None
    delegation_curve: DelegationCurve | None = None
    bills: Bills | None = None
    seconds: Seconds | None = None
    comparisons: tuple[Comparison, ...] = ()
    slices: tuple[Slice, ...] = ()
    calibration: Calibration | None = None
    risk_coverage: RiskCoverage | None = None
    routing: Routing | None = None
    abstention: Abstention | None = None
    observe: tuple[Observed, ...] = ()
    roles: Roles | None = None
    faithfulness: Faithfulness | None = None
    left_out: dict[str, int] = Field(default_factory=dict)


class CardItem(Format):
    """An item on a decision card; ``image`` is relative to the images folder."""

    id: str
    title: str = ""
    image: str | None = None
    score: float | None = None


class CardStep(Format):
    """A reasoning step; integers in ``evidence`` are positions in the history (0 = oldest)."""

    kind: str
    claim: str
    evidence: tuple[int | str, ...] = ()
    weight: float = 1.0
    alternatives: tuple[tuple[str, float], ...] = ()
    edited: bool = False


class Other(Format):
    """What a system that did not answer would have said; ``rank`` of what came next among its first ``of`` items."""

    system: str
    role: str = "delegate"
    items: tuple[CardItem, ...] = ()
    rank: int | None = None
    of: int = 10


class Card(Format):
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


class CheckedClaim(Format):
    """One thing that an explanation says, and whether the evidence of its request holds it."""

    kind: str
    text: str
    verified: bool


class OtherText(Format):
    """What a system with which explanations are compared said; ``value`` in the metric of `Explanation`."""

    system: str
    text: str = ""
    value: float | None = None


class Explanation(Format):
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

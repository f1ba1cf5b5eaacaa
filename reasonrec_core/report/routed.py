"""The part of ``metrics.json`` that speaks of routing: rule, confidence, quality against share, costs."""

from __future__ import annotations

from pydantic import Field

from reasonrec_core.report.format import Estimate, Format


class Consulting(Format):
    """What consulting came to on validation queries, cross-fitted: mean NDCG@10 of the policy's own answers and of the

    fused ones, the relative ``gain``, and what was ``chosen``: a form of fusion, or the policy's own answer.
    """

    policy: float
    fused: float | None = None
    queries: int = 0
    gain: Estimate | None = None
    chosen: str = ""


class Validated(Format):
    """What calibration found on validation queries."""

    consult: Consulting | None = None


class Routing(Format):
    """The rule that decides who answers; ``delegate`` names all that requests may go to."""

    kind: str | None = None
    stage: str | None = None
    delegate: str | None = None
    estimators: tuple[str, ...] = ()
    clues: bool = False
    asks: tuple[str, ...] = ()
    threshold: float | None = None
    target: float | str | None = None
    reached: float | str | None = None
    consulted: float = 0.0
    abstained: float = 0.0
    validation: Validated | None = None


class Abstention(Format):
    """What giving no answer comes to: the share that is answered (``coverage``), what was ``wanted``, the metrics of

    the answers that are given, ``risk`` (those without the target among the ten best), and means of what the policy
    would have answered to the others.
    """

    coverage: float
    wanted: dict[str, float | None] = Field(default_factory=dict)
    answered: dict[str, Estimate] = Field(default_factory=dict)
    risk: Estimate | None = None
    held_back: dict[str, float] = Field(default_factory=dict)


class Bin(Format):
    """Answers whose confidence lies in [low, high): mean confidence and how many were right."""

    low: float
    high: float
    n: int
    confidence: float | None = None
    accuracy: float | None = None


class Trust(Format):
    """How well a confidence holds: calibration errors (bins of equal width, of equal mass), what they would be by

    chance alone, squared error, mean confidence, and the share of events.
    """

    cases: int | None = None
    events: float | None = None
    mean: float | None = None
    ece: float | None = None
    ece_mass: float | None = None
    ece_chance: float | None = None
    ece_mass_chance: float | None = None
    brier: float | None = None
    bins: tuple[Bin, ...] = ()


class Recalibrated(Trust):
    """The same after recalibration by ``kind``, and ``before``; ``of`` whom, or which ``way`` requests went."""

    of: str | None = None
    way: str | None = None
    kind: str | None = None
    before: Trust | None = None


class Calibration(Recalibrated):
    """How far stated confidence can be trusted: which ``event`` it speaks of, and the same way by way.

    ``own`` is the policy's own probability on all requests.
    """

    ece_before: float | None = None
    event: str | None = None
    routes: tuple[Recalibrated, ...] = ()
    own: Recalibrated | None = None


class Point(Estimate):
    """Quality at a share that is delegated, with the interval of its difference to the policy alone."""

    share: float
    random: float | None = None
    oracle: float | None = None


class NotInferior(Format):
    """The largest share that loses at most ``limit``: relative differences to the policy alone."""

    limit: float
    share: float
    validation: Estimate
    test: Estimate
    confirmed: bool


class Quarter(Format):
    """A quarter of the evidence horizon: what was delegated, and the relative difference to the policy alone."""

    group: str
    n: int
    share: float
    routed: float
    policy: float
    relative: Estimate


class DelegationCurve(Format):
    """Mean ``metric`` against the share that is delegated."""

    metric: str
    policy: float
    points: tuple[Point, ...] = ()
    chosen: Point | None = None
    not_inferior: NotInferior | None = None
    horizon: tuple[Quarter, ...] = ()


class Spent(Format):
    """Seconds per request."""

    mean: float
    p50: float | None = None
    p95: float | None = None
    n: float | None = None


class Bill(Format):
    """What a route ("route") or a system that answers everything ("system") costs per request."""

    who: str
    kind: str
    single: Spent
    batched: Spent | None = None
    tokens: float = 0.0
    requests: int = 0


class QuarterBill(Format):
    """The same by quarter of the evidence horizon."""

    group: str
    routed: Spent
    policy: Spent | None = None
    tokens: float = 0.0


class Bills(Format):
    """Costs on the machine of the run; ``batch``: how many requests are answered together."""

    batch: int
    rows: tuple[Bill, ...] = ()
    horizon: tuple[QuarterBill, ...] = ()

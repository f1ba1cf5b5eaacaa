"""The sections of a run's results that this package measures: their records, and the results with them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from reasonrec_core.errors import RunError
from reasonrec_core.evaluate.schema import Estimate, Record, Results, TimeSpent, describe_invalid


class SliceEstimate(Estimate):
    """One system on one ``group`` of ``n`` queries."""

    slice: str
    group: str
    system: str
    metric: str
    n: int


class AbstentionResult(Record):
    """What giving no answer comes to: the share that is answered (``coverage``), what was ``wanted``, the metrics of

    the answers that are given, ``risk`` (those without the target among the ten best), and means of what the policy
    would have answered to the others; ``validation``: what calibration promised.
    """

    coverage: float
    wanted: dict[str, float | None] = Field(default_factory=dict)
    validation: Any = None
    answered: dict[str, Estimate] = Field(default_factory=dict)
    risk: Estimate | None = None
    held_back: dict[str, float | None] = Field(default_factory=dict)


class ReliabilityBin(Record):
    """Answers whose confidence lies in [low, high): mean confidence and how many were right."""

    low: float
    high: float
    n: int
    confidence: float | None = None
    accuracy: float | None = None


class ConfidenceQuality(Record):
    """How well a confidence holds: calibration errors (bins of equal width, of equal mass), what they would be by

    chance alone, squared error (Brier), logarithmic loss, mean confidence, and the share of events.
    """

    cases: int | None = None
    events: float | None = None
    mean: float | None = None
    ece: float | None = None
    ece_mass: float | None = None
    ece_chance: float | None = None
    ece_mass_chance: float | None = None
    brier: float | None = None
    log_loss: float | None = None
    bins: tuple[ReliabilityBin, ...] = ()


class RecalibratedConfidence(ConfidenceQuality):
    """The same after recalibration by ``kind``, and ``before``; ``of`` whom, or which ``way`` requests went."""

    of: str | None = None
    way: str | None = None
    kind: str | None = None
    before: ConfidenceQuality | None = None


class CalibrationResult(RecalibratedConfidence):
    """How far stated confidence can be trusted: which ``event`` it speaks of, and the same way by way.

    ``own`` is the policy's own probability on all requests.
    """

    ece_before: float | None = None
    event: str | None = None
    routes: tuple[RecalibratedConfidence, ...] = ()
    own: RecalibratedConfidence | None = None


class CurvePoint(Estimate):
    """Quality at a share that is delegated, with the interval of its difference to the policy alone."""

    share: float
    random: float | None = None
    oracle: float | None = None


class NotInferior(Record):
    """The largest share that loses at most ``limit``: relative differences to the policy alone."""

    limit: float
    share: float
    validation: Estimate
    test: Estimate
    confirmed: bool


class HorizonQuarter(Record):
    """A quarter of the evidence horizon: what was delegated, and the relative difference to the policy alone."""

    group: str
    n: int
    share: float
    routed: float
    policy: float
    relative: Estimate


class DecisionOrder(Record):
    """What decides who answers, on the test requests: ``by`` "gain" or "risk"; the larger, the sooner a delegate does.

    ``edges`` of the bins, how many requests of each the policy ``kept`` and how many were ``delegated``; delegates
    answer above the ``threshold``, None where all or none are handed over.
    """

    by: Literal["gain", "risk"]
    threshold: float | None = None
    edges: tuple[float, ...]
    kept: tuple[int, ...]
    delegated: tuple[int, ...]


class DelegationCurve(Record):
    """Mean ``metric`` against the share that is delegated."""

    metric: str
    policy: float
    points: tuple[CurvePoint, ...] = ()
    chosen: CurvePoint | None = None
    not_inferior: NotInferior | None = None
    decisions: DecisionOrder | None = None
    horizon: tuple[HorizonQuarter, ...] = ()


class CostRow(Record):
    """What a route ("route") or a system that answers everything ("system") costs per request.

    ``money``: per 1,000 requests, in `CostResult.currency`; None where nobody pays for answers, or no prices are set.
    """

    who: str
    kind: str
    single: TimeSpent
    batched: TimeSpent | None = None
    tokens: float = 0.0
    money: float | None = None
    requests: int = 0


class HorizonCost(Record):
    """The same by quarter of the evidence horizon."""

    group: str
    routed: TimeSpent
    policy: TimeSpent | None = None
    tokens: float = 0.0


class CostResult(Record):
    """Costs on the machine of the run; ``batch``: how many requests are answered together; ``currency``: of money,
    None where it has no name.

    ``single_change``, ``batch_change``: relative change of the mean time against the policy alone, paired.
    """

    batch: int
    currency: str | None = None
    single_change: Estimate | None = None
    batch_change: Estimate | None = None
    rows: tuple[CostRow, ...] = ()
    horizon: tuple[HorizonCost, ...] = ()


class RiskCurve(Record):
    """Mean loss (``risk``) of the most certain ``coverage`` of all answers; ``loss`` says which, in words.

    ``aurc``: area under the curve; ``e_aurc``: its excess over that of a perfect order.
    """

    coverage: tuple[float, ...] = ()
    risk: tuple[float | None, ...] = ()
    aurc: float | None = None
    e_aurc: float | None = None
    loss: str | None = None


class ReportedResults(Results):
    """The results with those sections, checked."""

    slices: tuple[SliceEstimate, ...] = ()
    calibration: CalibrationResult | None = None
    risk_coverage: RiskCurve | None = None
    abstention: AbstentionResult | None = None
    delegation_curve: DelegationCurve | None = None
    costs: CostResult | None = None


def read_sections(results: Results) -> ReportedResults:
    """The results with their sections checked.

    Raises:
        RunError: a section holds something else; the message names the key.
    """
    try:
        return ReportedResults.model_validate(results.to_dict())
    except ValidationError as error:
        what, fix = describe_invalid(error), "Run the pipeline again, or restore the file."
        raise RunError(what, where="metrics.json", fix=fix) from error

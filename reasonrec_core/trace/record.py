"""What one decision is: as a record, and as a row of a batch of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reasonrec_core.trace.schema import TEST
from reasonrec_core.types import Float32, Float64, Int32, Int64, QueryBatch, Ranking, Route, Step, StepKind, Uncertainty


@dataclass(frozen=True)
class UncertaintyValue:
    """One estimator's word on one query, each in [0, 1]; parts that it cannot tell apart are None."""

    total: float
    epistemic: float | None = None
    aleatoric: float | None = None


@dataclass(frozen=True)
class RankedAnswer:
    """What one system answered: string ids, best first, and their scores."""

    items: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class TraceRecord:
    """One decision.

    Attributes:
        query: position of the query in the trace (or of the request in a service).
        user: string id, None where the user is unknown.
        task: value of `Task`.
        history: string ids of the newest items of the history, oldest first.
        targets: string ids of the relevant items, where they are known.
        route: value of `Route`; empty in the validation part, where nobody decided.
        reason: for the route, in words.
        risk: calibrated probability that the policy's answer is worse than the delegate's, None without a router.
        confidence: calibrated probability that the target is in the top of the answer.
        uncertainty: by estimator, those that were asked.
        delegate: name of the delegate that answered or was consulted.
        ranking: string ids of the answer, best first.
        scores: of ``ranking``.
        answers: what each system answered, of those that were asked, by label.
        quality: system -> metric -> value, where targets are known; ``routed`` is the answer that was given.
        steps: the policy's reasoning; empty where it was not recorded.
        latency: seconds of this request, None where it was answered within a batch only.
        seconds: what each system alone took for this request, of those that were timed.
        tokens: language-model tokens that the decision cost.
        policy_tokens: those of the policy's answer, None where it was not asked.
        gain: expected gain of delegating: P(the delegate's answer is better) - P(it is worse).
        part: "test" (decisions) or "valid" (what routers are calibrated on).
        key: the number that breaks ties of equal risk.
        time: of the request, in the log's unit.
        history_length: items of the whole history.
        candidates: string ids that were to be ranked; empty for the whole catalogue.
        versions: hash of the versions that decided, a key of `Header.versions`.
    """

    query: int
    user: str | None
    task: str
    history: tuple[str, ...]
    targets: tuple[str, ...]
    route: str
    reason: str
    risk: float | None = None
    confidence: float | None = None
    uncertainty: Mapping[str, UncertaintyValue] = field(default_factory=dict)
    delegate: str | None = None
    ranking: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    answers: Mapping[str, RankedAnswer] = field(default_factory=dict)
    quality: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    latency: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    tokens: int = 0
    policy_tokens: int | None = None
    gain: float | None = None
    part: str = TEST
    key: int = -1
    time: int | None = None
    history_length: int = 0
    candidates: tuple[str, ...] = ()
    versions: str = ""


@dataclass(frozen=True)
class TraceBatch:
    """B decisions as arrays of dense indices; `TraceWriter` turns them into string ids.

    Attributes:
        first: position of the first query; the others follow.
        queries: B queries.
        part: of the trace.
        routes: B routes; None in the validation part.
        reasons: B reasons in words.
        ranking: the answers, None in the validation part.
        target_indptr: int64[B + 1] row bounds into ``targets``, or None where no target is known.
        targets: int32[T].
        keys: int64[B] what breaks ties of equal risk; the users' numbers if not given.
        risk, gain, confidence: float32[B], NaN where there is none.
        uncertainty: by estimator, NaN where an estimator was not asked.
        delegates: B names, None where no delegate took part.
        answers: by system; rows of padding where it was not asked.
        quality: system -> metric -> float64[B], NaN where undefined.
        steps: by row of the batch; rows that are not named are recorded without steps.
        latency: float64[B] seconds, NaN where the request was not answered by itself.
        seconds: system -> float64[B], likewise.
        tokens, policy_tokens: int64[B].
    """

    first: int
    queries: QueryBatch
    part: str = TEST
    routes: Sequence[Route | str] | None = None
    reasons: Sequence[str] | None = None
    ranking: Ranking | None = None
    target_indptr: Int64 | None = None
    targets: Int32 | None = None
    keys: Int64 | None = None
    risk: Float32 | None = None
    gain: Float32 | None = None
    confidence: Float32 | None = None
    uncertainty: Mapping[str, Uncertainty] = field(default_factory=dict)
    delegates: Sequence[str | None] | None = None
    answers: Mapping[str, Ranking] = field(default_factory=dict)
    quality: Mapping[str, Mapping[str, Float64]] = field(default_factory=dict)
    steps: Mapping[int, tuple[Step, ...]] = field(default_factory=dict)
    latency: Float64 | None = None
    seconds: Mapping[str, Float64] = field(default_factory=dict)
    tokens: Int64 | None = None
    policy_tokens: Int64 | None = None

    def __len__(self) -> int:
        return len(self.queries)


def step_as_dict(step: Step) -> dict[str, Any]:
    """A step as JSON-able values, as it stands in traces and decision cards."""
    return {
        "kind": str(step.kind),
        "claim": step.claim,
        "evidence": list(step.evidence),
        "weight": float(step.weight),
        "alternatives": [[name, float(weight)] for name, weight in step.alternatives],
        **({"edited": True} if step.edited else {}),
    }


def step_from_dict(value: Mapping[str, Any]) -> Step:
    """The step that `step_as_dict` wrote."""
    alternatives = tuple((str(name), float(weight)) for name, weight in value["alternatives"])
    kind, evidence, edited = StepKind(value["kind"]), tuple(value["evidence"]), bool(value.get("edited", False))
    return Step(kind, value["claim"], evidence, value["weight"], alternatives, edited)

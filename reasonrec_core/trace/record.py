"""What one decision is: as a record, as a batch of arrays, and as a row of Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reasonrec_core.types import Float32, Int32, Int64, QueryBatch, Ranking, Route, Step, StepKind

VERSIONS = b"reasonrec.versions"

SCHEMA = pa.schema(
    [
        ("query", pa.int64()),
        ("user", pa.string()),
        ("task", pa.string()),
        ("history", pa.list_(pa.string())),
        ("targets", pa.list_(pa.string())),
        ("route", pa.string()),
        ("reason", pa.string()),
        ("risk", pa.float32()),
        ("confidence", pa.float32()),
        ("uncertainty", pa.map_(pa.string(), pa.float32())),
        ("delegate", pa.string()),
        ("ranking", pa.list_(pa.string())),
        ("scores", pa.list_(pa.float32())),
        ("policy_ranking", pa.list_(pa.string())),
        ("delegate_ranking", pa.list_(pa.string())),
        ("steps", pa.string()),
        ("latency", pa.float64()),
        ("tokens", pa.int64()),
        ("versions", pa.string()),
    ]
)


@dataclass(frozen=True)
class TraceRecord:
    """One decision.

    Attributes:
        query: position of the query among the test queries (or of the request in a service).
        user: string id, None where the user is unknown.
        task: value of `Task`.
        history: string ids of the newest items of the history, oldest first.
        targets: string ids of the relevant items, where they are known.
        route: value of `Route`.
        reason: for the route, in words.
        risk: calibrated probability that the policy's answer is worse than the delegate's, None without a router.
        confidence: calibrated probability that the target is in the top of the answer.
        uncertainty: total uncertainty in [0, 1] by estimator.
        delegate: name of the delegate that answered or was consulted.
        ranking: string ids of the answer, best first; for click probabilities the items that were asked for.
        scores: of ``ranking``; for click probabilities the probabilities.
        policy_ranking: what the policy answered, where it was asked.
        delegate_ranking: what the delegate answered, where it was asked.
        steps: the policy's reasoning; empty where it was not recorded.
        latency: seconds.
        tokens: language-model tokens.
        versions: hash of the versions that decided, a key of `Trace.versions`.
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
    uncertainty: Mapping[str, float] = field(default_factory=dict)
    delegate: str | None = None
    ranking: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    policy_ranking: tuple[str, ...] = ()
    delegate_ranking: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    latency: float = 0.0
    tokens: int = 0
    versions: str = ""


@dataclass(frozen=True)
class TraceBatch:
    """B decisions as arrays of dense indices; `TraceWriter` turns them into string ids.

    Attributes:
        first: position of the first query; the others follow.
        queries: B queries.
        routes: B routes.
        reasons: B reasons in words.
        ranking: the answers; for click probabilities the candidates and their probabilities.
        target_indptr: int64[B + 1] row bounds into ``targets``, or None where no target is known.
        targets: int32[T].
        risk: float32[B], NaN where there is none.
        confidence: float32[B], NaN where there is none.
        uncertainty: float32[B] by estimator, NaN where an estimator was not asked.
        delegates: B names, None where no delegate took part.
        policy_ranking: where the policy answered; rows of padding elsewhere.
        delegate_ranking: where the delegate answered; rows of padding elsewhere.
        steps: by row of the batch; rows that are not named are recorded without steps.
        latency: float64[B] seconds.
        tokens: int64[B].
    """

    first: int
    queries: QueryBatch
    routes: Sequence[Route | str]
    reasons: Sequence[str]
    ranking: Ranking
    target_indptr: Int64 | None = None
    targets: Int32 | None = None
    risk: Float32 | None = None
    confidence: Float32 | None = None
    uncertainty: Mapping[str, Float32] = field(default_factory=dict)
    delegates: Sequence[str | None] | None = None
    policy_ranking: Ranking | None = None
    delegate_ranking: Ranking | None = None
    steps: Mapping[int, tuple[Step, ...]] = field(default_factory=dict)
    latency: npt.NDArray[np.float64] | None = None
    tokens: Int64 | None = None

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

"""The one schema of traces: a decision as a record, as a row of Arrow and of JSON, and what is said once per file.

`TraceRecord` declares every column; Arrow's types, the JSON and the table in the documentation follow from it.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from reasonrec_core.types import Step, Task

FORMAT = 2
"""Raised when a column or a key of the header changes its meaning."""
HEADER = b"reasonrec.trace"
"""The key of the header in a Parquet file's metadata, and of the first line of a JSON-lines file."""

TEST, VALID, WORDS = "test", "valid", "words"
"""Parts of a trace: decisions, the validation queries that a router is calibrated on, and requests in words."""


def _read_steps(value: Any) -> Any:
    found = json.loads(value or "[]") if isinstance(value, str) or value is None else value
    return tuple(step if isinstance(step, Step) else Step.from_dict(step) for step in found)


Single = Annotated[float, pa.float32()]
Ids = Annotated[tuple[str, ...], BeforeValidator(lambda value: value or ())]
Scores = Annotated[tuple[Single, ...], BeforeValidator(lambda value: value or ())]
Steps = Annotated[tuple[Step, ...], BeforeValidator(_read_steps), pa.string()]
AS_MAP = BeforeValidator(lambda value: dict(value or ()))
"""Arrow gives maps as lists of pairs."""
Numbers = Annotated[dict[str, float], AS_MAP]


@dataclass(frozen=True)
class UncertaintyValue:
    """One estimator's word on one query, each in [0, 1]; parts that it cannot tell apart are None."""

    total: Single
    epistemic: Single | None = None
    aleatoric: Single | None = None


@dataclass(frozen=True)
class RankedAnswer:
    """What one system answered: string ids, best first, and their scores."""

    items: Ids
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class TraceRecord:
    """One decision; the fields are the columns of a trace, in order."""

    query: Annotated[int, "number of the row: of the test request, or of the request to a service"] = -1
    part: Annotated[
        str,
        "`test` (decisions), `valid` (validation requests, which routers are calibrated on) or `words` (text queries, "
        "which no router decides)",
    ] = TEST
    task: Annotated[str, "the task"] = ""
    user: Annotated[str | None, "id of the user; null where unknown"] = None
    key: Annotated[int, "the number that breaks ties between equal risks"] = -1
    time: Annotated[int | None, "time of the request, in the log's unit"] = None
    history: Annotated[Ids, "ids of the newest items of the history, oldest first"] = ()
    history_length: Annotated[int, "items of the whole history"] = 0
    candidates: Annotated[Ids, "ids of the candidates; empty for the whole catalogue"] = ()
    targets: Annotated[Ids, "ids of what came next, if known"] = ()
    route: Annotated[
        str, "`self`, `replace`, `consult` or `abstain`; empty in part `valid`, where nothing is decided"
    ] = ""
    reason: Annotated[str, "reason for the route, in words"] = ""
    delegate: Annotated[str | None, "the delegate that answered"] = None
    risk: Annotated[Single | None, "calibrated P(the delegate's answer is better); null without a router"] = None
    gain: Annotated[Single | None, "expected gain of delegating: that minus P(the delegate's answer is worse)"] = None
    confidence: Annotated[
        Single | None, "calibrated P(the target is at the top of the answer), for the route that the request took"
    ] = None
    uncertainty: Annotated[
        dict[str, UncertaintyValue], AS_MAP,
        "by estimator: `total`, and `epistemic` and `aleatoric` if it separates them",
    ] = Field(default_factory=dict)  # fmt: skip
    ranking: Annotated[Ids, "ids of the answer that was given, best first"] = ()
    scores: Annotated[Scores, "scores of the ranking"] = ()
    answers: Annotated[
        dict[str, RankedAnswer], AS_MAP, "the answer of every system that was asked: its best items and their scores"
    ] = Field(default_factory=dict)
    quality: Annotated[
        dict[str, Numbers], AS_MAP, "every metric of every system's answer; `routed` is the one that was given"
    ] = Field(default_factory=dict)
    steps: Annotated[Steps, "the policy's steps, for the first `report.steps` decisions that it made itself"] = ()
    latency: Annotated[
        float | None,
        "seconds of the whole request, for those that were answered one at a time (`evaluate.latency_sample` of them)",
    ] = None
    seconds: Annotated[Numbers, "seconds of each system alone, for those requests"] = Field(default_factory=dict)
    tokens: Annotated[int, "language-model tokens used by the decision"] = 0
    policy_tokens: Annotated[
        int | None, "language-model tokens used by the policy's answer; null if it was not asked"
    ] = None
    versions: Annotated[str, "hash of the versions that were used, a key of `Header.versions`"] = ""


RECORD = TypeAdapter(TraceRecord)
COLUMNS = {field.name: field for field in fields(TraceRecord)}


def _arrow_type(declared: Any) -> pa.DataType:
    """Arrow's type of a declared one: one that is given beside it, else what follows from it."""
    if get_origin(declared) is Annotated:
        given = [each for each in declared.__metadata__ if isinstance(each, pa.DataType)]
        return given[0] if given else _arrow_type(get_args(declared)[0])
    inner = [each for each in get_args(declared) if each not in (NoneType, Ellipsis)]
    if get_origin(declared) is tuple:
        return pa.list_(_arrow_type(inner[0]))
    if get_origin(declared) is dict:
        return pa.map_(*map(_arrow_type, inner))
    if inner:
        return _arrow_type(inner[0])
    if is_dataclass(declared):
        return pa.struct(_arrow_fields(declared))
    return {int: pa.int64(), float: pa.float64(), str: pa.string()}[declared]


def _arrow_fields(declared: Any) -> list[tuple[str, pa.DataType]]:
    hints = get_type_hints(declared, include_extras=True)
    return [(field.name, _arrow_type(hints[field.name])) for field in fields(declared)]


SCHEMA = pa.schema(_arrow_fields(TraceRecord))


def describe_columns() -> dict[str, tuple[str, str]]:
    """Arrow's type of each column, and what it holds, in order."""
    hints = get_type_hints(TraceRecord, include_extras=True)
    texts = {name: [each for each in hints[name].__metadata__ if isinstance(each, str)] for name in COLUMNS}
    kinds = {field.name: str(field.type).partition("<")[0] for field in SCHEMA}
    return {name: (kinds[name], texts[name][-1]) for name in COLUMNS}


def to_json(record: TraceRecord) -> dict[str, Any]:
    """A record as an object of JSON."""
    shown = {**vars(record), "steps": [step.to_dict() for step in record.steps]}
    for name in ("uncertainty", "answers"):
        shown[name] = {label: dict(vars(value)) for label, value in shown[name].items()}
    return {name: shown[name] for name in COLUMNS}


def to_row(record: TraceRecord) -> dict[str, Any]:
    """A record as Arrow takes it: maps as pairs, steps as text."""
    row = to_json(record)
    row["quality"] = {system: list(values.items()) for system, values in row["quality"].items()}
    for name in ("uncertainty", "answers", "quality", "seconds"):
        row[name] = list(row[name].items())
    return {**row, "steps": steps_as_text(record.steps)}


def steps_as_text(steps: tuple[Step, ...]) -> str | None:
    """JSON of a chain, null where nothing was recorded."""
    return json.dumps([step.to_dict() for step in steps], ensure_ascii=False) if steps else None


class Header(BaseModel):
    """What holds for a whole trace; everything that a replay needs besides the rows.

    Attributes:
        format: `FORMAT` of the writer.
        name: of the run.
        task: what was asked.
        policy: its label, None where delegates answered alone.
        delegates: their labels; the first answers where there is no policy.
        estimators: label -> "before" or "after" the policy's answer; of estimators and of features.
        router: the calibrated router as JSON values, None where there was none.
        quality, hit: names of the metrics that routers are calibrated on, such as ``NDCG@10`` and ``HR@10``.
        k: cut-offs of the metrics.
        batch_seconds: system -> mean seconds per query where queries are answered in batches.
        hashed: "users" or "items", where keyed hashes stand in the place of ids.
        costs: what asking the policy and each delegate took when the router was fitted (`AskingCosts`); None without.
        seed, resamples: of intervals.
        config, data, split: content hashes of the settings, the dataset and its division.
        versions: the versions that decided, by the hash that each row names.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = FORMAT
    name: str = ""
    task: Task = Task.SEQUENTIAL
    policy: str | None = None
    delegates: tuple[str, ...] = ()
    estimators: dict[str, str] = {}
    router: dict[str, Any] | None = None
    quality: str | None = None
    hit: str | None = None
    k: tuple[int, ...] = ()
    batch_seconds: dict[str, float] = {}
    hashed: tuple[str, ...] = ()
    costs: dict[str, Any] | None = None
    seed: int = 0
    resamples: int = 10_000
    config: str = ""
    data: str = ""
    split: str = ""
    versions: dict[str, dict[str, str]] = {}

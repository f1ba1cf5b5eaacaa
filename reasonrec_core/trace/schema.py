"""The columns of a trace, and what is said once per file."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from reasonrec_core.types import Task

FORMAT = 2
"""Raised when a column or a key of the header changes its meaning."""
HEADER = b"reasonrec.trace"
"""The key of the header in a Parquet file's metadata, and of the first line of a JSON-lines file."""

TEST, VALID = "test", "valid"
"""Parts of a trace: decisions, and the validation queries that a router is calibrated on."""
ROUTED = "routed"
"""In a row's quality: the answer that was given, whoever gave it."""
CONSULT = "consult"
"""In a row's answers and quality: what policy and delegates answer together."""

_TEXTS = pa.list_(pa.string())
_FLOATS = pa.list_(pa.float32())
UNCERTAINTY = pa.struct([("total", pa.float32()), ("epistemic", pa.float32()), ("aleatoric", pa.float32())])
ANSWER = pa.struct([("items", _TEXTS), ("scores", _FLOATS)])
METRICS = pa.map_(pa.string(), pa.float64())

SCHEMA = pa.schema(
    [
        ("query", pa.int64()),
        ("part", pa.string()),
        ("task", pa.string()),
        ("user", pa.string()),
        ("key", pa.int64()),
        ("time", pa.int64()),
        ("history", _TEXTS),
        ("history_length", pa.int64()),
        ("candidates", _TEXTS),
        ("targets", _TEXTS),
        ("route", pa.string()),
        ("reason", pa.string()),
        ("delegate", pa.string()),
        ("risk", pa.float32()),
        ("gain", pa.float32()),
        ("confidence", pa.float32()),
        ("uncertainty", pa.map_(pa.string(), UNCERTAINTY)),
        ("ranking", _TEXTS),
        ("scores", _FLOATS),
        ("answers", pa.map_(pa.string(), ANSWER)),
        ("quality", pa.map_(pa.string(), METRICS)),
        ("steps", pa.string()),
        ("latency", pa.float64()),
        ("seconds", pa.map_(pa.string(), pa.float64())),
        ("tokens", pa.int64()),
        ("policy_tokens", pa.int64()),
        ("versions", pa.string()),
    ]
)
"""`TraceRecord` says what each column holds."""


class Header(BaseModel):
    """What holds for a whole trace; everything that a replay needs besides the rows.

    Attributes:
        format: `FORMAT` of the writer.
        name: of the run.
        task: what was asked.
        policy: its label, None where delegates answered alone.
        delegates: their labels; the first answers where there is no policy.
        estimators: label -> "before" or "after" the policy's answer; of estimators and of clues.
        router: the calibrated router as JSON values, None where there was none.
        quality, hit: names of the metrics that routers are calibrated on, such as ``NDCG@10`` and ``HR@10``.
        k: cut-offs of the metrics.
        batch_seconds: system -> mean seconds per query where queries are answered in batches.
        hashed: "users" or "items", where keyed hashes stand in the place of ids.
        costs: what asking the policy and each delegate took when the router was calibrated (`Costs`); None without.
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

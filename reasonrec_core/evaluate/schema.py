"""`Results`: what ``metrics.json`` holds. The pipeline fills it; the table, reporters and programs read it.

Reading is strict in what a file states and lenient in what it adds: a wrong type is an error that names the key, a key
that is missing leaves its section out, and a key that is not known here is ignored. Names of systems and of metrics
are free. A number that is not finite is written as null.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reasonrec_core.errors import DataError, RunError
from reasonrec_core.io import read_json, write_text

VERSION = 2
"""Of the format. Keys are only added; what would break a reader raises it."""
FILE = "metrics.json"


class Record(BaseModel):
    """Base of the format's parts: more keys may come, null means missing, values are checked."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_missing(cls, value: Any) -> Any:
        """NaN and infinity become null; null goes where a field has a default that is not null."""
        if not isinstance(value, dict):
            return value
        known = {key: finite(part) for key, part in value.items()}
        return {key: part for key, part in known.items() if part is not None or cls._takes_null(key)}

    @classmethod
    def _takes_null(cls, key: str) -> bool:
        field = cls.model_fields.get(key)
        return field.default is None if field else cls.model_config.get("extra") == "allow"


class Estimate(Record):
    """A metric's value and its 95 % interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class TimeSpent(Record):
    """Seconds per request: mean, median and 95th percentile of ``n`` requests."""

    mean: float
    p50: float | None = None
    p95: float | None = None
    n: float | None = None


def finite(value: Any) -> Any:
    """JSON values with None for every number that is not finite: JSON has none of those."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


class MetricFacts(Record):
    """What a reader must know about a metric; ``{k}`` in its ``meaning`` is the cut-off."""

    better: Literal["higher", "lower", "neither"] = "higher"
    meaning: str = ""
    order: int = 100


class PairedComparison(Record):
    """``difference`` = metric of ``a`` minus metric of ``b`` over ``n`` users, 95 % interval, p-values.

    ``low_corrected`` to ``high_corrected``: the interval that excludes 0 where ``p_corrected`` is below 0.05.
    """

    a: str
    b: str
    metric: str
    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_corrected: float | None = None
    low_corrected: float | None = None
    high_corrected: float | None = None
    n: int | None = None


class DelegationSummary(Record):
    """How much was delegated, and what it saved: time of the routed system over time of the policy alone.

    ``time``: the relative change of a request's mean time, paired; no measurable one where the interval holds 0.
    """

    share: float | None = None
    latency_ratio: float | None = None
    time: Estimate | None = None
    latency: dict[str, TimeSpent] = Field(default_factory=dict)


class ConsultResult(Record):
    """What consulting came to on validation queries: mean quality of the policy's own answers and of the ``consulted``

    ones, with delegates' answers in view; the relative ``gain``; and whether it is ``used``, as only a clear gain is.
    """

    policy: float | None = None
    consulted: float | None = None
    queries: int = 0
    gain: Estimate | None = None
    used: bool = False


class RouterReport(Record):
    """What calibration found on validation queries; each kind of router adds its own facts."""

    model_config = ConfigDict(extra="allow")
    consult: ConsultResult | None = None


class RoutingResult(Record):
    """The rule that decides who answers; ``delegate`` names all that requests may go to.

    ``nothing``: why nothing is handed over where the goal is ``free`` and nothing is worth it.
    """

    kind: str | None = None
    stage: str | None = None
    delegate: str | None = None
    estimators: tuple[str, ...] = ()
    answer_features: bool = False
    asks: tuple[str, ...] = ()
    threshold: float | None = None
    target: float | str | None = None
    reached: float | str | None = None
    nothing: str | None = None
    consulted: float = 0.0
    abstained: float = 0.0
    validation: RouterReport | None = None


class ObservedFeature(Record):
    """A feature of the items, how many items have it, and where its encoder's weights came from."""

    name: str
    encoder: str | None = None
    present: int | None = None
    missing: int | None = None
    refused: int | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)


class SystemRoles(Record):
    """Which of the systems is what; ``chosen``: the delegate that answers where there is no policy."""

    routed: str | None = None
    policy: str | None = None
    chosen: str | None = None
    delegates: tuple[str, ...] = ()


class DatasetFacts(Record):
    """The data that was used."""

    name: str = "dataset"
    hash: str | None = None
    users: int | None = None
    items: int | None = None
    interactions: int | None = None
    images_root: str | None = None


class SecondsByPart(Record):
    """Wall-clock seconds by part."""

    fit: dict[str, float] = Field(default_factory=dict)
    evaluate: dict[str, float] = Field(default_factory=dict)


class Results(Record):
    """``metrics.json``: the stable format that other programs read, too.

    The core checks what it measures. What reporters measure (`Reporter.analyse`) has records of theirs: ``analyses`` by
    reporter, and ``slices`` to ``costs``. ``version``: of the file that was read.
    """

    version: int = VERSION
    dataset: DatasetFacts
    protocol: str = ""
    systems: dict[str, dict[str, Estimate]] = Field(min_length=1)
    metrics: dict[str, MetricFacts] = Field(default_factory=dict)
    delegation: DelegationSummary | None = None
    seconds: SecondsByPart | None = None
    comparisons: tuple[PairedComparison, ...] = ()
    routing: RoutingResult | None = None
    observe: tuple[ObservedFeature, ...] = ()
    roles: SystemRoles | None = None
    slices: Any = None
    calibration: Any = None
    risk_coverage: Any = None
    abstention: Any = None
    delegation_curve: Any = None
    costs: Any = None
    analyses: dict[str, dict[str, Any]] = Field(default_factory=dict)
    left_out: dict[str, int] = Field(default_factory=dict)
    seed: int | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read ``metrics.json`` of a run folder.

        Raises:
            RunError: there is none, or it holds something else; the message names the key.
        """
        path, fix = folder / FILE, "Run the pipeline again, or restore the file."
        try:
            found = cls.model_validate(read_json(path))
        except DataError as error:
            raise RunError(error.what, where=error.where, fix=fix) from error
        except ValidationError as error:
            raise RunError(describe_invalid(error), where=str(path), fix=fix) from error
        if found.version != VERSION:
            what = f"the results have format {found.version}, but this release reads format {VERSION}"
            raise RunError(what, where=str(path), fix="Install that release, or run the pipeline again.")
        return found

    def write(self, folder: Path) -> None:
        """Write ``metrics.json`` into a run folder, whole or not at all."""
        write_text(folder / FILE, self.to_json() + "\n")

    def to_json(self) -> str:
        """The content of ``metrics.json``: keys sorted, what was not measured left out."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**self.model_dump(mode="json", exclude_unset=True), "version": VERSION}


def describe_invalid(error: ValidationError) -> str:
    """The first thing that is wrong with a file, by its key, and how many more there are."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole file"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {first['msg']}{more}"

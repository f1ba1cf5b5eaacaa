"""The pipeline file: TOML or YAML, plus ``--set a.b=c``, checked before anything heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from reasonrec_core.components import Settings
from reasonrec_core.config_errors import config_error, place_error
from reasonrec_core.config_file import override_setting, read_settings
from reasonrec_core.data.split import SplitConfig, make_splitter
from reasonrec_core.errors import ConfigError
from reasonrec_core.observe.evidence_horizon import HorizonConfig
from reasonrec_core.routing.config import GOALS, AnyRouterConfig
from reasonrec_core.types import Task

TRACE, CHECKS = "trace", "checks"
"""The reporters whose settings have tables of their own: ``[trace]`` and ``[report.checks]``."""

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What may be called so in a run folder."""


class DataConfig(Settings):
    """Where the interactions, items and users come from."""

    path: str = Field(description="A saved dataset, or a file or folder that a data source reads.")
    format: str = Field("auto", description="Name of the data source; auto finds it by looking at the path.")
    columns: dict[str, str] = Field({}, description="Columns whose names differ: ours = the source's.")
    context: tuple[str, ...] = Field(
        (), description="Columns of the log that tell the context; also hour, weekday, month."
    )
    options: dict[str, Any] = Field({}, description="The data source's own settings.")
    seed: int = Field(0, ge=0, description="Seed of the shuffle that gives items and users their internal indices.")


class _Named(BaseModel):
    """A component's name and, inline, its settings, which the component itself checks when it is made."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def settings(self) -> dict[str, Any]:
        """What the component's own ``Config`` is made from."""
        return dict(self.model_extra or {})


class EncoderConfig(_Named):
    """``[observe.NAME]``: how one feature of the items is made."""

    encoder: str = Field(description="Name of an encoder plugin.")


class ComponentConfig(_Named):
    """``[policy]`` or one of ``[[delegates]]`` or ``[[uncertainty]]``."""

    name: str = Field(description="Name of the component; distribution:name where two plugins offer the same name.")
    label: str = Field("", description="What to call it in tables. Empty: its name.")

    @model_validator(mode="before")
    @classmethod
    def _label(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if isinstance(value, dict) and not value.get("label"):
            value = {**value, "label": str(value.get("name", "")).rpartition(":")[2]}
        return value

    @field_validator("label")
    @classmethod
    def _plain(cls, label: str) -> str:
        if not re.fullmatch(NAME, label) or label == "routed":
            raise ValueError("use letters, digits, '.', '_' and '-' (and not 'routed')")
        return label


class EvaluateConfig(Settings):
    """What is measured."""

    tasks: tuple[Literal["sequential", "direct", "ctr", "explain"], ...] = Field(
        ("sequential",),
        description="Tasks to evaluate; explain needs data with reviews. ctr alone needs labelled rows; "
        "beside a ranking, it compares each target with one random item that its user never "
        "touched.",
    )
    k: tuple[int, ...] = Field((5, 10), description="Cut-offs of the ranking metrics.")
    metrics: tuple[str, ...] | None = Field(
        None, description="Metrics besides NDCG and HR (for clicks: AUC, UAUC and LogLoss); null = all."
    )
    resamples: int = Field(10_000, ge=100, le=100_000, description="Bootstrap resamples for each interval.")
    faithfulness: int = Field(
        500,
        ge=0,
        description="Test queries whose steps are edited to see whether they cause the answer, by reasonrec-explain; "
        "0 = none.",
    )
    latency_sample: int = Field(200, ge=1, description="Requests answered one at a time to measure latency.")

    @field_validator("k")
    @classmethod
    def _cut_offs(cls, k: tuple[int, ...]) -> tuple[int, ...]:
        if not k or min(k) < 1:
            raise ValueError("cut-offs must be positive")
        return tuple(sorted(set(k)))

    @field_validator("tasks")
    @classmethod
    def _tasks(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        if not tasks:
            raise ValueError("name at least one task")
        if "ctr" in tasks and set(tasks) == {"ctr", "explain"}:
            raise ValueError("ctr stands alone (with labelled rows) or beside a ranking task: add sequential or direct")
        # What a report is about comes first: rankings.
        return tuple(sorted(dict.fromkeys(tasks), key=lambda task: task == "ctr"))


class ReportConfig(Settings):
    """Who reports, what reports show, and what the trace keeps."""

    reporters: tuple[ComponentConfig, ...] | None = Field(
        None, description="Reporters, which measure and show more of a run, with settings; null = all."
    )
    cards: int = Field(
        6, ge=0, le=100, description="Cards of hits and of misses in the report; explanations per group."
    )
    history: int = Field(12, ge=1, description="Newest history items shown on a card.")
    steps: int = Field(2000, ge=0, description="Number of decisions whose steps the trace keeps in words.")
    checks: dict[str, dict[Literal["min", "max"], float]] = Field(
        {}, description='Limits by metric, e.g. "NDCG@10" = {min = 0.1}. If a run misses one: exit code 3.'
    )


class PipelineConfig(Settings):
    """A whole pipeline. Every table is a key of the file."""

    name: str = Field("run", pattern=f"^{NAME}$", description="Name of the run and of its folder.")
    seed: int = Field(0, ge=0, description="Seed of every random choice, except those that the data sets itself.")
    data: DataConfig = Field(description="The data, and how it is read.")
    split: SplitConfig = Field(SplitConfig(), description="What is learned from and what is tested on.")
    observe: dict[str, EncoderConfig] = Field({}, description="Item features by name.")
    horizon: HorizonConfig = Field(HorizonConfig(), description="How much is known about a user, between 0 and 1.")
    policy: ComponentConfig | None = Field(None, description="The reasoning policy; none to compare delegates only.")
    delegates: tuple[ComponentConfig, ...] = Field((), description="Cheap models that may answer instead.")
    uncertainty: tuple[ComponentConfig, ...] = Field(
        (), description="Uncertainty estimators; the router uses them too, unless it names its own."
    )
    router: AnyRouterConfig | None = Field(None, description="Decides who answers; if not set, the policy.")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="What is measured.")
    report: ReportConfig = Field(ReportConfig(), description="What reports show, and the checks of a run.")
    trace: dict[str, Any] = Field(
        {}, description="Settings of the reporter `trace` (reasonrec-trace): what is written about each decision."
    )

    @model_validator(mode="before")
    @classmethod
    def _listed_estimators_feed_the_router(cls, value: Any) -> Any:
        return feed_router(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fits_together(self) -> PipelineConfig:
        labels = [d.label for d in self.delegates] + ([self.policy.label] if self.policy else [])
        doubled = sorted({label for label in labels if labels.count(label) > 1})
        if doubled:
            raise ValueError(f"two components are called {doubled[0]!r}; give one of them another label")
        named = {"a feature": self.observe, "an estimator": self.router.estimators if self.router else ()}
        for what, names in named.items():
            if wrong := [name for name in names if not re.fullmatch(NAME, name.rpartition(":")[2])]:
                raise ValueError(f"{what} cannot be called {wrong[0]!r}; use letters, digits, '.', '_' and '-'")
        if not labels:
            raise ValueError("name a policy or at least one delegate")
        if "explain" in self.evaluate.tasks and self.policy is None:
            raise ValueError("the task explain needs a policy, because delegates only rank")
        if self.router and (self.policy is None or not self.delegates):
            raise ValueError("a router needs a policy and at least one delegate")
        if self.router and self.router.delegate not in {"best", *(d.label for d in self.delegates)}:
            raise ValueError(f"router.delegate = {self.router.delegate!r} is not among the delegates")
        return self

    @property
    def estimators(self) -> tuple[ComponentConfig, ...]:
        """The estimators to build: those listed, and those that the router names."""
        named = self.router.estimators if self.router else ()
        listed = {e.label: e for e in self.uncertainty}
        return (*self.uncertainty, *(ComponentConfig.model_validate(n) for n in named if n not in listed))

    @property
    def trace_settings(self) -> dict[str, Any]:
        """What the reporter `trace` is made from: ``[trace]``, and what stands beside its name under reporters."""
        listed = (each.settings for each in self.report.reporters or () if each.name == TRACE)
        return {**next(listed, {}), **self.trace}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks to evaluate."""
        return tuple(Task(t) for t in self.evaluate.tasks)

    @property
    def fitted_for(self) -> Task:
        """What components are told that they will be asked: the only task, or rankings where there are several."""
        return self.tasks[0] if len(self.tasks) == 1 and not self.tasks[0].ranks else Task.SEQUENTIAL

    @property
    def draws_clicks(self) -> bool:
        """Whether clicks are asked about beside rankings: drawn, and told from scores by systems that only rank."""
        return Task.CTR in self.tasks and self.fitted_for is not Task.CTR


def load_config(path: Path, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Read and check a pipeline file.

    Args:
        path: TOML, YAML or JSON. A relative ``data.path`` inside it is relative to the file.
        overrides: ``a.b=value`` with a TOML value, or a bare word as text; a relative ``data.path`` given here is
            relative to the working folder. Entries of a list are named by position or by their name
            (``delegates.transitions.window=4``). A goal of the router takes the place of the file's.
    """
    tree, text = read_settings(path)
    data = tree.get("data")
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        data["path"] = str(path.parent / data["path"])
    goals = {f"router.{goal}" for goal in GOALS} & {override.partition("=")[0].strip() for override in overrides}
    if goals and isinstance(router := tree.get("router"), dict):
        tree["router"] = {name: value for name, value in router.items() if name not in GOALS}
    for override in overrides:
        override_setting(tree, override)
    return check_config(tree, str(path), text)


def feed_router(tree: dict[str, Any]) -> dict[str, Any]:
    """The same; a router that names no estimators of its own learns from those listed under [[uncertainty]], too."""
    router, listed = tree.get("router"), tree.get("uncertainty")
    if not isinstance(router, dict) or "estimators" in router or not isinstance(listed, list | tuple):
        return tree
    labels = [each.get("label") or each.get("name") if isinstance(each, dict) else each for each in listed]
    names = dict.fromkeys((*AnyRouterConfig.model_fields["estimators"].default, *labels))
    return {**tree, "router": {**router, "estimators": [name for name in names if isinstance(name, str)]}}


def check_config(tree: Mapping[str, Any], where: str, text: str = "") -> PipelineConfig:
    """Validate a tree of settings; the first thing that is wrong becomes one `ConfigError`."""
    try:
        config = PipelineConfig.model_validate(tree)
    except ValidationError as error:
        raise place_error(config_error(error, PipelineConfig), error.errors()[0]["loc"], where, text) from error
    try:
        make_splitter(config.split)
    except ConfigError as error:
        raise place_error(error, tuple((error.where or "split").split(".")), where, text) from error
    return config

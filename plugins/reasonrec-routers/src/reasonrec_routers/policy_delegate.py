"""Delegate `policy`: another policy, or the same with other settings, as a cheaper level below the pipeline's own.

A cascade of models of growing cost (FrugalGPT: Chen, Zaharia and Zou, 2023, section 3) needs levels that think, too: a
policy that reasons in steps is then a delegate like any other, fitted before the pipeline's policy, asked where a
router says so, and explained by its own steps.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from reasonrec_core.components import (
    Delegate,
    DistributionPolicy,
    FitData,
    Kind,
    ReasoningPolicy,
    RequestMemory,
    Settings,
)
from reasonrec_core.config_errors import validated
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, PluginError, ReasonRecError
from reasonrec_core.registry import Registry
from reasonrec_core.types import Deliberation, Float32, Observation, QueryBatch, Ranking, Task

LOG = logging.getLogger("reasonrec.router")
FOLDER = "policy"
RANKED = (Task.SEQUENTIAL, Task.DIRECT)


class PolicyDelegateConfig(Settings):
    """Whose answers they are. Settings are kept with all defaults, so that a run knows what its level was made with."""

    policy: str = Field(description="Name of the policy that answers.")
    settings: dict[str, Any] = Field({}, description="The settings of that policy, as they would stand in [policy].")

    @field_validator("policy")
    @classmethod
    def _ranks(cls, name: str) -> str:
        with _as_value_error():
            tasks = Registry.discover().spec(Kind.POLICY, name).spec.tasks
        if missing := [str(task) for task in RANKED if tasks and task not in tasks]:
            raise ValueError(f"the policy {name!r} cannot do the task {missing[0]!r}, so it cannot be a delegate")
        return name

    @field_validator("settings")
    @classmethod
    def _complete(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "policy" not in info.data:
            return settings  # the name is wrong, which is said
        with _as_value_error():
            config: type[Settings] = Registry.discover().load(Kind.POLICY, info.data["policy"]).Config
            return validated(config, settings).model_dump(mode="json")


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Pydantic, which knows the place of the delegate's settings, puts it before what is wrong."""
    try:
        yield
    except ReasonRecError as error:
        raise ValueError(error.message) from error


class PolicyDelegate(Delegate[PolicyDelegateConfig]):
    """A policy that answers as a delegate; see the module.

    It learns what the policy would learn, and may ask the pipeline's other delegates as the policy would: not one that
    is fitted to the pipeline's policy, which comes later, nor itself. Language-model tokens are counted for the
    pipeline's own policy alone.
    """

    Config = PolicyDelegateConfig
    tasks: ClassVar[frozenset[Task]] = frozenset(RANKED)

    def __init__(self, config: PolicyDelegateConfig) -> None:
        super().__init__(config)
        self._policy: ReasoningPolicy[Any] | None = None
        self._n_items = 0
        self._counts_tokens = True

    @classmethod
    def list_parts(cls, settings: Mapping[str, Any]) -> list[tuple[Kind, str, Any]]:
        """The policy, whose version and code are a part of what a fitted delegate depends on."""
        return [(Kind.POLICY, settings["policy"], None)]

    @property
    def thread_safe(self) -> bool:  # type: ignore[override]
        """Whether the policy is."""
        return self._ready.thread_safe

    def fit(self, data: FitData) -> None:
        """Fit the policy."""
        policy = Registry.discover().create(Kind.POLICY, self.config.policy, self.config.settings, where="settings")
        policy.fit(self._forbid_asking_itself(data))
        self._take(policy, data.catalog)

    def refit(self, data: FitData) -> Self:
        """The policy, fitted again by its own rule."""
        again = type(self)(self.config)
        again._take(self._ready.refit(self._forbid_asking_itself(data)), data.catalog)
        return again

    def remember_requests(self, wanted: bool) -> None:
        """As the policy does."""
        if isinstance(self._ready, RequestMemory):
            self._ready.remember_requests(wanted)

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        """The policy's answer with its steps."""
        found = self._ready.deliberate(batch, observation)
        if found.cost.tokens and self._counts_tokens:
            LOG.warning("the delegate's policy %s spends tokens, which are not counted", self.config.policy)
            self._counts_tokens = False
        return found

    def recommend(self, batch: QueryBatch, observation: Observation) -> Ranking:
        """The policy's ranking."""
        ranking = self.deliberate(batch, observation).ranking
        if ranking is None:
            raise PluginError(f"the policy {self.config.policy!r} gives no ranking")
        return ranking

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: probabilities, or where the policy states none, scores of its ranking.

        What it does not rank is -inf.
        """
        policy = self._ready
        if isinstance(policy, DistributionPolicy):
            return np.array(policy.distribution(batch, observation), np.float32)
        size = self._n_items if batch.candidates is None else batch.candidates.shape[1]
        ranking = self.recommend(replace(batch, k=size), observation)
        every = np.full((len(batch), self._n_items + 1), -np.inf, np.float32)  # the last column is what pads
        np.put_along_axis(every, ranking.items.astype(np.intp), ranking.scores, axis=1)
        every[:, -1] = -np.inf
        if batch.candidates is None:
            return every[:, :-1]
        return np.take_along_axis(every, batch.candidates.astype(np.intp), axis=1)

    def save(self, folder: Path) -> None:
        """Write the policy into a folder of its own."""
        super().save(folder)
        (folder / FOLDER).mkdir()
        self._ready.save(folder / FOLDER)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        kind = Registry.discover().load(Kind.POLICY, self.config.policy)
        self._take(kind.load(folder / FOLDER, catalog), catalog)
        return self

    def _take(self, policy: ReasoningPolicy[Any], catalog: Catalog) -> None:
        self._policy, self._n_items = policy, len(catalog)

    @property
    def _ready(self) -> ReasoningPolicy[Any]:
        if self._policy is None:
            raise PluginError(f"the delegate's policy {self.config.policy!r} was used before it was fitted")
        return self._policy

    def _forbid_asking_itself(self, data: FitData) -> FitData:
        """The same data; a policy that asks the delegate that it is itself would be fitted without end."""
        make = data.delegate
        if make is None:
            return data

        def ask(label: str) -> Delegate[Any]:
            made = make(label)
            if isinstance(made, PolicyDelegate) and made.config == self.config:
                what = f"the policy {self.config.policy!r} cannot ask {label!r}, the delegate that it is itself"
                raise ConfigError(what, where="settings", fix="It may ask other delegates, and not itself.")
            return made

        return replace(data, delegate=ask)

"""The estimator: how likely the policy's answer holds the target, and on how much evidence that is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
import torch
from pydantic import Field
from safetensors.torch import load_file, save_file

from reasonrec_core.components import FitData, ReasoningPolicy, Settings, UncertaintyEstimator
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import PluginError
from reasonrec_core.io import read_json, write_json
from reasonrec_core.types import (
    Bool,
    Cases,
    Deliberation,
    Float32,
    Float64,
    Int32,
    Observation,
    QueryBatch,
    Uncertainty,
)
from reasonrec_evidential.dirichlet import Opinion
from reasonrec_evidential.hits import (
    MIN_PER_CLASS,
    HitNetwork,
    HitTraining,
    predict_hits,
    split_opinion,
    train_hit_network,
)

CHUNK = 256
LEAST = 1e-6
"""Added to masses before their logarithm."""
NET, FACTS = "net.safetensors", "evidential.json"


@runtime_checkable
class EvidentialPolicy(Protocol):
    """A policy that says on how much evidence it answers."""

    @property
    def evidential(self) -> bool:
        """Whether it was trained to."""

    def evidence(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[B, K + 1]: a Dirichlet's parameters less 1, for ``items`` (-1 pads) and, last, all others."""


class EvidentialConfig(Settings):
    """What a pipeline file may set."""

    source: Literal["validation", "policy"] = Field(
        "validation",
        description="validation: learned here; policy: use the evidence that the policy was trained to state.",
    )
    top: int = Field(10, ge=1, description="The target counts as found if it is among this many best items.")
    loss: Literal["mse", "log", "digamma"] = Field("mse", description="Loss of the Dirichlet: mse, log or digamma.")
    hidden: int = Field(16, ge=1, description="Units of the hidden layer.")
    steps: int = Field(300, ge=1, description="Most training steps; cross-fitting decides how many.")
    queries: int = Field(5_000, ge=1, description="Most validation requests to learn from.")


class Evidential(UncertaintyEstimator[EvidentialConfig]):
    """1 - P(the target is among the ``top`` best), as a Dirichlet learned on validation.

    ``aleatoric`` is the expected entropy of hit or miss, ``epistemic`` the vacuity. Where hits or misses are too few
    to learn from, the Dirichlet counts them; without validation queries it knows nothing (vacuity 1). `report` has
    cross-fitted figures; of a policy that was itself fitted on validation they are optimistic.

    With ``source = "policy"`` nothing is learned here: the Dirichlet over the best items and all others together is the
    policy's (`EvidentialPolicy`, such as `chain` with ``evidence.loss``).
    """

    Config = EvidentialConfig

    def __init__(self, config: EvidentialConfig) -> None:
        super().__init__(config)
        self._policy: ReasoningPolicy[Any] | None = None
        self._net: HitNetwork | None = None
        self._counts: tuple[float, float] | None = None
        self.report: dict[str, float] = {}

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """The policy whose answers to validation queries are learned from, or which states its evidence."""
        if self.config.source == "policy" and not (isinstance(policy, EvidentialPolicy) and policy.evidential):
            raise PluginError(
                f"{type(policy).__name__} does not state its evidence",
                fix='Set evidence.loss of the chain policy, or leave source = "validation".',
            )
        self._policy = policy

    def fit(self, data: FitData) -> None:
        """Ask the policy the validation queries, and learn which answers hold their target."""
        if self.config.source == "policy":
            self._counts = (0.0, 0.0)
            return
        features, hit = np.zeros((0, self.config.top + 2)), np.zeros(0, np.bool_)
        if data.valid is not None:
            some = np.flatnonzero(np.diff(data.valid.target_indptr) > 0)
            if len(some) > self.config.queries:
                some = np.sort(np.random.default_rng(data.seed).choice(some, self.config.queries, replace=False))
            features, hit = self._collect_answers(data.valid.take(some), data.observation.take(some))
        found, missed = int(hit.sum()), int((~hit).sum())
        self._net, self._counts = None, (float(found), float(missed))
        self.report = {"queries": float(len(hit)), "hits": float(found)}
        if min(found, missed) >= MIN_PER_CLASS:
            recipe = HitTraining(self.config.loss, self.config.hidden, self.config.steps, data.seed)
            self._net, figures = train_hit_network(features, hit, recipe)
            self.report |= figures

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """From the masses of the answer and the evidence horizon."""
        if self._counts is None:
            raise PluginError("the evidential estimator was used before it was fitted")
        if self.config.source == "policy":
            hit, aleatoric, vacuity = self._read_policy(batch, observation, deliberation)
        elif self._net is None:
            evidence = torch.tensor(self._counts, dtype=torch.float64).expand(len(batch), 2)
            hit, aleatoric, vacuity = split_opinion(Opinion(evidence))
        else:
            answer = self._complete_answer(batch, observation, deliberation)
            hit, aleatoric, vacuity = predict_hits(self._net, self._features(answer, observation.horizon))
        total, one, other = (np.clip(values, 0.0, 1.0).astype(np.float32) for values in (1.0 - hit, vacuity, aleatoric))
        return Uncertainty(total, self.stage, epistemic=one, aleatoric=other)

    def _read_policy(
        self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None
    ) -> tuple[Float64, Float64, Float64]:
        """float64[B] each: P(hit), expected entropy in units of its largest, vacuity, as the policy has them."""
        answer = self._complete_answer(batch, observation, deliberation)
        if answer is None or answer.ranking is None or not isinstance(self._policy, EvidentialPolicy):
            raise PluginError("the evidential estimator needs a ranking from a policy that states its evidence")
        items = answer.ranking.items[:, : self.config.top]
        evidence = torch.from_numpy(self._policy.evidence(batch, observation, items).astype(np.float64))
        listed = torch.from_numpy(np.concatenate([items >= 0, np.ones((len(items), 1), np.bool_)], axis=1))
        opinion = Opinion(evidence, listed)
        most = np.log(np.maximum(opinion.outcomes.numpy(), 2.0))
        hit = 1.0 - opinion.probability[:, -1].numpy()
        return hit, opinion.expected_entropy.numpy() / most, opinion.vacuity.numpy()

    def _collect_answers(self, cases: Cases, observation: Observation) -> tuple[Float64, Bool]:
        """float64[B, F] features of the policy's answers, bool[B] whether a target is among the best."""
        if self._policy is None:
            raise PluginError("the evidential estimator needs a policy", fix="Name a policy in the pipeline.")
        features, hits = [np.zeros((0, self.config.top + 2))], [np.zeros(0, np.bool_)]
        for start, piece in replace(cases.queries, k=self.config.top).chunks(CHUNK):
            rows = np.arange(start, start + len(piece))
            seen, asked = observation.take(rows), cases.take(rows)
            answer = self._policy.deliberate(piece, seen)
            assert answer.ranking is not None
            features.append(self._features(answer, seen.horizon))
            listed = answer.ranking.items[:, : self.config.top]
            owner = np.repeat(np.arange(len(piece)), np.diff(asked.target_indptr))
            found = (listed[owner] == asked.targets[:, None]).any(axis=1)
            hits.append(np.bincount(owner, found, minlength=len(piece)) > 0)
        return np.concatenate(features), np.concatenate(hits)

    def _complete_answer(
        self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None
    ) -> Deliberation | None:
        """The answer with ``top`` items, as the network knows answers; asked for again where the list is shorter."""
        if deliberation is None or deliberation.mass is None or deliberation.mass.shape[1] >= self.config.top:
            return deliberation
        if batch.candidates is not None and batch.candidates.shape[1] == deliberation.mass.shape[1]:
            return deliberation
        if self._policy is None:
            raise PluginError("the evidential estimator needs a policy", fix="Name a policy in the pipeline.")
        return self._policy.deliberate(replace(batch, k=self.config.top), observation)

    def _features(self, deliberation: Deliberation | None, horizon: Float32) -> Float64:
        """float64[B, top + 2]: log masses of the best, of the rest, and the evidence horizon."""
        if deliberation is None or deliberation.mass is None:
            raise PluginError(
                "the evidential estimator needs the policy's distribution, but this policy gives none",
                fix="Use another estimator, or a policy that fills Deliberation.mass.",
            )
        best = deliberation.mass[:, : self.config.top].astype(np.float64)
        best = np.pad(best, ((0, 0), (0, self.config.top - best.shape[1])))
        rest = np.maximum(1.0 - best.sum(axis=1, keepdims=True), 0.0)
        masses = np.log(np.concatenate([best, rest], axis=1) + LEAST)
        return np.ascontiguousarray(np.concatenate([masses, horizon.astype(np.float64)[:, None]], axis=1))

    def save(self, folder: Path) -> None:
        """Write the network, the counts and the report."""
        super().save(folder)
        if self._counts is None:
            raise PluginError("the evidential estimator was saved before it was fitted")
        write_json(folder / FACTS, {"counts": list(self._counts), "report": self.report})
        if self._net is not None:
            save_file({name: value.contiguous() for name, value in self._net.state_dict().items()}, folder / NET)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        self = super().load(folder, catalog)
        facts = read_json(folder / FACTS)
        found, missed = facts["counts"]
        self._counts, self.report = (float(found), float(missed)), dict(facts["report"])
        if (folder / NET).is_file():
            with torch.random.fork_rng(devices=[]):  # a network is made at random before it is filled
                self._net = HitNetwork(self.config.top + 2, self.config.hidden).eval()
            self._net.load_state_dict(load_file(folder / NET))
        return self

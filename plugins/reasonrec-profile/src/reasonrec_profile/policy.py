"""The component: steps composed, chunked, saved and loaded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from scipy import sparse

from reasonrec_core.components import EditablePolicy, FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import PluginError
from reasonrec_core.types import (
    Cost,
    Deliberation,
    Edits,
    Float32,
    LazySteps,
    Observation,
    QueryBatch,
    Ranking,
    Step,
)
from reasonrec_profile.config import ProfileConfig
from reasonrec_profile.decide import RankedMixture, attribute, decide, mix_proposals
from reasonrec_profile.fitting import ProfileModel, fit_model, recount
from reasonrec_profile.history_weights import HistoryWeights
from reasonrec_profile.infer import Inference, infer
from reasonrec_profile.new_items import GrowingModel
from reasonrec_profile.propose import ExpertProposals, choose_chunk_size, propose
from reasonrec_profile.storage import read_model, write_model
from reasonrec_profile.verbalise import verbalise_steps

LISTED = 10


class Profile(EditablePolicy[ProfileConfig]):
    """Ranks by explicit steps; see the package's docstring.

    The mixture is fitted on validation queries, so figures on those queries are optimistic: `report` therefore has
    them for the pairs that the search used and for a third that it did not use (to which the experts' own decays
    were still fitted).
    """

    Config = ProfileConfig

    def __init__(self, config: ProfileConfig) -> None:
        super().__init__(config)
        self._growing: GrowingModel | None = None
        self._catalog: Catalog | None = None

    def fit(self, data: FitData) -> None:
        """Count, compare, and fit the mixture on ``data.valid`` (fixed weights without it)."""
        self._use(fit_model(self.config, data), data.catalog)

    def refit(self, data: FitData) -> Self:
        """Count again in ``data.train``; parameters, groups, neighbours and mixture stay as validation chose them."""
        again = type(self)(self.config)
        again._use(recount(self.model, data), data.catalog)
        return again

    def _use(self, model: ProfileModel, catalog: Catalog) -> None:
        self._growing, self._catalog = GrowingModel(model, catalog, self.config.neighbours, self.config.power), catalog

    @property
    def model(self) -> ProfileModel:
        """What was learned; items that came after the fit as they were seen last."""
        return self._ready.latest

    @property
    def _ready(self) -> GrowingModel:
        if self._growing is None:
            raise PluginError("the profile policy was used before it was fitted")
        return self._growing

    @property
    def report(self) -> dict[str, float]:
        """How fitting went, on validation; empty without validation data."""
        return dict(self.model.report)

    def evidence(self, batch: QueryBatch) -> HistoryWeights:
        """The first step, to be edited and given to `answer`."""
        return HistoryWeights.of(batch.history, self.config.max_history)

    def infer(self, evidence: HistoryWeights, observation: Observation) -> Inference:
        """The second step, to be edited and given to `answer`."""
        return infer(evidence, observation, self._ready.seeing(observation).fields)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The labels of the inferred fields."""
        return {field.name: field.labels for field in self.model.fields}

    def membership(self, field: str) -> sparse.csr_matrix:
        """float32 CSR[n_items, labels of ``field``]; new items are in groups as soon as they have been observed."""
        return next(f.membership for f in self.model.fields if f.name == field)

    def infer_labels(self, batch: QueryBatch, observation: Observation) -> Mapping[str, Float32]:
        """Per field float32[B, labels]: the second step's beliefs."""
        found = self.infer(self.evidence(batch), observation)
        return {field.name: belief for field, belief in zip(found.fields, found.beliefs, strict=True)}

    def deliberate(self, batch: QueryBatch, observation: Observation, edits: Edits | None = None) -> Deliberation:
        """Answer ``batch`` by all the steps, those that are edited as the edits say."""
        if not edits:
            return self.answer(batch, observation)
        evidence, inference = self.evidence(batch), None
        if edits.relevance is not None:
            evidence = replace(evidence, relevance=edits.relevance)
        if edits.assume:
            inference = self.infer(evidence, observation).assume_labels(edits.assume)
        return self.answer(batch, observation, evidence, inference)

    def attribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[L]: how much of the best item's score each history entry gave."""
        batch, evidence, found = replace(batch, k=1), self.evidence(batch), []
        model = self._ready.seeing(observation)
        for start, piece in batch.chunks(choose_chunk_size(len(model.popularity))):
            stop = start + len(piece)
            seen, given = observation.take(np.arange(start, stop)), evidence.slice(start, stop)
            _, proposals, weights, decision = self._decide(model, piece, seen, given, None)
            found.append(attribute(model.experts, seen, given, proposals, weights, decision))
        return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)

    def distribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items or C]: the mixture, as `deliberate` ranks by it."""
        model, evidence = self._ready.seeing(observation), self.evidence(batch)
        inference = infer(evidence, observation, model.fields)
        proposals = propose(batch, evidence, inference, observation, model.experts, model.popularity)
        return mix_proposals(inference, proposals, model.weights.of(observation.horizon))[0]

    def answer(
        self,
        batch: QueryBatch,
        observation: Observation,
        evidence: HistoryWeights | None = None,
        inference: Inference | None = None,
    ) -> Deliberation:
        """Answer ``batch``, from edited steps where they are given; all later steps follow from them.

        Returns:
            the ranking, its mass, confidence = the mass of the ten best, and steps that are put into words on demand.
        """
        started = time.perf_counter()
        evidence = self.evidence(batch) if evidence is None else evidence
        model = self._ready.seeing(observation)
        size = choose_chunk_size(len(model.popularity))
        decisions = []
        for start, piece in batch.chunks(size):
            stop = start + len(piece)
            given = None if inference is None else inference.slice(start, stop)
            seen = observation.take(np.arange(start, stop))
            decisions.append(self._decide(model, piece, seen, evidence.slice(start, stop), given)[-1])
        if not decisions:
            empty = np.zeros((0, batch.k), dtype=np.float32)
            ranking, mass = Ranking(empty.astype(np.int32), empty), empty
        else:
            items = np.concatenate([d.ranking.items for d in decisions])
            ranking = Ranking(items, np.concatenate([d.ranking.scores for d in decisions]))
            mass = np.concatenate([d.mass for d in decisions])
        basis = evidence

        def steps(row: int) -> tuple[Step, ...]:
            one = np.array([row])
            given = None if inference is None else inference.slice(row, row + 1)
            query, seen = batch.take(one), observation.take(one)
            parts = self._decide(model, query, seen, basis.slice(row, row + 1), given)
            assert self._catalog is not None
            return verbalise_steps(model, self._catalog, query, seen, basis.slice(row, row + 1), *parts)

        confidence = np.minimum(mass[:, :LISTED].sum(axis=1), np.float32(1.0)).astype(np.float32)
        cost = Cost(seconds=time.perf_counter() - started)
        return Deliberation(LazySteps(len(batch), steps), confidence, ranking, mass, cost=cost)

    def _decide(
        self,
        model: ProfileModel,
        batch: QueryBatch,
        observation: Observation,
        evidence: HistoryWeights,
        inference: Inference | None,
    ) -> tuple[Inference, ExpertProposals, Float32, RankedMixture]:
        """evidence -> infer -> propose -> weigh -> decide."""
        inference = infer(evidence, observation, model.fields) if inference is None else inference
        proposals = propose(batch, evidence, inference, observation, model.experts, model.popularity)
        weights = model.weights.of(observation.horizon)
        return inference, proposals, weights, decide(batch, inference, proposals, weights)

    def save(self, folder: Path) -> None:
        """Write the matrices, the fields and the mixture."""
        super().save(folder)
        write_model(self.model, folder)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        self = super().load(folder, catalog)
        self._use(read_model(folder), catalog)
        return self

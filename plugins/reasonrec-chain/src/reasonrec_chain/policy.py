"""The component: steps composed, chunked, edited, saved and loaded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from reasonrec_profile.api import HistoryWeights
from scipy import sparse

from reasonrec_chain.attribution import attribute_entries
from reasonrec_chain.config import ChainConfig
from reasonrec_chain.deliberate import deliberate_chunk, rank_mass
from reasonrec_chain.infer import infer
from reasonrec_chain.model import ChainModel
from reasonrec_chain.new_items import GrowingChain
from reasonrec_chain.predictive import compute_distribution, compute_evidence, draw_samples
from reasonrec_chain.propose import choose_chunk_size
from reasonrec_chain.storage import read_chain, write_chain
from reasonrec_chain.threads import one_thread
from reasonrec_chain.verbalise import verbalise_steps
from reasonrec_core.components import EditablePolicy, FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import PluginError
from reasonrec_core.types import (
    Cost,
    Deliberation,
    Edits,
    Float32,
    Int32,
    LazySteps,
    Observation,
    QueryBatch,
    Ranking,
    Step,
)

LISTED = 10


class Chain(EditablePolicy[ChainConfig]):
    """Ranks by steps of which some are counted and some are trained; see the package's docstring.

    The gates are fitted on validation queries, so figures on those are optimistic; `report` has their figure on
    pairs that they were not fitted on.
    """

    Config = ChainConfig
    thread_safe: ClassVar[bool] = True

    def __init__(self, config: ChainConfig) -> None:
        super().__init__(config)
        self._growing: GrowingChain | None = None

    def fit(self, data: FitData) -> None:
        """Count, train, and fit the gates on ``data.valid`` (without it the experts count alike)."""
        from reasonrec_chain.fitting import fit_chain  # answering needs no torch

        self._growing = GrowingChain(self.config, fit_chain(self.config, data), data.catalog)

    def refit(self, data: FitData) -> Self:
        """Count and train again in ``data.train``, for as many epochs as validation chose; the gates stay."""
        from reasonrec_chain.fitting import refit_chain

        again = type(self)(self.config)
        again._growing = GrowingChain(self.config, refit_chain(self.config, self.model, data), data.catalog)
        return again

    def fit_masses(self, data: FitData) -> None:
        """Fit only how likely items outside the pool are, to ``data.valid``; no ranking changes."""
        from reasonrec_chain.fit_masses import fit_masses

        model = fit_masses(self._ready.latest, self.config, data)
        self._growing = GrowingChain(self.config, model, data.catalog)

    @property
    def _ready(self) -> GrowingChain:
        if self._growing is None:
            raise PluginError("the chain policy was used before it was fitted")
        return self._growing

    @property
    def model(self) -> ChainModel:
        """What was learned; items that came after the fit as they were seen last."""
        return self._ready.latest

    def seeing(self, observation: Observation) -> ChainModel:
        """What was learned, with items that came after the fit as they are to be seen now."""
        return self._ready.seeing(observation)

    @property
    def report(self) -> dict[str, object]:
        """How fitting went: the epochs of training, the gates on unseen validation pairs."""
        return dict(self.model.report)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The labels of the inferred fields."""
        return {each.field.name: each.field.labels for each in self.model.experts.labels}

    def membership(self, field: str) -> sparse.csr_matrix:
        """float32 CSR[n_items, labels of ``field``]; new items are in groups as soon as they have been observed."""
        return next(each.field.membership for each in self.model.experts.labels if each.field.name == field)

    def infer_labels(self, batch: QueryBatch, observation: Observation) -> Mapping[str, Float32]:
        """Per field float32[B, labels], as inferred."""
        experts = self._ready.seeing(observation).experts
        evidence, cache = self._evidence(batch, None), experts.cache_items(observation)
        found = infer(experts.sequence.states(evidence, cache.tables), evidence, experts, cache)
        return {field.name: belief for field, belief in zip(found.fields, found.beliefs, strict=True)}

    def deliberate(self, batch: QueryBatch, observation: Observation, edits: Edits | None = None) -> Deliberation:
        """Answer ``batch``, from edited steps where they are given.

        Returns:
            the ranking, its mass, confidence = the mass of the ten best, and steps that are put into words on demand.
        """
        return self._deliberate(self._ready.seeing(observation), batch, observation, edits)

    @property
    def consults(self) -> bool:
        """Whether the settings name delegates to consult."""
        return bool(self.config.consulted)

    def consult(
        self,
        batch: QueryBatch,
        observation: Observation,
        answers: Mapping[str, Ranking],
        edits: Edits | None = None,
    ) -> Deliberation:
        """Answer ``batch`` with the consulted delegates among the experts.

        Args:
            batch, observation: as for `deliberate`.
            answers: lists, which say too little to make shares of (no item beyond the last, no score of candidates
                that were not listed): the policy asks its own copies of the delegates, whom it knows how to weigh.
            edits: as for `deliberate`.
        """
        return self._deliberate(self._ready.seeing(observation).consulted, batch, observation, edits)

    def _deliberate(
        self, model: ChainModel, batch: QueryBatch, observation: Observation, edits: Edits | None
    ) -> Deliberation:
        started = time.perf_counter()
        evidence = self._evidence(batch, edits)
        cache = model.experts.cache_items(observation)
        size, answers = choose_chunk_size(cache.n_items), []
        with one_thread(len(batch) <= size):
            states = model.experts.sequence.states(evidence, cache.tables)
            for start, piece in batch.chunks(size):
                stop = start + len(piece)
                given = None if edits is None else edits.slice(batch.history, start, stop)
                part, horizon = evidence.slice(start, stop), observation.horizon[start:stop]
                thought = deliberate_chunk(model, piece, part, states[start:stop], cache, horizon, given)
                answers.append(rank_mass(thought, piece, cache.n_items))
        if answers:
            items = np.concatenate([ranking.items for ranking, _ in answers])
            ranking = Ranking(items, np.concatenate([ranking.scores for ranking, _ in answers]))
            mass = np.concatenate([mass for _, mass in answers])
        else:
            empty = np.zeros((0, batch.k), np.float32)
            ranking, mass = Ranking(empty.astype(np.int32), empty), empty

        def steps(row: int) -> tuple[Step, ...]:
            return self._steps(model, batch, observation, edits, row)

        confidence = np.minimum(mass[:, :LISTED].sum(axis=1), np.float32(1.0)).astype(np.float32)
        cost = Cost(seconds=time.perf_counter() - started)
        return Deliberation(LazySteps(len(batch), steps), confidence, ranking, mass, cost=cost)

    def distribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items or C]: P(next item), which sums to 1 over the catalogue (see `out_of_pool`)."""
        model = self._ready.seeing(observation)
        with one_thread(len(batch) == 1):
            return compute_distribution(model, batch, self._evidence(batch, None), observation)

    def samples(self, batch: QueryBatch, observation: Observation, items: Int32, passes: int, seed: int) -> Float32:
        """float32[T, B, K]: P of ``items`` by T networks with dropout, or by the members of an ensemble."""
        model = self._ready.seeing(observation)
        with one_thread(len(batch) == 1):
            return draw_samples(model, batch, self._evidence(batch, None), observation, items, passes, seed)

    def item_vectors(self, observation: Observation) -> Float32:
        """float32[n_items, d + 1] of the sequence expert, the last column its biases (an ensemble's side by side)."""
        return np.ascontiguousarray(self._ready.seeing(observation).experts.cache_items(observation).vectors.T)

    def query_vectors(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, d + 1]: states of the histories and a 1; times `item_vectors` they are the expert's logits."""
        experts = self._ready.seeing(observation).experts
        with one_thread(len(batch) == 1):
            states = experts.sequence.states(self._evidence(batch, None), experts.cache_items(observation).tables)
        return np.concatenate([states, np.ones((len(states), 1), np.float32)], axis=1)

    @property
    def evidential(self) -> bool:
        """Whether the strength of the evidence was trained (``evidence.loss``)."""
        return self.model.strength is not None

    def evidence(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[B, K + 1]: evidence for ``items`` and, last, for all others together."""
        model = self._ready.seeing(observation)
        with one_thread(len(batch) == 1):
            return compute_evidence(model, batch, self._evidence(batch, None), observation, items)

    def attribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[L]: by how much ignoring an entry lowers the probability of the best item."""
        model = self._ready.seeing(observation)
        with one_thread(len(batch) == 1):
            return attribute_entries(model, batch, self._evidence(batch, None), observation, self._reach(model))

    def _reach(self, model: ChainModel) -> int:
        if model.experts.delegates:
            return np.iinfo(np.int32).max  # how far back they read is theirs to know
        return max(self.config.network.max_history, self.config.counted.max_history)

    def _evidence(self, batch: QueryBatch, edits: Edits | None) -> HistoryWeights:
        evidence = HistoryWeights.of(batch.history, self.config.counted.max_history)
        if edits is None or edits.relevance is None:
            return evidence
        return replace(evidence, relevance=edits.relevance)

    def _steps(
        self, model: ChainModel, batch: QueryBatch, observation: Observation, edits: Edits | None, row: int
    ) -> tuple[Step, ...]:
        one = np.array([row], np.intp)
        query, seen = batch.take(one), observation.take(one)
        given = None if edits is None else edits.take(batch.history, one)
        evidence = self._evidence(query, given)
        cache = model.experts.cache_items(observation)
        with one_thread():
            states = model.experts.sequence.states(evidence, cache.tables)
            thought = deliberate_chunk(model, query, evidence, states, cache, seen.horizon, given)
            votes = attribute_entries(model, query, evidence, seen, self._reach(model), given, thought)
        return verbalise_steps(model, self._ready.catalog.titles, query, seen, evidence, thought, votes)

    def save(self, folder: Path) -> None:
        """Write what was counted, the network and the gates."""
        super().save(folder)
        write_chain(self.model, folder)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        self = super().load(folder, catalog)
        self._growing = GrowingChain(self.config, read_chain(self.config, folder, catalog), catalog)
        return self

"""Fitting `chain`: count, train, propose for validation targets, fit the gates to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from reasonrec_profile.api import (
    AFFINITY,
    POPULARITY,
    HistoryWeights,
    ProfileModel,
    TargetPairs,
    fit_parts,
    make_default_weights,
    recount,
    sample_target_pairs,
)

from reasonrec_chain.config import ChainConfig
from reasonrec_chain.evidential import find_loss
from reasonrec_chain.fit_gating import FittedGates, GatePairs, fit_gates, join_pairs, make_pairs, train_gates
from reasonrec_chain.fit_masses import fit_masses
from reasonrec_chain.fit_sequence import train_sequence
from reasonrec_chain.infer import USUAL_TRUST, fit_trust, infer
from reasonrec_chain.model import ChainModel, list_experts, make_experts
from reasonrec_chain.propose import Experts, choose_chunk_size, propose
from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import History, QueryBatch, Task

TRUSTED = 5000
"""Validation pairs that decide between trained and counted beliefs."""


def fit_chain(config: ChainConfig, data: FitData) -> ChainModel:
    """Fit everything.

    Raises:
        DataError: no training interactions, or none that has a next one.
        ConfigError: a modality, field, expert or device that does not exist.
    """
    if config.evidence.loss:
        find_loss(config.evidence.loss)  # now, rather than after the training
    counted = fit_parts(config.counted, data)
    names = (*(e.name for e in counted.experts), AFFINITY, POPULARITY)
    unmixed = make_default_weights(names)
    kept = ProfileModel(counted.experts, counted.fields, counted.popularity, unmixed, {}, counted.half_life)
    _check_experts(config, kept)
    sequence, trained = train_sequence(config, data, counted.fields)
    experts = make_experts(config, kept, sequence, (USUAL_TRUST,) * len(counted.fields))
    report: dict[str, object] = {"training": [each.to_dict() for each in trained]}
    if data.valid is None or not len(data.valid.targets):
        nothing = _propose(config, data, experts, _nobody(data))
        gates = train_gates(nothing, config.gates, "static", len(data.catalog), 0).to_arrays()
        return ChainModel(kept, experts, gates, report)
    targets = sample_target_pairs(data.valid, data.observation.horizon, config.gates.pairs, data.seed)
    experts, fitted = weigh_beliefs(config, data, experts, targets)
    report["trust"] = dict(zip((f.name for f in counted.fields), experts.trust, strict=True))
    model = ChainModel(kept, experts, fitted.gates.to_arrays(), report | {"gates": fitted.report}, fitted.unseen)
    return fit_masses(model, config, data, targets)


def refit_chain(config: ChainConfig, model: ChainModel, data: FitData) -> ChainModel:
    """Count and train again in ``data.train``, for as many epochs as validation chose.

    Gates, trust, masses outside the pool and the strength of evidence stay: they were fitted to pairs that no expert
    had seen, and there are none left.
    """
    counted = recount(model.counted, data)
    before: Any = model.report["training"]
    sequence, trained = train_sequence(config, data, counted.fields, before)
    experts = make_experts(config, counted, sequence, model.experts.trust)
    report = {**model.report, "training": [each.to_dict() for each in trained]}
    return replace(model, counted=counted, experts=experts, report=report, unseen=None)


def weigh_beliefs(
    config: ChainConfig, data: FitData, experts: Experts, targets: TargetPairs
) -> tuple[Experts, FittedGates]:
    """The experts with the trust in trained beliefs that ranks unseen pairs better, and the gates to it.

    The trust that makes the targets' labels likeliest, unless counted labels alone rank significantly better. What a
    network believes of the next item's labels its sequence expert says already, item by item, while a count adds
    something else: the likelier labels need not be those that rank better.
    """

    def fitted(asked: Experts) -> FittedGates:
        pairs = _propose(config, data, asked, targets)
        return fit_gates(
            pairs,
            config.gates,
            len(data.catalog),
            data.seed,
            lambda done, total: data.progress(done, total, "chain: gates"),
        )

    likeliest = replace(experts, trust=_trust(config, data, experts, targets))
    found = fitted(likeliest)
    if not any(likeliest.trust):
        return likeliest, found
    counted = replace(experts, trust=(0.0,) * len(likeliest.trust))
    other = fitted(counted)
    figures = {
        "NDCG@10 on unseen pairs, likeliest labels": found.ndcg,
        "NDCG@10 on unseen pairs, counted labels": other.ndcg,
    }
    if other.better_than(found):
        likeliest, found = counted, other
    return likeliest, replace(found, report=found.report | figures)


def _check_experts(config: ChainConfig, counted: ProfileModel) -> None:
    known = list_experts(config.model_copy(update={"experts": None}), counted)
    for name in config.experts or ():
        if name not in known:
            raise ConfigError(f"there is no expert {name!r}", where="experts", fix=f"Experts: {', '.join(known)}.")
    if config.experts is not None and not config.experts:
        raise ConfigError(
            "there are no experts to use", where="experts", fix=f"Name some of these: {', '.join(known)}."
        )


def _trust(config: ChainConfig, data: FitData, experts: Experts, targets: TargetPairs) -> tuple[float, ...]:
    some = targets.take(np.arange(min(len(targets), TRUSTED)))
    evidence, cache = (
        HistoryWeights.of(some.queries.history, config.counted.max_history),
        experts.cache_items(data.observation),
    )
    states = experts.sequence.states(evidence, cache.tables)
    return fit_trust(states, evidence, some.targets, experts, cache)


def _propose(config: ChainConfig, data: FitData, experts: Experts, targets: TargetPairs) -> GatePairs:
    return join_pairs(list(propose_pairs(config, data, experts, targets)))


def propose_pairs(config: ChainConfig, data: FitData, experts: Experts, targets: TargetPairs) -> Iterator[GatePairs]:
    """Validation targets with what the experts propose for them, a chunk at a time."""
    seen, done = data.observation, 0
    evidence = HistoryWeights.of(targets.queries.history, config.counted.max_history)
    cache = experts.cache_items(seen)
    states = experts.sequence.states(evidence, cache.tables)
    size = choose_chunk_size(len(data.catalog))
    for start in range(0, max(len(targets), 1), size):
        stop = min(start + size, len(targets))
        piece = targets.take(np.arange(start, stop))
        part, horizon = evidence.slice(start, stop), piece.horizon
        inference = infer(states[start:stop], part, experts, cache)
        found = propose(piece.queries, part, inference, states[start:stop], experts, cache)
        yield make_pairs(found, inference.beliefs, horizon, piece.targets, piece.others)
        done += len(piece)
        data.progress(done, len(targets), "chain: proposals")


def _nobody(data: FitData) -> TargetPairs:
    """No pairs: what there is without validation data."""
    empty = np.zeros(0, np.int32)
    queries = QueryBatch(Task.SEQUENTIAL, empty, History.of([]))
    return TargetPairs(queries, empty, np.zeros(0, np.float32), np.zeros((0, 1), np.int32))

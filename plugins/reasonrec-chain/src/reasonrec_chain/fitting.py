"""Fitting `chain`: count, train, propose for validation targets, fit the gates to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, cycle
from typing import Any

import numpy as np
from reasonrec_clicks.evidence import find_loss
from reasonrec_profile.api import (
    AFFINITY,
    POPULARITY,
    HistoryWeights,
    ProfileModel,
    TargetPairs,
    fit_parts,
    make_default_weights,
    recount,
)

from reasonrec_chain.config import ChainConfig
from reasonrec_chain.delegate_experts import GateFold, fit_delegates, fit_folds, make_delegate, refit_delegates
from reasonrec_chain.fit_gating import FittedGates, GatePairs, fit_gates, join_pairs, make_pairs, train_gates
from reasonrec_chain.fit_masses import fit_masses
from reasonrec_chain.fit_sequence import train_sequence
from reasonrec_chain.infer import USUAL_TRUST, fit_trust, infer
from reasonrec_chain.model import ChainModel, Consulting, list_delegates, list_experts, make_experts
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
        find_loss(config.evidence.loss, "evidence.loss")  # now, rather than after the training
    counted = fit_parts(config.counted, data)
    names = (*(e.name for e in counted.experts), AFFINITY, POPULARITY)
    unmixed = make_default_weights(names)
    kept = ProfileModel(counted.experts, counted.fields, counted.popularity, unmixed, {}, counted.half_life)
    _check_experts(config, kept, data)
    sequence, trained = train_sequence(config, data, counted.fields)
    trust, delegates = (USUAL_TRUST,) * len(counted.fields), list_delegates(config, kept)
    report: dict[str, object] = {"training": [each.to_dict() for each in trained]}
    if data.valid is None or not len(data.valid.targets):
        experts = make_experts(config, kept, sequence, trust, fit_delegates(delegates, data, 0))
        nothing = _propose(config, data, experts, [GateFold(experts.delegates, _nobody(data))])
        gates = train_gates(nothing, config.gates, "static", len(data.catalog), 0).to_arrays()
        return ChainModel(kept, experts, gates, report)
    folds = fit_folds(delegates, data, config.gates.pairs)
    experts = make_experts(config, kept, sequence, trust, folds[0].delegates)
    experts, fitted = weigh_beliefs(config, data, experts, folds)
    report["trust"] = dict(zip((f.name for f in counted.fields), experts.trust, strict=True))
    model = ChainModel(kept, experts, fitted.gates.to_arrays(), report | {"gates": fitted.report}, fitted.unseen)
    if config.consulted:
        model = fit_consulting(model, config, data, folds)
    return fit_masses(model, config, data, folds[0].targets)


def refit_chain(config: ChainConfig, model: ChainModel, data: FitData) -> ChainModel:
    """Count and train again in ``data.train``, for as many epochs as validation chose.

    Gates, trust, masses outside the pool and the strength of evidence stay: they were fitted to pairs that no expert
    had seen, and there are none left.
    """
    counted = recount(model.counted, data)
    before: Any = model.report["training"]
    sequence, trained = train_sequence(config, data, counted.fields, before)
    delegates = refit_delegates(model.experts.delegates, data)
    experts = make_experts(config, counted, sequence, model.experts.trust, delegates)
    report = {**model.report, "training": [each.to_dict() for each in trained]}
    if (consulting := model.consulting) is not None:
        consulting = replace(consulting, delegates=refit_delegates(consulting.delegates, data))
    return replace(model, counted=counted, experts=experts, report=report, unseen=None, consulting=consulting)


def fit_consulting(model: ChainModel, config: ChainConfig, data: FitData, folds: Sequence[GateFold]) -> ChainModel:
    """The model with the consulted delegates, and gates for them beside all experts, if those rank unseen pairs better.

    The router asks whether consulting pays on the very queries that both sets of gates are fitted to, one perhaps more
    closely than the other. So it is asked here first, on pairs that neither gates nor delegates have seen.

    Args:
        model: fitted, but for its masses; what it answers alone stays.
        config: its settings.
        data: what it was fitted on.
        folds: what its own gates were fitted to.
    """
    added = fit_folds(tuple(dict.fromkeys(config.consulted)), data, config.gates.pairs)
    # Folds of delegates hold the same pairs, whoever is asked; where there was one fold, it has no delegates.
    own = [replace(b, delegates=a.delegates) for a, b in zip(cycle(folds), added, strict=False)]
    both = [replace(a, delegates=(*a.delegates, *b.delegates)) for a, b in zip(own, added, strict=True)]
    delegates = added[0].delegates
    alone = _fit_gates(config, data, model.experts, own)
    found = _fit_gates(config, data, model.experts.with_delegates(delegates), both)
    figures = {"NDCG@10 on unseen pairs, alone": alone.ndcg, "NDCG@10 on unseen pairs, consulting": found.ndcg}
    report = model.report | {"consulting": found.report | figures}
    consulting = Consulting(delegates, found.gates.to_arrays()) if found.better_than(alone) else None
    return replace(model, consulting=consulting, report=report)


def weigh_beliefs(
    config: ChainConfig, data: FitData, experts: Experts, folds: Sequence[GateFold]
) -> tuple[Experts, FittedGates]:
    """The experts with the trust in trained beliefs that ranks unseen pairs better, and the gates to it.

    The trust that makes the targets' labels likeliest, unless counted labels alone rank significantly better. What a
    network believes of the next item's labels its sequence expert says already, item by item, while a count adds
    something else: the likelier labels need not be those that rank better.
    """

    likeliest = replace(experts, trust=_trust(config, data, experts, folds[0].targets))
    found = _fit_gates(config, data, likeliest, folds)
    if not any(likeliest.trust):
        return likeliest, found
    counted = replace(experts, trust=(0.0,) * len(likeliest.trust))
    other = _fit_gates(config, data, counted, folds)
    figures = {
        "NDCG@10 on unseen pairs, likeliest labels": found.ndcg,
        "NDCG@10 on unseen pairs, counted labels": other.ndcg,
    }
    if other.better_than(found):
        likeliest, found = counted, other
    return likeliest, replace(found, report=found.report | figures)


def _fit_gates(config: ChainConfig, data: FitData, experts: Experts, folds: Sequence[GateFold]) -> FittedGates:
    pairs = _propose(config, data, experts, folds)
    size, seed = len(data.catalog), data.seed
    return fit_gates(pairs, config.gates, size, seed, lambda done, total: data.progress(done, total, "chain: gates"))


def _check_experts(config: ChainConfig, counted: ProfileModel, data: FitData) -> None:
    own = list_experts(config.model_copy(update={"experts": None}), counted)
    known = ", ".join(own)
    if config.experts is not None and not config.experts:
        raise ConfigError("there are no experts to use", where="experts", fix=f"Name some of these: {known}.")
    for name in list_delegates(config, counted):
        try:
            make_delegate(name, data)  # now, rather than after the training
        except ConfigError as error:
            fix = f"Experts: {known}, and the pipeline's delegates. {error.fix or ''}".rstrip()
            raise ConfigError(error.what, where="experts", fix=fix) from error
    for name in config.consulted:
        if name in (*own, *(config.experts or ())):
            what = f"{name!r} is one of the experts, which are always asked"
            raise ConfigError(what, where="consulted", fix="Name another delegate, or give this one another label.")
        make_delegate(name, data, "consulted")


def _trust(config: ChainConfig, data: FitData, experts: Experts, targets: TargetPairs) -> tuple[float, ...]:
    some = targets.take(np.arange(min(len(targets), TRUSTED)))
    evidence, cache = (
        HistoryWeights.of(some.queries.history, config.counted.max_history),
        experts.cache_items(data.observation),
    )
    states = experts.sequence.states(evidence, cache.tables)
    return fit_trust(states, evidence, some.targets, experts, cache)


def _propose(config: ChainConfig, data: FitData, experts: Experts, folds: Sequence[GateFold]) -> GatePairs:
    """The pairs of all folds, each with its own delegates."""
    parts = [propose_pairs(config, data, replace(experts, delegates=f.delegates), f.targets) for f in folds]
    return join_pairs(list(chain.from_iterable(parts)))


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
        found = propose(piece.queries, part, inference, states[start:stop], experts, cache, horizon)
        yield make_pairs(found, inference.beliefs, horizon, piece.targets, piece.others)
        done += len(piece)
        data.progress(done, len(targets), "chain: proposals")


def _nobody(data: FitData) -> TargetPairs:
    """No pairs: what there is without validation data."""
    empty = np.zeros(0, np.int32)
    queries = QueryBatch(Task.SEQUENTIAL, empty, History.of([]))
    return TargetPairs(queries, empty, np.zeros(0, np.float32), np.zeros((0, 1), np.int32))

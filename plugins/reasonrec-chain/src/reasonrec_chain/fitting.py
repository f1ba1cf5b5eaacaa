"""Fitting `chain`: count, train, propose for validation targets, fit the gates to them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from reasonrec_chain.batches import TrainingSequences
from reasonrec_chain.config import ChainConfig
from reasonrec_chain.curriculum import Curriculum
from reasonrec_chain.devices import seeded
from reasonrec_chain.fit_gates import Pairs, fit_gates, join, pair, train_gates
from reasonrec_chain.infer import infer
from reasonrec_chain.model import ChainModel, expert_names, make_experts
from reasonrec_chain.network import Network
from reasonrec_chain.progress import TrainingReport
from reasonrec_chain.propose import Experts, propose, rows_at_once
from reasonrec_chain.sequence import SequenceModel
from reasonrec_chain.softmax import make_softmax
from reasonrec_chain.training import train
from reasonrec_chain.validation import ranking_figure
from reasonrec_chain.views import ItemInputs, View, item_inputs
from reasonrec_core.builtin.popularity import item_counts
from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.builtin.profile.fit_fields import modalities
from reasonrec_core.builtin.profile.fitting import Counted, Model, fit_counted, unfitted
from reasonrec_core.builtin.profile.pool import Targets, pair_up
from reasonrec_core.builtin.profile.propose import AFFINITY, POPULARITY
from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError
from reasonrec_core.files import content_hash
from reasonrec_core.types import History, QueryBatch, Task

MOST_HIDDEN = 0.3
"""Share of the items whose ids are hidden while training, at most, where it is not set."""


def fit_chain(config: ChainConfig, data: FitData) -> ChainModel:
    """Fit everything.

    Raises:
        DataError: no training interactions, or none that has a next one.
        ConfigError: a modality, field, expert or device that does not exist.
    """
    counted = fit_counted(config.counted, data)
    names = (*(e.name for e in counted.experts), AFFINITY, POPULARITY)
    kept = Model(counted.experts, counted.fields, counted.popularity, unfitted(names), {})
    _check_experts(config, kept)
    sequence, training = _train(config, data, counted)
    experts = make_experts(config, kept, sequence)
    report: dict[str, object] = {"training": training.to_dict()}
    if data.valid is None or not len(data.valid.targets):
        nothing = _propose(config, data, experts, _nobody(data))
        return ChainModel(kept, experts, train_gates(nothing, config.gates, "static", len(data.catalog), 0), report)
    targets = pair_up(data.valid, data.observation.horizon, config.gates.pairs, data.seed)
    fitted = fit_gates(
        _propose(config, data, experts, targets),
        config.gates,
        len(data.catalog),
        data.seed,
        lambda done, total: data.progress(done, total, "chain: gates"),
    )
    return ChainModel(kept, experts, fitted.gates, report | {"gates": fitted.report})


def _check_experts(config: ChainConfig, counted: Model) -> None:
    known = expert_names(config.model_copy(update={"experts": None}), counted)
    for name in config.experts or ():
        if name not in known:
            raise ConfigError(f"there is no expert {name!r}", where="experts", fix=f"Experts: {', '.join(known)}.")
    if config.experts is not None and not config.experts:
        raise ConfigError("no experts to ask", where="experts", fix=f"Name some of: {', '.join(known)}.")


def _train(config: ChainConfig, data: FitData, counted: Counted) -> tuple[SequenceModel, TrainingReport]:
    """The network, trained on the training part; validation chooses the epoch."""
    seen, counts = data.observation, item_counts(data.train, len(data.catalog))
    wanted = modalities(config.counted.model_copy(update={"modalities": config.network.modalities}), data)
    views = tuple(View.of(m, seen.features[m], seen.present[m], config.network.components) for m in wanted)
    memberships = tuple(field.membership for field in counted.fields)
    inputs = item_inputs(counts, views, memberships, seen)
    hidden = config.network.hidden_ids
    if hidden is None:
        hidden = min(MOST_HIDDEN, float((counts == 0).mean()))
    with seeded(data.seed):
        priors = tuple(torch.from_numpy(field.prior) for field in counted.fields)
        network = Network(
            config.network, inputs, priors, make_softmax(config.training, counts[counts > 0].astype(np.int64)), hidden
        )
    indptr = np.concatenate([[0], np.cumsum(np.bincount(data.train.users, minlength=data.n_users))]).astype(np.int64)
    sequences = TrainingSequences(
        indptr,
        data.train.items,
        shape=config.training.samples,
        max_history=config.network.max_history,
        tokens=config.training.batch_tokens,
        newest_only=config.training.newest_only,
    )
    validated = data.valid is not None and len(data.valid.targets) > 0
    report = train(
        network,
        sequences,
        config.training,
        seed=data.seed,
        validate=ranking_figure(data.valid, config.network.max_history) if validated and data.valid else None,
        curriculum=_curriculum(config, data, indptr, sequences),
        progress=data.progress,
        workdir=data.workdir,
        key=_identity(config, inputs, hidden),
    )
    network.to("cpu").eval()
    return SequenceModel(network, views, counts, memberships), report


def _identity(config: ChainConfig, inputs: ItemInputs, hidden: float) -> str:
    """Hash of what the trained weights depend on besides sequences, seed and the settings of training."""
    members = [part for m in inputs.members for part in (m.indices(), m.values())]
    tensors = (inputs.counts, *inputs.views, *inputs.present, *members)
    return content_hash(config.network.model_dump(mode="json"), *(t.numpy().tobytes() for t in tensors), hidden)


def _curriculum(
    config: ChainConfig, data: FitData, indptr: np.ndarray[tuple[int], np.dtype[np.int64]], sequences: TrainingSequences
) -> Curriculum | None:
    if config.curriculum.kind == "none":
        return None
    if data.horizon is None:
        raise ConfigError("a curriculum needs the evidence horizon of the training users", where="curriculum.kind")
    past = History(indptr, data.train.items, data.train.times)
    everyone = QueryBatch(Task.SEQUENTIAL, np.arange(data.n_users, dtype=np.int32), past)
    return Curriculum(config.curriculum, data.horizon(everyone), sequences.users)


def _propose(config: ChainConfig, data: FitData, experts: Experts, targets: Targets) -> Pairs:
    return join(list(_pairs(config, data, experts, targets)))


def _pairs(config: ChainConfig, data: FitData, experts: Experts, targets: Targets) -> Iterator[Pairs]:
    seen, done = data.observation, 0
    evidence = Evidence.of(targets.queries.history, config.counted.max_history)
    states = experts.sequence.states(evidence, seen)
    size = rows_at_once(len(data.catalog))
    for start in range(0, max(len(targets), 1), size):
        stop = min(start + size, len(targets))
        piece = targets.take(np.arange(start, stop))
        part, horizon = evidence.slice(start, stop), piece.horizon
        inference = infer(states[start:stop], experts)
        found = propose(piece.queries, part, inference, states[start:stop], seen, experts)
        yield pair(found, inference.beliefs, horizon, piece.targets, piece.others)
        done += len(piece)
        data.progress(done, len(targets), "chain: proposals")


def _nobody(data: FitData) -> Targets:
    """No pairs: what there is without validation data."""
    empty = np.zeros(0, np.int32)
    queries = QueryBatch(Task.SEQUENTIAL, empty, History.of([]))
    return Targets(queries, empty, np.zeros(0, np.float32), np.zeros((0, 1), np.int32))

"""Training the sequence expert: one network, or several that differ in their seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from reasonrec_profile.api import ItemField, choose_modalities
from reasonrec_torch.batching import TrainingSequences
from reasonrec_torch.config import train_as_long
from reasonrec_torch.curriculum import Curriculum
from reasonrec_torch.devices import seeded
from reasonrec_torch.feature_projection import ItemTensors, make_item_tensors
from reasonrec_torch.item_features import fit_projections
from reasonrec_torch.losses import Softmax, make_softmax
from reasonrec_torch.next_item import next_item_figure
from reasonrec_torch.parameters import read_parameters
from reasonrec_torch.progress import TrainingReport
from reasonrec_torch.trainer import train

from reasonrec_chain.config import ChainConfig, TrainingConfig
from reasonrec_chain.network import Network
from reasonrec_chain.network_arrays import NetworkArrays
from reasonrec_chain.sequence import SequenceModel
from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError
from reasonrec_core.io import content_hash
from reasonrec_core.types import History, Int64, QueryBatch, Task, indptr_of

MOST_HIDDEN = 0.3
"""Share of the items whose ids are hidden while training, at most, where it is not set."""


def train_sequence(
    config: ChainConfig,
    data: FitData,
    fields: tuple[ItemField, ...],
    chosen: Sequence[Mapping[str, Any]] | None = None,
) -> tuple[SequenceModel, tuple[TrainingReport, ...]]:
    """The networks, trained on the training part; validation chooses each one's epoch.

    The first network's seed is that of ``data``; each has a checkpoint of its own. With ``chosen``, reports of earlier
    trainings, each network is trained for as many epochs as its report kept, of as many as were planned.
    """
    seen, counts = data.observation, data.train.count_items(len(data.catalog))
    wanted = choose_modalities(config.counted.model_copy(update={"modalities": config.network.modalities}), data)
    views = fit_projections(seen, wanted, config.network.components)
    memberships = tuple(field.membership for field in fields)
    inputs = make_item_tensors(counts, views, memberships, seen)
    hidden = config.network.hidden_ids
    if hidden is None:
        hidden = min(MOST_HIDDEN, float((counts == 0).mean()))
    indptr = indptr_of(np.bincount(data.train.users, minlength=data.n_users))
    sequences = TrainingSequences(
        indptr,
        data.train.items,
        shape=config.training.samples,
        max_history=config.network.max_history,
        tokens=config.training.batch_tokens,
        newest_only=config.training.newest_only,
        times=data.train.times if config.training.shuffle_ties else None,
        curriculum=_make_curriculum(config, data, indptr),
    )
    key = _identity(config, inputs, hidden)
    validated = data.valid is not None and len(data.valid.targets) > 0
    priors = tuple(torch.from_numpy(field.prior) for field in fields)
    softmax = _make_loss(config.training, counts[counts > 0].astype(np.int64))
    networks, reports = [], []
    members = config.network.members
    for member in range(members):
        training = config.training
        if chosen is not None:
            training = train_as_long(training, chosen[member]["planned"], chosen[member]["best"])
        seed = data.seed if not member else int(np.random.SeedSequence([data.seed, member]).generate_state(1)[0])
        with seeded(seed):
            network = Network(config.network, inputs, priors, softmax, hidden)
        workdir = None if data.workdir is None else data.workdir / f"network-{member}"
        report = train(
            network,
            sequences,
            training,
            seed=seed,
            validate=next_item_figure(data.valid, config.network.max_history) if validated and data.valid else None,
            progress=data.progress,
            workdir=workdir,
            key=key,
            label="train chain"
            if config.network.members == 1
            else f"train chain {member + 1} of {config.network.members}",
        )
        networks.append(NetworkArrays(config.network, read_parameters(network)))
        reports.append(report)
    return SequenceModel(tuple(networks), views, counts, fields), tuple(reports)


def _identity(config: ChainConfig, inputs: ItemTensors, hidden: float) -> str:
    """Hash of what the trained weights depend on besides sequences, seed and the settings of training."""
    members = [part for m in inputs.members for part in (m.indices(), m.values())]
    tensors = (inputs.counts, *inputs.views, *inputs.present, *members)
    return content_hash(config.network.model_dump(mode="json"), *(t.numpy().tobytes() for t in tensors), hidden)


def _make_loss(config: TrainingConfig, counts: Int64) -> Softmax:
    return make_softmax(
        config.loss,
        counts,
        negatives=config.negatives,
        popularity=config.popularity,
        smoothing=config.smoothing,
    )


def _make_curriculum(config: ChainConfig, data: FitData, indptr: Int64) -> Curriculum | None:
    if config.curriculum.kind == "none":
        return None
    if data.horizon is None:
        raise ConfigError("a curriculum needs the evidence horizon of the training users", where="curriculum.kind")
    past = History(indptr, data.train.items, data.train.times)
    everyone = QueryBatch(Task.SEQUENTIAL, np.arange(data.n_users, dtype=np.int32), past)
    return Curriculum(config.curriculum, data.horizon(everyone), np.flatnonzero(np.diff(indptr) >= 2))

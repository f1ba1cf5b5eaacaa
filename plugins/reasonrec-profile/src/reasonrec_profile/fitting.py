"""Fitting `profile`: each expert's few parameters alone, then the mixture, all on validation queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.errors import DataError
from reasonrec_core.types import Float32
from reasonrec_profile.candidate_pool import TargetPairs, build_pool, sample_target_pairs
from reasonrec_profile.config import ProfileConfig
from reasonrec_profile.decide import MixtureWeights
from reasonrec_profile.fit_parts import (
    choose_modalities,
    count_transitions,
    fit_content_expert,
    fit_fields,
    fit_transitions_expert,
)
from reasonrec_profile.history_weights import HistoryWeights
from reasonrec_profile.infer import infer
from reasonrec_profile.item_fields import ItemField, compute_prior
from reasonrec_profile.mixture import fit_mixture
from reasonrec_profile.propose import AFFINITY, POPULARITY, Expert, ExpertProposals, choose_chunk_size, propose

HALF_LIVES = (None, 0.3, 0.1, 0.03, 0.01)  # of the time that the training log spans
SMOOTHING = 0.1  # interactions given to every item, so that an item without any keeps a chance


@dataclass(frozen=True)
class ProfileModel:
    """All that `profile` learned.

    Attributes:
        experts: the item-to-item experts.
        fields: the item fields.
        popularity: float32[n_items], sums to 1, positive.
        weights: of the experts, then affinity and popularity.
        report: how fitting went, on validation.
        half_life: of interactions in ``popularity``, as a share of the time that the log spans; None where all count
            alike.
    """

    experts: tuple[Expert, ...]
    fields: tuple[ItemField, ...]
    popularity: Float32
    weights: MixtureWeights
    report: dict[str, float]
    half_life: float | None = None


@dataclass(frozen=True)
class FittedParts:
    """What is counted and compared before anything is mixed; a policy of its own can be built on it.

    Attributes:
        experts: the item-to-item experts.
        fields: the item fields, and groups of items as fields.
        popularity: float32[n_items], sums to 1, positive.
        pairs: the validation targets that the few parameters were fitted to, or None.
        half_life: see `ProfileModel`.
    """

    experts: tuple[Expert, ...]
    fields: tuple[ItemField, ...]
    popularity: Float32
    pairs: TargetPairs | None
    half_life: float | None = None


def fit_parts(config: ProfileConfig, data: FitData) -> FittedParts:
    """Each expert and each field, fitted alone.

    Raises:
        DataError: no training interactions.
        ConfigError: a modality or field that does not exist.
    """
    if not len(data.train):
        raise DataError("there are no training interactions to learn from", where="profile")
    pairs = _pairs(config, data)
    counts = data.train.count_items(len(data.catalog))
    popularity, half_life = _popularity(data, pairs)
    content = choose_modalities(config, data)
    fields, directions = fit_fields(config, data, counts, pairs)
    experts = (
        fit_transitions_expert(config, data),
        *(fit_content_expert(modality, directions, config, data, pairs) for modality in content),
    )
    return FittedParts(experts, fields, popularity, pairs, half_life)


def fit_model(config: ProfileConfig, data: FitData) -> ProfileModel:
    """Fit everything.

    Raises:
        DataError: no training interactions.
        ConfigError: a modality or field that does not exist.
    """
    counted = fit_parts(config, data)
    experts, fields, popularity, pairs = counted.experts, counted.fields, counted.popularity, counted.pairs
    names = (*(e.name for e in experts), AFFINITY, POPULARITY)
    if pairs is None or not len(pairs):
        fields = tuple(replace(f, exponent=0.1) for f in fields)
        return ProfileModel(experts, fields, popularity, make_default_weights(names), {}, counted.half_life)

    def ask(piece: TargetPairs) -> ExpertProposals:
        evidence = HistoryWeights.of(piece.queries.history, config.max_history)
        return propose(
            piece.queries,
            evidence,
            infer(evidence, data.observation, fields),
            data.observation,
            experts,
            popularity,
        )

    count = _counter(data, len(pairs), "profile: proposals")
    pool = build_pool(pairs, ask, choose_chunk_size(len(popularity)), count)
    fitted = fit_mixture(
        pool, names, len(experts), data.seed, config.trials, lambda d, t: data.progress(d, t, "profile: mixture")
    )
    experts = tuple(replace(e, shrinkage=s) for e, s in zip(experts, fitted.shrinkage, strict=False))
    fields = tuple(replace(f, exponent=b) for f, b in zip(fields, fitted.exponents, strict=True))
    return ProfileModel(experts, fields, popularity, fitted.weights, fitted.report, counted.half_life)


def _pairs(config: ProfileConfig, data: FitData) -> TargetPairs | None:
    if data.valid is None or not len(data.valid.targets):
        return None
    return sample_target_pairs(data.valid, data.observation.horizon, config.fit_queries, data.seed)


def _popularity(data: FitData, pairs: TargetPairs | None) -> tuple[Float32, float | None]:
    """Shares of the training log, recent interactions counting more where that suits the validation targets."""
    best, best_fit, chosen = compute_popularity(data, None), -np.inf, None
    for part in HALF_LIVES if pairs is not None and len(pairs) else ():
        share = compute_popularity(data, part)
        fit = float(np.log(share[pairs.targets]).mean()) if pairs is not None else 0.0
        if fit > best_fit:
            best, best_fit, chosen = share, fit, part
    return best, chosen


def compute_popularity(data: FitData, half_life: float | None) -> Float32:
    """float32[n_items]: shares of ``data.train``, smoothed; ``half_life`` as in `ProfileModel`."""
    times = data.train.times
    span = float(times.max() - times.min())
    age = half_life * span if half_life is not None and span > 0 else None
    counts = data.train.count_items(len(data.catalog), age) + SMOOTHING
    return np.asarray(counts / counts.sum(), dtype=np.float32)


def recount(model: ProfileModel, data: FitData) -> ProfileModel:
    """What is counted, counted in ``data.train``; everything that was chosen stays as it is."""
    counts = data.train.count_items(len(data.catalog))
    return replace(
        model,
        experts=tuple(
            replace(e, matrix=count_transitions(e.counting, data)) if e.counting else e for e in model.experts
        ),
        fields=tuple(replace(f, prior=compute_prior(f.membership, counts)) for f in model.fields),
        popularity=compute_popularity(data, model.half_life),
    )


def make_default_weights(names: Sequence[str]) -> MixtureWeights:
    """Without validation: the item-to-item experts share most of the weight equally."""
    table = np.full((1, len(names)), 0.9 / (len(names) - 2), dtype=np.float32)
    table[0, -2:] = 0.05
    return MixtureWeights(tuple(names), np.zeros(0), table)


def _counter(data: FitData, total: int, label: str) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        data.progress(done, total, label)

    return count

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
from reasonrec_profile.fit_parts import choose_modalities, fit_content_expert, fit_fields, fit_transitions_expert
from reasonrec_profile.history_weights import HistoryWeights
from reasonrec_profile.infer import infer
from reasonrec_profile.item_fields import ItemField
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
    """

    experts: tuple[Expert, ...]
    fields: tuple[ItemField, ...]
    popularity: Float32
    weights: MixtureWeights
    report: dict[str, float]


@dataclass(frozen=True)
class FittedParts:
    """What is counted and compared before anything is mixed; a policy of its own can be built on it.

    Attributes:
        experts: the item-to-item experts.
        fields: the item fields, and groups of items as fields.
        popularity: float32[n_items], sums to 1, positive.
        pairs: the validation targets that the few parameters were fitted to, or None.
    """

    experts: tuple[Expert, ...]
    fields: tuple[ItemField, ...]
    popularity: Float32
    pairs: TargetPairs | None


def fit_parts(config: ProfileConfig, data: FitData) -> FittedParts:
    """Each expert and each field, fitted alone.

    Raises:
        DataError: no training interactions.
        ConfigError: a modality or field that does not exist.
    """
    if not len(data.train):
        raise DataError("no training interactions to learn from", where="profile")
    pairs = _pairs(config, data)
    counts = data.train.count_items(len(data.catalog))
    popularity = _popularity(data, pairs)
    content = choose_modalities(config, data)
    fields, directions = fit_fields(config, data, counts, pairs)
    experts = (
        fit_transitions_expert(config, data),
        *(fit_content_expert(modality, directions, config, data, pairs) for modality in content),
    )
    return FittedParts(experts, fields, popularity, pairs)


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
        return ProfileModel(experts, fields, popularity, make_default_weights(names), {})

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
    return ProfileModel(experts, fields, popularity, fitted.weights, fitted.report)


def _pairs(config: ProfileConfig, data: FitData) -> TargetPairs | None:
    if data.valid is None or not len(data.valid.targets):
        return None
    return sample_target_pairs(data.valid, data.observation.horizon, config.fit_queries, data.seed)


def _popularity(data: FitData, pairs: TargetPairs | None) -> Float32:
    """Shares of the training log, recent interactions counting more where that suits the validation targets."""
    times = data.train.times
    span = float(times.max() - times.min())
    best, best_fit = None, -np.inf
    for part in HALF_LIVES:
        if part is not None and (span <= 0 or pairs is None):
            continue
        counts = data.train.count_items(len(data.catalog), None if part is None else part * span) + SMOOTHING
        share = np.asarray(counts / counts.sum(), dtype=np.float32)
        fit = 0.0 if pairs is None or not len(pairs) else float(np.log(share[pairs.targets]).mean())
        if fit > best_fit:
            best, best_fit = share, fit
    assert best is not None
    return best


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

"""Fitting `profile`: each expert's few parameters alone, then the mixture, all on validation queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from reasonrec_core.builtin.popularity import item_counts
from reasonrec_core.builtin.profile.config import ProfileConfig
from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.builtin.profile.fields import ItemField, find_fields
from reasonrec_core.builtin.profile.infer import infer
from reasonrec_core.builtin.profile.mixture import fit_mixture
from reasonrec_core.builtin.profile.neighbours import Space, neighbours
from reasonrec_core.builtin.profile.pool import Targets, build_pool, pair_up
from reasonrec_core.builtin.profile.propose import AFFINITY, POPULARITY, Expert, Proposals, propose
from reasonrec_core.builtin.profile.weigh import Weights
from reasonrec_core.builtin.transition_matrix import TransitionCounts
from reasonrec_core.builtin.transitions import Transitions
from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import Float32

DECAYS = (0.5, 0.7, 0.8, 0.9, 0.97)
STRENGTHS = (0.3, 1.0, 3.0, 10.0)
HALF_LIVES = (None, 0.3, 0.1, 0.03, 0.01)  # of the time that the training log spans
SMOOTHING = 0.1  # interactions given to every item, so that an item without any keeps a chance
CELLS = 1 << 20


@dataclass(frozen=True)
class Model:
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
    weights: Weights
    report: dict[str, float]


def rows_at_once(n_items: int) -> int:
    """Queries per chunk, so that one array over the catalogue stays near 4 MB: it fits a cache, however many items."""
    return max(1, min(256, CELLS // max(n_items, 1)))


def fit_model(config: ProfileConfig, data: FitData) -> Model:
    """Fit everything.

    Raises:
        DataError: no training interactions.
        ConfigError: a modality or field that does not exist.
    """
    if not len(data.train):
        raise DataError("no training interactions to learn from", where="profile")
    pairs = _pairs(config, data)
    counts = item_counts(data.train, len(data.catalog))
    popularity = _popularity(data, pairs)
    experts = (_transitions(config, data), *_content(config, data, pairs))
    fields = find_fields(data.catalog, counts, config.fields, config.max_fields)
    fields = tuple(_fit_field(field, pairs, config) for field in fields)
    names = (*(e.name for e in experts), AFFINITY, POPULARITY)
    if pairs is None or not len(pairs):
        exponents = tuple(replace(f, exponent=0.1) for f in fields)
        return Model(experts, exponents, popularity, _unfitted(names), {})

    def ask(piece: Targets) -> Proposals:
        evidence = Evidence.of(piece.queries.history, config.max_history)
        return propose(piece.queries, evidence, infer(evidence, fields), data.observation, experts, popularity)

    count = _counter(data, len(pairs), "profile: proposals")
    pool = build_pool(pairs, ask, rows_at_once(len(popularity)), count)
    fitted = fit_mixture(
        pool, names, len(experts), data.seed, config.trials, lambda d, t: data.progress(d, t, "profile: mixture")
    )
    experts = tuple(replace(e, shrinkage=s) for e, s in zip(experts, fitted.shrinkage, strict=False))
    fields = tuple(replace(f, exponent=b) for f, b in zip(fields, fitted.exponents, strict=True))
    return Model(experts, fields, popularity, fitted.weights, fitted.report)


def _pairs(config: ProfileConfig, data: FitData) -> Targets | None:
    if data.valid is None or not len(data.valid.targets):
        return None
    return pair_up(data.valid, data.observation.horizon, config.fit_queries, data.seed)


def _popularity(data: FitData, pairs: Targets | None) -> Float32:
    """Shares of the training log, recent interactions counting more where that suits the validation targets."""
    times = data.train.times
    span = float(times.max() - times.min())
    best, best_fit = None, -np.inf
    for part in HALF_LIVES:
        if part is not None and (span <= 0 or pairs is None):
            continue
        counts = item_counts(data.train, len(data.catalog), None if part is None else part * span) + SMOOTHING
        share = np.asarray(counts / counts.sum(), dtype=np.float32)
        fit = 0.0 if pairs is None or not len(pairs) else float(np.log(share[pairs.targets]).mean())
        if fit > best_fit:
            best, best_fit = share, fit
    assert best is not None
    return best


def _transitions(config: ProfileConfig, data: FitData) -> Expert:
    """The transitions of the delegate of that name, its parameters fitted in the same way."""
    settings = config.transitions.model_copy(update={"max_history": config.max_history})
    rule = Transitions(settings)
    rule.fit(data)
    window = min(rule.parameters.window, max(len(data.train) - 1, 1))
    matrix = TransitionCounts(data.train, len(data.catalog), window).matrix(rule.parameters)
    return Expert("transitions", matrix, rule.parameters.history_decay)


def _content(config: ProfileConfig, data: FitData, pairs: Targets | None) -> list[Expert]:
    features = data.observation.features
    unknown = [m for m in config.modalities or () if m not in features]
    if unknown:
        raise ConfigError(
            f"no item features are called {unknown[0]!r}",
            where="modalities",
            fix=f"Observed: {', '.join(sorted(features)) or 'none'}.",
        )
    taken = {"transitions", AFFINITY, POPULARITY}
    experts = []
    for modality in config.modalities if config.modalities is not None else sorted(features):
        name = f"{modality} features" if modality in taken else modality
        experts.append(_compare(name, modality, config, data, pairs))
    return experts


def _compare(name: str, modality: str, config: ProfileConfig, data: FitData, pairs: Targets | None) -> Expert:
    """The space and decay whose nearest items alone put the validation targets highest."""
    present = data.observation.present[modality]
    options: list[Expert] = []
    spaces: tuple[Space, ...] = get_args(Space) if pairs is not None else ("whitened",)
    for space in spaces:
        matrix = neighbours(
            data.observation.features[modality],
            present,
            space,
            most=config.neighbours,
            power=config.power,
            dimensions=config.dimensions,
            progress=lambda d, t: data.progress(d, t, f"profile: {name} neighbours"),
        )
        options += [Expert(name, matrix, decay, modality=modality) for decay in DECAYS]
    if pairs is None or not len(pairs):
        return options[2]
    tried = pairs.take(np.arange(min(len(pairs), 1500)))
    return max(options, key=lambda expert: _alone(expert, tried, config, data))


def _alone(expert: Expert, pairs: Targets, config: ProfileConfig, data: FitData) -> float:
    """Mean ``1 / log2(1 + rank)`` of the targets by one expert, ties counted against them."""
    flat = np.ones(len(data.catalog), dtype=np.float32)
    gains = []
    for piece in pairs.chunks(rows_at_once(len(flat))):
        evidence = Evidence.of(piece.queries.history, config.max_history)
        asked = propose(piece.queries, evidence, infer(evidence, ()), data.observation, (expert,), flat)
        candidates = piece.queries.candidates
        at = piece.targets if candidates is None else (candidates == piece.targets[:, None]).argmax(axis=1)
        score, allowed = asked.scores[0], asked.scores[-1] > 0
        own = score[np.arange(len(piece)), at]
        gains.append(1.0 / np.log2(1.0 + np.maximum(((score >= own[:, None]) & allowed).sum(axis=1), 1)))
    return float(np.concatenate(gains).mean())


def _fit_field(field: ItemField, pairs: Targets | None, config: ProfileConfig) -> ItemField:
    """The decay and strength under which the labels of the validation targets are likeliest."""
    if pairs is None:
        return field
    known = np.flatnonzero(np.diff(field.membership.indptr)[pairs.targets] > 0)
    if not len(known):
        return field
    some = pairs.take(known[:1500])
    evidence = Evidence.of(some.queries.history, config.max_history)
    member = field.membership[some.targets]
    options = [replace(field, decay=d, strength=s) for d in DECAYS for s in STRENGTHS]

    def likelihood(option: ItemField) -> float:
        (belief,) = infer(evidence, (option,)).beliefs
        return float(np.log(np.maximum(member.multiply(belief).sum(axis=1), 1e-12)).mean())

    return max(options, key=likelihood)


def _unfitted(names: Sequence[str]) -> Weights:
    """Without validation: the item-to-item experts share most of the weight equally."""
    table = np.full((1, len(names)), 0.9 / (len(names) - 2), dtype=np.float32)
    table[0, -2:] = 0.05
    return Weights(tuple(names), np.zeros(0), table)


def _counter(data: FitData, total: int, label: str) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        data.progress(done, total, label)

    return count

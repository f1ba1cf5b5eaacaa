"""Item fields and item-to-item experts, each fitted alone: the few parameters that suit the validation targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from reasonrec_transitions.api import TransitionCounts, TransitionParameters, Transitions
from scipy import sparse

from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError
from reasonrec_core.ranking import compute_gain
from reasonrec_core.types import Float32
from reasonrec_profile.candidate_pool import TargetPairs
from reasonrec_profile.clusters import find_clusters
from reasonrec_profile.config import ProfileConfig
from reasonrec_profile.history_weights import AgeDecay, HistoryWeights
from reasonrec_profile.infer import compute_label_belief, infer
from reasonrec_profile.item_fields import ItemField, find_fields
from reasonrec_profile.neighbours import find_neighbours, fit_space
from reasonrec_profile.preference_whitening import PreferenceDirections, measure_agreement
from reasonrec_profile.projection import Projection
from reasonrec_profile.propose import AFFINITY, POPULARITY, Expert, choose_chunk_size, propose

DECAYS = (0.5, 0.7, 0.8, 0.9, 0.97)
STRENGTHS = (0.3, 1.0, 3.0, 10.0)
TRIED = 1500  # validation pairs


def choose_modalities(config: ProfileConfig, data: FitData) -> tuple[str, ...]:
    """The item features to use.

    Raises:
        ConfigError: the settings name features that nothing observes.
    """
    features = data.observation.features
    for name in config.modalities or ():
        if name not in features:
            fix = f"Observed: {', '.join(sorted(features)) or 'none'}."
            raise ConfigError(f"there are no item features called {name!r}", where="modalities", fix=fix)
    return tuple(sorted(features)) if config.modalities is None else config.modalities


def fit_fields(
    config: ProfileConfig, data: FitData, counts: Float32, pairs: TargetPairs | None
) -> tuple[tuple[ItemField, ...], dict[str, PreferenceDirections]]:
    """The fields, and per modality with groups the directions that they were found in.

    Args:
        config, data: as given to the policy.
        counts: float32[n_items] training interactions per item.
        pairs: validation targets; without them there are no groups, and the fields keep their defaults.
    """
    found = find_fields(data.catalog, counts, config.fields, config.max_fields)
    if pairs is None or not len(pairs):
        return found, {}
    fields = [fit_field(field, pairs, config, data)[0] for field in found]
    directions: dict[str, PreferenceDirections] = {}
    names = choose_modalities(config, data) if config.groups else ()
    for done, name in enumerate(names):
        data.progress(done, len(names), "profile: groups")
        seen = data.observation
        measured = measure_agreement(
            name, seen.features[name], seen.present[name], data.train, data.n_users, config.dimensions
        )
        if measured is None:
            continue
        groups = find_clusters(
            measured,
            seen.present[name],
            counts,
            data.catalog.titles,
            lambda field: fit_field(field, pairs, config, data),
            data.seed,
        )
        if groups is not None:
            fields.append(groups[0])
            directions[name] = groups[1]
    data.progress(len(names), len(names), "profile: groups")
    return tuple(fields), directions


def fit_field(field: ItemField, pairs: TargetPairs, config: ProfileConfig, data: FitData) -> tuple[ItemField, float]:
    """The decay and strength under which the validation targets are likeliest.

    Returns:
        the field, and the mean of ``log R(target)`` (nats): what its labels tell beyond popularity. TargetPairs
        without a label count 0.
    """
    some = pairs.take(np.arange(min(len(pairs), TRIED)))
    evidence = HistoryWeights.of(some.queries.history, config.max_history)
    member = field.membership[some.targets]
    known = np.diff(member.indptr) > 0
    options = [replace(field, fade=AgeDecay(d), strength=s) for d in DECAYS for s in STRENGTHS]

    def gain(option: ItemField) -> float:
        belief = compute_label_belief(evidence, data.observation, option)
        ratio = np.asarray(member.multiply(belief / option.prior).sum(axis=1)).ravel()
        return float(np.where(known, np.log(np.maximum(ratio, 1e-6)), 0.0).mean())

    gains = [gain(option) for option in options]
    best = int(np.argmax(gains))
    return options[best], gains[best]


def fit_transitions_expert(config: ProfileConfig, data: FitData) -> Expert:
    """The transitions of the delegate of that name, its parameters fitted in the same way."""
    settings = config.transitions.model_copy(update={"max_history": config.max_history})
    rule = Transitions(settings)
    rule.fit(data)
    found = rule.parameters
    fade = AgeDecay(found.history_decay, found.long_share, found.long_decay)
    return Expert("transitions", count_transitions(found, data), fade, counting=found)


def count_transitions(parameters: TransitionParameters, data: FitData) -> sparse.csr_matrix:
    """float32 CSR[n_items, n_items]: the transitions of ``data.train``."""
    window = min(parameters.window, max(len(data.train) - 1, 1))
    return TransitionCounts(data.train, len(data.catalog), window).matrix(parameters)


def fit_content_expert(
    modality: str,
    directions: Mapping[str, PreferenceDirections],
    config: ProfileConfig,
    data: FitData,
    pairs: TargetPairs | None,
) -> Expert:
    """The space and decay whose nearest items alone put the validation targets highest.

    Args:
        modality: whose features to compare.
        directions: per modality the directions in which users agree, where they are known.
        config, data: as given to the policy.
        pairs: validation targets; without them the space is ``whitened``.
    """
    name = f"{modality} features" if modality in {"transitions", AFFINITY, POPULARITY} else modality
    features, present = data.observation.features[modality], data.observation.present[modality]
    whitened = fit_space(features, present, "whitened", config.dimensions)
    # Vectors, what is still to be done to compare them, and the whole way from features for items that come later.
    spaces: list[tuple[Float32, Projection | None, Projection]] = [(features, whitened, whitened)]
    if pairs is not None and len(pairs):
        centred = fit_space(features, present, "centred", config.dimensions)
        spaces.append((features, centred, centred))
        spaces += [(found.vectors, None, found.projection)] if (found := directions.get(modality)) else []
    options: list[Expert] = []
    for vectors, projection, whole in spaces:
        matrix = find_neighbours(
            vectors,
            present,
            projection,
            most=config.neighbours,
            power=config.power,
            progress=lambda d, t: data.progress(d, t, f"profile: {name} neighbours"),
        )
        options += [Expert(name, matrix, AgeDecay(decay), modality=modality, projection=whole) for decay in DECAYS]
    if pairs is None or not len(pairs):
        return options[2]
    tried = pairs.take(np.arange(min(len(pairs), TRIED)))
    return max(options, key=lambda expert: _mean_gain(expert, tried, config, data))


def _mean_gain(expert: Expert, pairs: TargetPairs, config: ProfileConfig, data: FitData) -> float:
    """Mean ``1 / log2(1 + rank)`` of the targets by one expert, ties counted against them."""
    flat = np.ones(len(data.catalog), dtype=np.float32)
    gains = []
    for piece in pairs.chunks(choose_chunk_size(len(flat))):
        evidence = HistoryWeights.of(piece.queries.history, config.max_history)
        nothing = infer(evidence, data.observation, ())
        asked = propose(piece.queries, evidence, nothing, data.observation, (expert,), flat)
        candidates = piece.queries.candidates
        at = piece.targets if candidates is None else (candidates == piece.targets[:, None]).argmax(axis=1)
        score, allowed = asked.scores[0], asked.scores[-1] > 0
        own = score[np.arange(len(piece)), at]
        gains.append(compute_gain(np.maximum(((score >= own[:, None]) & allowed).sum(axis=1), 1)))
    return float(np.concatenate(gains).mean())

"""The item-to-item experts, each with the few parameters that suit the validation targets by itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reasonrec_core.builtin.profile.config import ProfileConfig
from reasonrec_core.builtin.profile.evidence import Evidence, Fade
from reasonrec_core.builtin.profile.fit_fields import DECAYS
from reasonrec_core.builtin.profile.infer import infer
from reasonrec_core.builtin.profile.neighbours import neighbours, space_of
from reasonrec_core.builtin.profile.pool import Targets
from reasonrec_core.builtin.profile.projection import Projection
from reasonrec_core.builtin.profile.propose import AFFINITY, POPULARITY, Expert, propose, rows_at_once
from reasonrec_core.builtin.profile.taste import Directions
from reasonrec_core.builtin.transition_matrix import TransitionCounts
from reasonrec_core.builtin.transitions import Transitions
from reasonrec_core.components import FitData
from reasonrec_core.types import Float32

TRIED = 1500  # validation pairs


def transitions_expert(config: ProfileConfig, data: FitData) -> Expert:
    """The transitions of the delegate of that name, its parameters fitted in the same way."""
    settings = config.transitions.model_copy(update={"max_history": config.max_history})
    rule = Transitions(settings)
    rule.fit(data)
    found = rule.parameters
    window = min(found.window, max(len(data.train) - 1, 1))
    matrix = TransitionCounts(data.train, len(data.catalog), window).matrix(found)
    return Expert("transitions", matrix, Fade(found.history_decay, found.long_share, found.long_decay))


def content_expert(
    modality: str, directions: Mapping[str, Directions], config: ProfileConfig, data: FitData, pairs: Targets | None
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
    whitened = space_of(features, present, "whitened", config.dimensions)
    # Vectors, what is still to be done to compare them, and the whole way from features for items that come later.
    spaces: list[tuple[Float32, Projection | None, Projection]] = [(features, whitened, whitened)]
    if pairs is not None and len(pairs):
        centred = space_of(features, present, "centred", config.dimensions)
        spaces.append((features, centred, centred))
        spaces += [(found.vectors, None, found.projection)] if (found := directions.get(modality)) else []
    options: list[Expert] = []
    for vectors, projection, whole in spaces:
        matrix = neighbours(
            vectors,
            present,
            projection,
            most=config.neighbours,
            power=config.power,
            progress=lambda d, t: data.progress(d, t, f"profile: {name} neighbours"),
        )
        options += [Expert(name, matrix, Fade(decay), modality=modality, projection=whole) for decay in DECAYS]
    if pairs is None or not len(pairs):
        return options[2]
    tried = pairs.take(np.arange(min(len(pairs), TRIED)))
    return max(options, key=lambda expert: _alone(expert, tried, config, data))


def _alone(expert: Expert, pairs: Targets, config: ProfileConfig, data: FitData) -> float:
    """Mean ``1 / log2(1 + rank)`` of the targets by one expert, ties counted against them."""
    flat = np.ones(len(data.catalog), dtype=np.float32)
    gains = []
    for piece in pairs.chunks(rows_at_once(len(flat))):
        evidence = Evidence.of(piece.queries.history, config.max_history)
        nothing = infer(evidence, data.observation, ())
        asked = propose(piece.queries, evidence, nothing, data.observation, (expert,), flat)
        candidates = piece.queries.candidates
        at = piece.targets if candidates is None else (candidates == piece.targets[:, None]).argmax(axis=1)
        score, allowed = asked.scores[0], asked.scores[-1] > 0
        own = score[np.arange(len(piece)), at]
        gains.append(1.0 / np.log2(1.0 + np.maximum(((score >= own[:, None]) & allowed).sum(axis=1), 1)))
    return float(np.concatenate(gains).mean())

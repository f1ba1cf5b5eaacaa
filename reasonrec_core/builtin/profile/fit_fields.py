"""The item fields: those of the catalogue, and groups found in text and images, fitted to validation targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonrec_core.builtin.profile.config import ProfileConfig
from reasonrec_core.builtin.profile.evidence import Evidence, Fade
from reasonrec_core.builtin.profile.fields import ItemField, find_fields
from reasonrec_core.builtin.profile.groups import find_groups
from reasonrec_core.builtin.profile.infer import label_belief
from reasonrec_core.builtin.profile.pool import Targets
from reasonrec_core.builtin.profile.taste import Directions, agreement
from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32

DECAYS = (0.5, 0.7, 0.8, 0.9, 0.97)
STRENGTHS = (0.3, 1.0, 3.0, 10.0)
TRIED = 1500  # validation pairs


def modalities(config: ProfileConfig, data: FitData) -> tuple[str, ...]:
    """The item features to use.

    Raises:
        ConfigError: the settings name features that nothing observes.
    """
    features = data.observation.features
    for name in config.modalities or ():
        if name not in features:
            fix = f"Observed: {', '.join(sorted(features)) or 'none'}."
            raise ConfigError(f"no item features are called {name!r}", where="modalities", fix=fix)
    return tuple(sorted(features)) if config.modalities is None else config.modalities


def fit_fields(
    config: ProfileConfig, data: FitData, counts: Float32, pairs: Targets | None
) -> tuple[tuple[ItemField, ...], dict[str, Directions]]:
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
    directions: dict[str, Directions] = {}
    names = modalities(config, data) if config.groups else ()
    for done, name in enumerate(names):
        data.progress(done, len(names), "profile: groups")
        seen = data.observation
        measured = agreement(name, seen.features[name], seen.present[name], data.train, data.n_users, config.dimensions)
        if measured is None:
            continue
        groups = find_groups(
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


def fit_field(field: ItemField, pairs: Targets, config: ProfileConfig, data: FitData) -> tuple[ItemField, float]:
    """The decay and strength under which the validation targets are likeliest.

    Returns:
        the field, and the mean of ``log R(target)`` (nats): what its labels tell beyond popularity. Targets
        without a label count 0.
    """
    some = pairs.take(np.arange(min(len(pairs), TRIED)))
    evidence = Evidence.of(some.queries.history, config.max_history)
    member = field.membership[some.targets]
    known = np.diff(member.indptr) > 0
    options = [replace(field, fade=Fade(d), strength=s) for d in DECAYS for s in STRENGTHS]

    def gain(option: ItemField) -> float:
        belief = label_belief(evidence, data.observation, option)
        ratio = np.asarray(member.multiply(belief / option.prior).sum(axis=1)).ravel()
        return float(np.where(known, np.log(np.maximum(ratio, 1e-6)), 0.0).mean())

    gains = [gain(option) for option in options]
    best = int(np.argmax(gains))
    return options[best], gains[best]

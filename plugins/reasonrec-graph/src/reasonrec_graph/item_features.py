"""Which item features are used, and reading them."""

from __future__ import annotations

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32, Int64, Observation


def choose_modalities(wanted: tuple[str, ...] | None, observation: Observation, where: str) -> tuple[str, ...]:
    """The item features to use: those that are wanted, or all.

    Raises:
        ConfigError: nothing is observed of the items, or not what is wanted.
    """
    chosen = tuple(sorted(observation.features)) if wanted is None else wanted
    missing = [name for name in chosen if name not in observation.features]
    if missing or not chosen:
        what = f"there are no item features called {missing[0]!r}" if missing else "no item features are observed"
        raise ConfigError(what, where=where, fix="Observe text or images: [observe.text].")
    return chosen


def read_features(observation: Observation, modalities: tuple[str, ...], items: Int64) -> Float32:
    """float32[N, w]: of items, each modality scaled to length 1, side by side; 0 where one is missing."""
    parts = []
    for name in modalities:
        present = np.asarray(observation.present[name])[items]
        rows = np.zeros((len(items), observation.features[name].shape[1]), np.float32)
        found = np.asarray(observation.features[name][items[present]], np.float32)
        rows[present] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        parts.append(rows)
    return np.concatenate(parts, axis=1)

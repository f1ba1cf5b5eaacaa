"""What a network sees of items, as arrays: features in few dimensions, labels, how often they were chosen. No torch.

Features come by modality (text, image); which of them are read is settled by `choose_modalities`, and how, by
`read_unit_features` (as they are) or by projections that are fitted and stored with a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Bool, Float32, Int64, Observation

STORED = "view{at}.{part}"
"""Names of a projection's arrays."""


def choose_modalities(
    wanted: Sequence[str] | None,
    observation: Observation,
    *,
    where: str,
    fix: str = "Observe text or images: [observe.text].",
    needed: bool = True,
) -> tuple[str, ...]:
    """The item features to use: those that are wanted, or all.

    Args:
        wanted: modalities; None: all that are observed.
        observation: of the items.
        where: the component or setting, for messages.
        fix: what to do, for messages.
        needed: whether there must be any.

    Raises:
        ConfigError: nothing is observed of the items, or not what is wanted.
    """
    chosen = tuple(sorted(observation.features)) if wanted is None else tuple(wanted)
    missing = [name for name in chosen if name not in observation.features]
    if missing or (needed and not chosen):
        what = f"there are no item features called {missing[0]!r}" if missing else "no item features are observed"
        raise ConfigError(what, where=where, fix=fix)
    return chosen


def join_unit_features(parts: Sequence[Float32]) -> Float32:
    """float32[N, w] of float32[N, w_m] each: every modality's rows scaled to length 1, side by side; 0 stays 0."""
    return np.concatenate([part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in parts], 1)


def read_unit_features(observation: Observation, modalities: Sequence[str], items: Int64) -> Float32:
    """float32[N, w]: `join_unit_features` of int64[N] items; 0 where a modality is missing."""
    parts = []
    for name in modalities:
        present = np.asarray(observation.present[name])[items]
        rows = np.zeros((len(items), observation.features[name].shape[1]), np.float32)
        rows[present] = observation.features[name][items[present]]
        parts.append(rows)
    return join_unit_features(parts)


@dataclass(frozen=True)
class FeatureProjection:
    """One modality's features, centred, on their principal components, scaled to unit variance on average.

    Attributes:
        modality: whose features.
        mean: float32[w].
        basis: float32[w, r], r components, scaled.
    """

    modality: str
    mean: Float32
    basis: Float32

    @classmethod
    def of(cls, modality: str, features: Float32, present: Bool, most: int) -> FeatureProjection:
        """Fit to the items whose features are present; at most ``most`` components."""
        known = np.asarray(features[present], dtype=np.float64)
        if not len(known):
            return cls(modality, np.zeros(features.shape[1], np.float32), np.zeros((features.shape[1], 1), np.float32))
        mean = known.mean(axis=0)
        known = known - mean
        values, vectors = np.linalg.eigh(known.T @ known / len(known))
        order = np.argsort(-values)[: min(most, max(1, len(known) - 1))]
        kept = np.maximum(values[order], 0.0)
        # An eigenvector's sign is arbitrary: the largest entry is made positive, so that runs agree.
        vectors = vectors[:, order]
        vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(order))])
        scale = float(np.sqrt(max(kept.mean(), 1e-12)))
        return cls(modality, mean.astype(np.float32), (vectors / scale).astype(np.float32))

    def __call__(self, observation: Observation) -> tuple[Float32, Bool]:
        """float32[n_items, r], zeros for items that cannot be seen now, and bool[n_items] which can."""
        width = self.basis.shape[1]
        if self.modality not in observation.features:
            n = len(next(iter(observation.present.values()), np.zeros(0)))
            return np.zeros((n, width), np.float32), np.zeros(n, np.bool_)
        present = np.asarray(observation.present[self.modality])
        seen = np.zeros((len(present), width), np.float32)
        known = np.asarray(observation.features[self.modality][present], np.float32)
        seen[present] = (known - self.mean) @ self.basis
        return seen, present


def fit_projections(observation: Observation, modalities: Sequence[str], most: int) -> tuple[FeatureProjection, ...]:
    """A projection of each modality, fitted to the items that can be seen; at most ``most`` components each."""
    seen = observation
    return tuple(FeatureProjection.of(m, seen.features[m], np.asarray(seen.present[m]), most) for m in modalities)


def name_projections(views: Sequence[FeatureProjection], names: str = STORED) -> dict[str, Float32]:
    """Their arrays by name, to be stored; ``names`` has places for a projection's number and its part."""
    parts = ("mean", "basis")
    return {names.format(at=at, part=part): getattr(view, part) for at, view in enumerate(views) for part in parts}


def read_projections(
    modalities: Sequence[str], arrays: Mapping[str, Float32], names: str = STORED
) -> tuple[FeatureProjection, ...]:
    """The projections of these modalities, of what `name_projections` gave."""
    parts = ("mean", "basis")
    return tuple(
        FeatureProjection(modality, *(arrays[names.format(at=at, part=part)] for part in parts))
        for at, modality in enumerate(modalities)
    )


@dataclass(frozen=True)
class TableInputs:
    """All that item representations are computed from.

    Attributes:
        counts: float32[n], training interactions of each item; 0 = cold.
        views: per modality float32[n, r], 0 where missing.
        present: per modality float32[n], 1 where it can be seen, else 0.
        members: per field float32 CSR[n, L], which labels an item carries.
    """

    counts: Float32
    views: tuple[Float32, ...]
    present: tuple[Float32, ...]
    members: tuple[sparse.csr_matrix, ...]


def make_item_inputs(
    counts: Float32,
    views: tuple[FeatureProjection, ...],
    memberships: tuple[sparse.csr_matrix, ...],
    observation: Observation,
) -> TableInputs:
    """The inputs of all items that ``observation`` shows.

    Args:
        counts: float32[n_items].
        views: the modalities.
        memberships: per field float32 CSR[n_items, L].
        observation: what can be seen now.
    """
    seen = [view(observation) for view in views]
    n = len(counts)
    empty = np.zeros(0, np.bool_)
    full = [(v, p) if len(p) == n else (np.zeros((n, v.shape[1]), np.float32), np.resize(empty, n)) for v, p in seen]
    return TableInputs(
        np.asarray(counts, np.float32),
        tuple(v for v, _ in full),
        tuple(p.astype(np.float32) for _, p in full),
        memberships,
    )

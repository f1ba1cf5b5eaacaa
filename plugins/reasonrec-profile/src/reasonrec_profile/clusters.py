"""Groups of items that look or read alike to users: what pictures and texts say, as a field with labels.

A group is a cluster of the directions in which users agree (`taste`), so pictures are grouped by what matters for
choosing them rather than by what is easiest to see. As labels of an `ItemField` groups are inferred, gate and can be
assumed like any category, and items that nobody has chosen yet belong to one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import sparse

from reasonrec_core.types import Bool, Float32, Int32
from reasonrec_profile.item_fields import MIN_ITEMS, ClusterCentres, ItemField
from reasonrec_profile.preference_whitening import PreferenceDirections, UserAgreement
from reasonrec_profile.projection import normalise_rows

DIMENSIONS = (32, 128)
SIZES = (6, 12, 24, 48, 96)
ITEMS_PER_DIMENSION = 8  # fewer items than this per component would let components tell items apart
CLEAR = 0.01  # nats per target that groups must gain over plain popularity


def find_clusters(
    agreement: UserAgreement,
    present: Bool,
    counts: Float32,
    titles: list[str],
    fit: Callable[[ItemField], tuple[ItemField, float]],
    seed: int,
) -> tuple[ItemField, PreferenceDirections] | None:
    """The groups under which the validation targets are likeliest, and the directions they were found in.

    Args:
        agreement: of one modality.
        present: bool[n_items].
        counts: float32[n_items] training interactions per item.
        titles: of the items; a group is named after the item nearest to its centre.
        fit: fits a field to validation and says how many nats per target its labels gain over popularity.
        seed: of the clustering.

    Returns:
        None where no grouping gains clearly: what these features show does not matter to these users.
    """
    known = int(present.sum())
    largest = max(2, known // ITEMS_PER_DIMENSION)
    best: tuple[float, ItemField, PreferenceDirections] | None = None
    for dimensions in sorted({min(d, largest) for d in DIMENSIONS}):
        directions = agreement.directions(dimensions)
        if not directions.vectors.shape[1]:
            continue
        for size in SIZES:
            if size * MIN_ITEMS > known:
                break
            field, gain = fit(_cluster(agreement.name, directions, present, counts, titles, size, seed))
            if best is None or gain > best[0]:
                best = (gain, field, directions)
    return None if best is None or best[0] < CLEAR else best[1:]


def extend_clusters(field: ItemField, features: Float32, present: Bool, first_new: int) -> ItemField:
    """The field with the items from ``first_new`` on in the group whose centre is nearest.

    Args:
        field: groups, already brought to the catalogue's length by `fields.extend_field`.
        features: float32[n_items, D] of the field's modality; rows that are not ``present`` are ignored.
        present: bool[n_items].
        first_new: how many items the groups were found in.
    """
    new = first_new + np.flatnonzero(present[first_new:])
    if field.centres is None or not len(new):
        return field
    rows, centres = field.centres.projection.project_unit(features, new), field.centres.vectors
    group = (rows @ centres.T - (centres**2).sum(axis=1) / 2).argmax(axis=1)
    more = sparse.csr_matrix((np.ones(len(new), np.float32), (new, group)), shape=field.membership.shape)
    return replace(field, membership=(field.membership + more).tocsr())


def _cluster(
    modality: str,
    directions: PreferenceDirections,
    present: Bool,
    counts: Float32,
    titles: list[str],
    size: int,
    seed: int,
) -> ItemField:
    from sklearn.cluster import KMeans  # takes half a second to import, and only fitting needs it
    from threadpoolctl import threadpool_limits

    known = np.flatnonzero(present)
    rows = normalise_rows(directions.vectors[known])
    with threadpool_limits(1):  # equal sums in equal order: equal groups
        clusters = KMeans(size, n_init=3, random_state=seed).fit(rows)
    group: Int32 = clusters.labels_.astype(np.int32)
    nearest = clusters.transform(rows).argmin(axis=0)
    labels = _names([titles[i] for i in known[nearest]])
    membership = sparse.csr_matrix(
        (np.ones(len(known), np.float32), (known, group)), shape=(len(present), size), dtype=np.float32
    )
    mass = np.bincount(group, counts[known] + 0.1, minlength=size) + 1e-6
    prior = (mass / mass.sum()).astype(np.float32)
    centres = ClusterCentres(directions.projection, clusters.cluster_centers_.astype(np.float32))
    return ItemField(f"{modality} group", labels, membership, prior, modality=modality, centres=centres)


def _names(titles: list[str]) -> tuple[str, ...]:
    """``like TITLE``, numbered where titles repeat."""
    seen: dict[str, int] = {}
    names = []
    for title in titles:
        seen[title] = seen.get(title, 0) + 1
        names.append(f"like {title}" if seen[title] == 1 else f"like {title} ({seen[title]})")
    return tuple(names)

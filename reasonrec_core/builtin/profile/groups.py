"""Groups of items that look or read alike to users: what pictures and texts say, as a field with labels.

A group is a cluster of the directions in which users agree (`taste`), so pictures are grouped by what matters for
choosing them rather than by what is easiest to see. As labels of an `ItemField` groups are inferred, gate and can be
assumed like any category, and items that nobody has chosen yet belong to one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from reasonrec_core.builtin.profile.fields import MIN_ITEMS, ItemField
from reasonrec_core.builtin.profile.taste import Agreement
from reasonrec_core.types import Bool, Float32, Int32

DIMENSIONS = (32, 128)
SIZES = (6, 12, 24, 48, 96)
ITEMS_PER_DIMENSION = 8  # fewer items than this per component would let components tell items apart
CLEAR = 0.01  # nats per target that groups must gain over plain popularity


def find_groups(
    agreement: Agreement,
    present: Bool,
    counts: Float32,
    titles: list[str],
    fit: Callable[[ItemField], tuple[ItemField, float]],
    seed: int,
) -> tuple[ItemField, Float32] | None:
    """The groups under which the validation targets are likeliest, and the vectors they were found in.

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
    best: tuple[float, ItemField, Float32] | None = None
    for dimensions in sorted({min(d, largest) for d in DIMENSIONS}):
        vectors = agreement.vectors(dimensions)
        if not vectors.shape[1]:
            continue
        for size in SIZES:
            if size * MIN_ITEMS > known:
                break
            field, gain = fit(_grouped(agreement.name, vectors, present, counts, titles, size, seed))
            if best is None or gain > best[0]:
                best = (gain, field, vectors)
    return None if best is None or best[0] < CLEAR else best[1:]


def _grouped(
    modality: str, vectors: Float32, present: Bool, counts: Float32, titles: list[str], size: int, seed: int
) -> ItemField:
    known = np.flatnonzero(present)
    norms = np.linalg.norm(vectors[known], axis=1, keepdims=True)
    unit = np.divide(vectors[known], norms, out=np.zeros_like(vectors[known]), where=norms > 1e-12)
    with threadpool_limits(1):  # equal sums in equal order: equal groups
        clusters = KMeans(size, n_init=3, random_state=seed).fit(unit)
    group: Int32 = clusters.labels_.astype(np.int32)
    nearest = clusters.transform(unit).argmin(axis=0)
    labels = _names([titles[i] for i in known[nearest]])
    membership = sparse.csr_matrix(
        (np.ones(len(known), np.float32), (known, group)), shape=(len(vectors), size), dtype=np.float32
    )
    mass = np.bincount(group, counts[known] + 0.1, minlength=size) + 1e-6
    return ItemField(f"{modality} group", labels, membership, (mass / mass.sum()).astype(np.float32), modality=modality)


def _names(titles: list[str]) -> tuple[str, ...]:
    """``like TITLE``, numbered where titles repeat."""
    seen: dict[str, int] = {}
    names = []
    for title in titles:
        seen[title] = seen.get(title, 0) + 1
        names.append(f"like {title}" if seen[title] == 1 else f"like {title} ({seen[title]})")
    return tuple(names)

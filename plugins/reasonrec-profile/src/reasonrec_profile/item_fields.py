"""Item fields with labels that repeat (category, brand, colour, director...), found in any catalogue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from reasonrec_core.catalog_growth import grown_matrix
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Bool, Float32, Observation
from reasonrec_profile.field_parsing import AS_SET, FieldParsing, choose_parsing
from reasonrec_profile.history_weights import SLOW, AgeDecay
from reasonrec_profile.projection import Projection

MIN_ITEMS = 3  # a label on fewer items says nothing about taste
MIN_COVERAGE = 0.2  # of the items
MAX_WORDS = 8.0  # labels longer than this on average are prose, not labels


@dataclass(frozen=True)
class ClusterCentres:
    """Where groups of items lie.

    Attributes:
        projection: from features to the space of the groups, where items are scaled to length 1.
        vectors: float32[L, r] the middle of each group.
    """

    projection: Projection
    vectors: Float32


@dataclass(frozen=True)
class ItemField:
    """One field of all items.

    Attributes:
        name: of the field.
        labels: L labels.
        membership: float32 CSR[n_items, L]; a row sums to 1, or is empty where the item has no known label.
        prior: float32[L] share of each label in the training interactions, smoothed; sums to 1.
        fade: how history entries lose weight with age when the user's labels are inferred.
        strength: of the prior, in newest-entry equivalents.
        exponent: how strongly the inferred labels gate the proposals; 0 = not at all.
        modality: whose features the labels were read from, None for a field of the catalogue.
        reading: how the labels were read from the catalogue.
        centres: of the groups that the labels stand for, None for a field of the catalogue.
    """

    name: str
    labels: tuple[str, ...]
    membership: sparse.csr_matrix
    prior: Float32
    fade: AgeDecay = SLOW
    strength: float = 2.0
    exponent: float = 0.0
    modality: str | None = None
    reading: FieldParsing = AS_SET
    centres: ClusterCentres | None = None

    def shown(self, observation: Observation) -> Bool | None:
        """bool[n_items] of the items whose labels can be seen now; None where all can."""
        if self.modality is None:
            return None
        absent = np.zeros(self.membership.shape[0], dtype=np.bool_)
        return observation.present.get(self.modality, absent)


def find_fields(catalog: Catalog, counts: Float32, wanted: Sequence[str] | None, most: int) -> tuple[ItemField, ...]:
    """The label fields of a catalogue, those that cover most first.

    Args:
        catalog: the items.
        counts: float32[n_items] training interactions per item.
        wanted: names of the fields to use, or None for all that look like labels: text fields (split at ``|``)
            whose labels are short and repeat, and ``price`` in bands of equal size.
        most: at most this many of the fields found.

    Raises:
        ConfigError: a wanted field does not exist or has no label on at least `MIN_ITEMS` items.
    """
    if wanted is None:
        found = [f for name in catalog.fields if (f := _field(catalog, name, counts, strict=True)) is not None]
        found.sort(key=lambda f: -_coverage(f))
        return tuple(found[:most])
    fields = []
    for name in wanted:
        if name not in catalog.fields:
            raise ConfigError(
                f"the items have no field {name!r}", where="fields", fix=f"Fields: {', '.join(catalog.fields)}."
            )
        field = _field(catalog, name, counts, strict=False)
        if field is None:
            raise ConfigError(
                f"field {name!r} has no label that at least {MIN_ITEMS} items share",
                where="fields",
                fix="Leave it out.",
            )
        fields.append(field)
    return tuple(fields)


def _field(catalog: Catalog, name: str, counts: Float32, *, strict: bool) -> ItemField | None:
    kind = catalog.table.schema.field(name).type
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and not strict):
        if strict and name != "price":
            return None  # an unknown number may be a count of the very interactions to predict (sales rank)
        numbers = True
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        if strict and (name == "title" or not _is_label(catalog.column(name))):
            return None
        numbers = False
    else:
        return None
    reading = choose_parsing(catalog, name, numbers=numbers)
    field = index_labels(name, reading.rows(catalog, name), counts, reading)
    return None if field is None or (strict and _coverage(field) < MIN_COVERAGE) else field


def _is_label(values: Sequence[str | None]) -> bool:
    present = [v for v in values if v][:2000]
    labels = [p for v in present for p in v.split("|")]
    return bool(labels) and sum(len(re.findall(r"\S+", p)) for p in labels) / len(labels) <= MAX_WORDS


def index_labels(
    name: str, rows: Sequence[tuple[str, ...]], counts: Float32, reading: FieldParsing = AS_SET
) -> ItemField | None:
    """The field with these labels per item; None where fewer than two labels occur on `MIN_ITEMS` items."""
    often = Counter(label for row in rows for label in row)
    labels = tuple(sorted(label for label, n in often.items() if n >= MIN_ITEMS and n < len(rows)))
    if len(labels) < 2:
        return None
    membership = _membership(rows, labels)
    return ItemField(name, labels, membership, compute_prior(membership, counts), reading=reading)


def compute_prior(membership: sparse.csr_matrix, counts: Float32) -> Float32:
    """float32[L]: the share of each label in the interactions that ``counts`` counts per item, smoothed."""
    mass: npt.NDArray[np.float64] = membership.T @ (counts.astype(np.float64) + 0.1)
    return np.asarray(mass / mass.sum(), dtype=np.float32)


def extend_field(field: ItemField, catalog: Catalog, first_new: int) -> ItemField:
    """The field for a catalogue that has grown: items from ``first_new`` on carry the labels that were fitted.

    New values that are none of the labels say nothing; memberships of old items, labels and prior stay.

    Args:
        field: of the first ``first_new`` items.
        catalog: all items, old ones first.
        first_new: how many items the field was fitted on.

    Returns:
        A field of ``len(catalog)`` items. Labels that were read from features (``modality``) are not in a catalogue:
        there new items have none until `groups.extend_clusters` has seen their features.
    """
    if field.modality is not None or first_new == len(catalog):
        return replace(field, membership=grown_matrix(field.membership, len(catalog), square=False))
    new = catalog.slice(first_new)
    more = _membership(field.reading.rows(new, field.name), field.labels)
    return replace(field, membership=sparse.vstack([field.membership, more], format="csr"))


def _membership(rows: Sequence[tuple[str, ...]], labels: Sequence[str]) -> sparse.csr_matrix:
    """float32 CSR[n, L]: each item's known labels in equal shares."""
    column = {label: i for i, label in enumerate(labels)}
    pairs = [(i, column[label]) for i, row in enumerate(rows) for label in row if label in column]
    item, at = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    per_item = np.bincount(item, minlength=len(rows))
    value = (1.0 / per_item[item]).astype(np.float32)
    return sparse.csr_matrix((value, (item, at)), shape=(len(rows), len(labels)))


def _coverage(field: ItemField) -> float:
    return float((np.diff(field.membership.indptr) > 0).mean())

"""Item fields with labels that repeat (category, brand, colour, director...), found in any catalogue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from reasonrec_core.builtin.profile.evidence import SLOW, Fade
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Bool, Float32, Observation

MIN_ITEMS = 3  # a label on fewer items says nothing about taste
MIN_COVERAGE = 0.2  # of the items
MAX_WORDS = 8.0  # labels longer than this on average are prose, not labels
BANDS = 8


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
    """

    name: str
    labels: tuple[str, ...]
    membership: sparse.csr_matrix
    prior: Float32
    fade: Fade = SLOW
    strength: float = 2.0
    exponent: float = 0.0
    modality: str | None = None

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
                f"field {name!r} has no label that occurs on {MIN_ITEMS} items", where="fields", fix="Leave it out."
            )
        fields.append(field)
    return tuple(fields)


def _field(catalog: Catalog, name: str, counts: Float32, *, strict: bool) -> ItemField | None:
    kind = catalog.table.schema.field(name).type
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and not strict):
        if strict and name != "price":
            return None  # an unknown number may be a count of the very interactions to predict (sales rank)
        rows = _bands(catalog, name)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        if strict and (name == "title" or not _is_label(catalog.column(name))):
            return None
        rows = catalog.labels(name)
    else:
        return None
    field = index_labels(name, _branches(rows), counts)
    return None if field is None or (strict and _coverage(field) < MIN_COVERAGE) else field


def _is_label(values: Sequence[str | None]) -> bool:
    present = [v for v in values if v][:2000]
    labels = [p for v in present for p in v.split("|")]
    return bool(labels) and sum(len(re.findall(r"\S+", p)) for p in labels) / len(labels) <= MAX_WORDS


def _branches(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Paths (each label always below the same one) as their two deepest levels; sets as they are."""
    parents: dict[str, set[str]] = {}
    first: Counter[str] = Counter()
    for row in rows:
        first.update(row[:1])
        for parent, child in pairwise(row):
            parents.setdefault(child, set()).add(parent)
    path = bool(parents) and sum(len(p) == 1 for p in parents.values()) >= 0.8 * len(parents)
    if not path or any(label in parents and first[label] > 1 for label in first):
        return [tuple(dict.fromkeys(row)) for row in rows]
    return [(" > ".join(row[-2:]), row[-2]) if len(row) > 2 else row[-1:] for row in rows]


def _bands(catalog: Catalog, name: str) -> list[tuple[str, ...]]:
    """Each number's band, with bands of about equal numbers of items."""
    numbers = np.array([np.nan if v is None else float(v) for v in catalog.column(name)])
    known = np.isfinite(numbers)
    if not known.any():
        return [()] * len(numbers)
    edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, BANDS + 1)))
    band = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
    high = edges[1:] if len(edges) > 1 else edges
    words = [f"{a:g} to {b:g}" for a, b in zip(edges, high, strict=False)]
    return [(words[b],) if k else () for b, k in zip(band, known, strict=True)]


def index_labels(name: str, rows: Sequence[tuple[str, ...]], counts: Float32) -> ItemField | None:
    """The field with these labels per item; None where fewer than two labels occur on `MIN_ITEMS` items."""
    often = Counter(label for row in rows for label in row)
    labels = tuple(sorted(label for label, n in often.items() if n >= MIN_ITEMS and n < len(rows)))
    if len(labels) < 2:
        return None
    column = {label: i for i, label in enumerate(labels)}
    pairs = [(i, column[label]) for i, row in enumerate(rows) for label in row if label in column]
    item, at = np.array(pairs, dtype=np.int32).T
    per_item = np.bincount(item, minlength=len(rows))
    value = (1.0 / per_item[item]).astype(np.float32)
    membership = sparse.csr_matrix((value, (item, at)), shape=(len(rows), len(labels)))
    mass: npt.NDArray[np.float64] = membership.T @ (counts.astype(np.float64) + 0.1)
    return ItemField(name, labels, membership, (mass / mass.sum()).astype(np.float32))


def _coverage(field: ItemField) -> float:
    return float((np.diff(field.membership.indptr) > 0).mean())

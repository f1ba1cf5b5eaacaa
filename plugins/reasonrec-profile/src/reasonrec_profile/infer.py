"""Step *infer*: a distribution over the labels of each item field, from the evidence."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reasonrec_core.data.cases import make_pair_keys
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Bool, Float32, History, Int32, Int64, Observation
from reasonrec_profile.history_weights import HistoryWeights
from reasonrec_profile.item_fields import ItemField

CERTAIN = 1.0 - 1e-6
FLOOR = np.float32(1e-6)


@dataclass(frozen=True)
class Inference:
    """What the user is taken to be looking for.

    Attributes:
        fields: F fields.
        beliefs: per field float32[B, L], P(next item's label); a row sums to 1.
        exponents: float32[B, F], how strongly each belief gates the proposals.
        assumed: int32[B, F], the label that was assumed rather than inferred, -1 = none.
    """

    fields: tuple[ItemField, ...]
    beliefs: tuple[Float32, ...]
    exponents: Float32
    assumed: Int32

    def assume(self, field: str, label: str, rows: Sequence[int] | None = None) -> Inference:
        """The same, but sure that the next item's ``field`` is ``label`` (for ``rows``, or for all queries).

        Raises:
            ConfigError: no such field or label.
        """
        at = _find(field, [f.name for f in self.fields], "field")
        labels = np.full(len(self.exponents), -1, dtype=np.int32)
        labels[slice(None) if rows is None else np.asarray(rows)] = _find(
            label, self.fields[at].labels, f"label of {field!r}"
        )
        return self.assume_labels({field: labels})

    def assume_labels(self, labels: Mapping[str, Int32]) -> Inference:
        """The same, but sure of these labels: per field int32[B], -1 = as inferred."""
        beliefs, exponents, assumed = list(self.beliefs), self.exponents.copy(), self.assumed.copy()
        for at, field in enumerate(self.fields):
            column = labels.get(field.name)
            if column is None:
                continue
            rows = np.flatnonzero(column >= 0)
            belief = beliefs[at].copy()
            belief[rows] = field.prior * np.float32(1.0 - CERTAIN)
            belief[rows, column[rows]] += np.float32(CERTAIN)
            beliefs[at], exponents[rows, at], assumed[rows, at] = belief, 1.0, column[rows]
        return replace(self, beliefs=tuple(beliefs), exponents=exponents, assumed=assumed)

    def take(self, index: npt.NDArray[np.intp]) -> Inference:
        """The inference for the queries at ``index``."""
        beliefs = tuple(b[index] for b in self.beliefs)
        return replace(self, beliefs=beliefs, exponents=self.exponents[index], assumed=self.assumed[index])

    def slice(self, start: int, stop: int) -> Inference:
        """The inference for queries ``start:stop``."""
        return replace(
            self,
            beliefs=tuple(b[start:stop] for b in self.beliefs),
            exponents=self.exponents[start:stop],
            assumed=self.assumed[start:stop],
        )


def infer(evidence: HistoryWeights, observation: Observation, fields: tuple[ItemField, ...]) -> Inference:
    """Per field ``q(l) = (sum over the history of weight * membership + strength * prior(l)) / total``."""
    size = len(evidence.history)
    beliefs = tuple(compute_label_belief(evidence, observation, field) for field in fields)
    exponents = np.array([field.exponent for field in fields], dtype=np.float32)
    nothing = np.full((size, len(fields)), -1, dtype=np.int32)
    return Inference(fields, beliefs, np.tile(exponents, (size, 1)), nothing)


def compute_likelihood_ratio(
    belief: Float32, field: ItemField, observation: Observation, candidates: Int32 | None
) -> Float32:
    """float32[B, n_items] or [B, C]: ``R(i) = sum_l membership[i, l] * q(l) / prior(l)``, 1 without a label now."""
    ratio = belief / field.prior
    member, shown = field.membership, field.shown(observation)
    if candidates is None:
        values = np.ascontiguousarray((member @ np.ascontiguousarray(ratio.T)).T)
        values[:, np.diff(member.indptr) == 0] = 1.0
        if shown is not None:
            values[:, ~shown] = 1.0
    else:
        rows = np.repeat(np.arange(len(candidates)), candidates.shape[1])
        values = _at(ratio, field, shown, rows, np.maximum(candidates, 0).ravel()).reshape(candidates.shape)
    return np.asarray(np.maximum(values, FLOOR), dtype=np.float32)


def compute_total_likelihood_ratio(
    belief: Float32, field: ItemField, observation: Observation, weights: Float32, history: History
) -> Float32:
    """float32[B]: the sum of ``weights(i) * R(i)`` over all items that are not in the query's history.

    Worked out per label, so that it costs nothing per item. ``weights``: float32[n_items].
    """
    ratio = belief / field.prior
    shown = field.shown(observation)
    silent = np.diff(field.membership.indptr) == 0
    if shown is not None:
        silent |= ~shown
    unlabelled = float(weights[silent].sum())
    # A product and a sum per row, not a matrix product: BLAS rounds differently for different batch sizes.
    labelled = (ratio * np.asarray(field.membership.T @ np.where(silent, 0, weights), dtype=np.float32)).sum(axis=1)
    rows, items = list_history_pairs(history, len(weights))
    known = np.maximum(_at(ratio, field, shown, rows, items), FLOOR) * weights[items]
    return np.asarray(labelled + unlabelled - np.bincount(rows, known, minlength=len(history)), dtype=np.float32)


def list_history_pairs(history: History, n_items: int) -> tuple[Int64, Int64]:
    """int64[D] rows and int64[D] items of the history, repeats within a row left out."""
    pairs = np.unique(make_pair_keys(history.rows, history.items, n_items))
    return pairs // n_items, pairs % n_items


def _at(ratio: Float32, field: ItemField, shown: Bool | None, rows: Int64, items: Int64) -> npt.NDArray[np.float64]:
    """float64[D]: ``R`` of pairs of query and item."""
    picked = field.membership[items]
    lengths = np.diff(picked.indptr)
    pair = np.repeat(np.arange(len(items)), lengths)
    values = np.bincount(pair, picked.data * ratio[rows[pair], picked.indices], minlength=len(items))
    silent = lengths == 0 if shown is None else (lengths == 0) | ~shown[items]
    return np.where(silent, 1.0, values)


def compute_label_belief(evidence: HistoryWeights, observation: Observation, field: ItemField) -> Float32:
    """float32[B, L]: how likely each label of one field is, from the evidence."""
    counts = (
        evidence.matrix(field.fade, field.membership.shape[0], field.shown(observation)) @ field.membership
    ).toarray()
    counts += np.float32(field.strength) * field.prior
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), dtype=np.float32)


def _find(name: str, names: Sequence[str], what: str) -> int:
    if name in names:
        return list(names).index(name)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(list(names)[:20])}."
    raise ConfigError(f"unknown {what} {name!r}", fix=hint)

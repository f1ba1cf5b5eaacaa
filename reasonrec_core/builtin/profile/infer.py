"""Step *infer*: a distribution over the labels of each item field, from the evidence."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.builtin.profile.fields import ItemField
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32, Int32

CERTAIN = 1.0 - 1e-6
FLOOR = np.float32(1e-6)


@dataclass(frozen=True)
class Inference:
    """What the user is taken to be looking for.

    Attributes:
        fields: F fields.
        beliefs: per field float32[B, L], P(next item's label); a row sums to 1.
        exponents: float32[B, F], how strongly each belief gates the proposals.
    """

    fields: tuple[ItemField, ...]
    beliefs: tuple[Float32, ...]
    exponents: Float32

    def assume(self, field: str, label: str, rows: Sequence[int] | None = None) -> Inference:
        """The same, but sure that the next item's ``field`` is ``label`` (for ``rows``, or for all queries).

        Raises:
            ConfigError: no such field or label.
        """
        names = [f.name for f in self.fields]
        at = _find(field, names, "field")
        column = _find(label, self.fields[at].labels, f"label of {field!r}")
        chosen = slice(None) if rows is None else np.asarray(rows)
        belief, exponents = self.beliefs[at].copy(), self.exponents.copy()
        belief[chosen] = self.fields[at].prior * np.float32(1.0 - CERTAIN)
        belief[chosen, column] += np.float32(CERTAIN)
        exponents[chosen, at] = 1.0
        return replace(self, beliefs=(*self.beliefs[:at], belief, *self.beliefs[at + 1 :]), exponents=exponents)

    def slice(self, start: int, stop: int) -> Inference:
        """The inference for queries ``start:stop``."""
        return replace(self, beliefs=tuple(b[start:stop] for b in self.beliefs), exponents=self.exponents[start:stop])


def infer(evidence: Evidence, fields: tuple[ItemField, ...]) -> Inference:
    """``q(l) = (sum over the history of weight * membership + strength * prior(l)) / total``, per field."""
    size = len(evidence.history)
    beliefs = tuple(_belief(evidence, field) for field in fields)
    exponents = np.tile(np.array([f.exponent for f in fields], dtype=np.float32), (size, 1))
    return Inference(fields, beliefs, exponents)


def likelihood_ratio(belief: Float32, field: ItemField, candidates: Int32 | None) -> Float32:
    """float32[B, n_items] or [B, C]: ``R(i) = sum_l membership[i, l] * q(l) / prior(l)``, 1 where i has no label."""
    ratio = belief / field.prior
    member = field.membership
    if candidates is None:
        values = np.ascontiguousarray((member @ np.ascontiguousarray(ratio.T)).T)
        values[:, np.diff(member.indptr) == 0] = 1.0
    else:
        picked = member[np.maximum(candidates, 0).ravel()]
        lengths = np.diff(picked.indptr)
        cell = np.repeat(np.arange(candidates.size), lengths)
        terms = picked.data * ratio[cell // candidates.shape[1], picked.indices]
        values = np.bincount(cell, terms, minlength=candidates.size)
        values = np.where(lengths == 0, 1.0, values).reshape(candidates.shape)
    return np.asarray(np.maximum(values, FLOOR), dtype=np.float32)


def _belief(evidence: Evidence, field: ItemField) -> Float32:
    counts = (evidence.matrix(field.decay, field.membership.shape[0]) @ field.membership).toarray()
    counts += np.float32(field.strength) * field.prior
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), dtype=np.float32)


def _find(name: str, names: Sequence[str], what: str) -> int:
    if name in names:
        return list(names).index(name)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(list(names)[:20])}."
    raise ConfigError(f"unknown {what} {name!r}", fix=hint)

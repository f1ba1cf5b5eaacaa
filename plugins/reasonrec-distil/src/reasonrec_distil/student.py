"""The student as it answers: arrays, no learning framework."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from scipy import sparse

from reasonrec_core.errors import RunError
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Float32, History, Int32, Int64, indptr_of

FILE = "student.npz"


@dataclass(frozen=True)
class Student:
    """What `reasonrec_distil.network.StudentNetwork` learned; n items, d dimensions, H heads, m links an item.

    Attributes:
        items: float32[n, d + 1], what histories' vectors are multiplied with; the last column is the bias.
        reads: float32[n, d], what a history item gives.
        newest: float32[n, d], what it gives besides as the newest.
        salience: float32[n, H], how much it counts among the others.
        ages: float32[L, H], how much an item counts by its age.
        ask: float32[d + 1, H d], what the newest item asks of the others; this and other last rows are biases.
        scale, shift: float32[(H + 1) d], of the normalisation.
        widen, narrow: float32[(H + 1) d + 1, h] and float32[h + 1, d], the layer.
        trust: float32[(H + 1) d + 3, 2], how much links count, before and after the logarithm.
        link_ages: float32[L], weights of links by age.
        places: int32[n, m], items that each item leads to.
        links: float32[n, m], how strongly.
        sharpness: float32[1], how much the logarithm of what links lead to counts.
    """

    items: Float32
    reads: Float32
    newest: Float32
    salience: Float32
    ages: Float32
    ask: Float32
    scale: Float32
    shift: Float32
    widen: Float32
    narrow: Float32
    trust: Float32
    link_ages: Float32
    places: Int32
    links: Float32
    sharpness: Float32

    def save(self, folder: Path) -> None:
        """Write the arrays."""
        write_arrays(folder / FILE, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            RunError: a version of this package that knew less wrote it.
        """
        arrays = read_arrays(folder / FILE)
        missing = [field.name for field in fields(cls) if field.name not in arrays]
        if missing:
            what = f"an earlier version of reasonrec-distil fitted this student: it has no {missing[0]!r}"
            raise RunError(what, where=str(folder / FILE), fix="Fit it again.")
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def score(self, history: History) -> Float32:
        """float32[B, n] of the fitted items; those that came after the fit say nothing in a history."""
        if len(history) == 1:
            items = history.items[: -len(self.ages) - 1 : -1]
            return self._score_one(items[items < len(self.reads)])
        history = trim_history(history, len(self.ages), len(self.reads))
        ages = history.ages
        means, newest = self._weigh(history, ages)
        state, trust = self._read(np.concatenate([means, newest], axis=1), history.lengths)
        scores: Float32 = state @ self.items.T
        self._add_links(history, ages, trust, scores)
        return scores

    def _score_one(self, items: Int32) -> Float32:
        """float32[1, n] after one history, the newest item first: the same in fewer operations, half of the time."""
        (d, heads), size = (self.reads.shape[1], self.ages.shape[1]), len(items)
        given = np.zeros((1, (heads + 1) * d), np.float32)
        if size:
            read, asked = self.reads[items], (self.reads[items[0]] @ self.ask[:-1] + self.ask[-1]).reshape(heads, d)
            weight = self.ages[:size] + self.salience[items] + read @ asked.T
            weight = np.exp(weight - np.maximum.reduce(weight))
            given[0, :-d] = ((weight / np.add.reduce(weight)).T @ read).reshape(-1)
            given[0, -d:] = self.newest[items[0]]
        state, trust = self._read(given, np.array([size]))
        scores: Float32 = self.items @ state[0]
        if size:
            places = self.places[items].reshape(-1)
            strength = self.links[items] * (self.link_ages[:size, None] * trust[0, 0])
            mass = np.bincount(places, strength.reshape(-1), minlength=len(scores))
            # A place that several items lead to is written several times, the same each time.
            scores[places] += (self.sharpness * trust[0, 1]) * np.log1p(mass[places]).astype(np.float32)
        return scores[None]

    def _read(self, given: Float32, size: Int64) -> tuple[Float32, Float32]:
        """float32[B, d + 1]: each history's vector, and 1; float32[B, 2]: how much links count.

        Args:
            given: float32[B, (H + 1) d], means and the newest item's vector; of an empty history 0.
            size: int64[B], items of the histories.
        """
        (matrix, bias), width = self._layer, np.float32(given.shape[1])
        centred = given - np.add.reduce(given, axis=1, keepdims=True) / width
        spread = np.einsum("bd,bd->b", centred, centred) / width
        made = centred @ matrix / np.sqrt(spread + np.float32(1e-5))[:, None] + bias
        counts = np.array([np.log1p(size), 1 / (1 + size)], np.float32).T
        state = np.ones((len(given), self.items.shape[1]), np.float32)
        hidden = np.maximum(made[:, :-2], 0)
        state[:, :-1] = given[:, : self.reads.shape[1]] + hidden @ self.narrow[:-1] + self.narrow[-1]
        return state, np.exp(made[:, -2:] + counts @ self.trust[-3:-1])

    @cached_property
    def _layer(self) -> tuple[Float32, Float32]:
        """float32[(H + 1) d, h + 2] and float32[h + 2]: of what was centred, the layer and the trust in links.

        The normalisation's scale and shift are in it: a request does not pay for them.
        """
        joined = np.concatenate([self.widen[:-1], self.trust[:-3]], axis=1)
        bias = self.shift @ joined + np.concatenate([self.widen[-1], self.trust[-1]])
        return self.scale[:, None] * joined, bias

    def _weigh(self, history: History, ages: Int64) -> tuple[Float32, Float32]:
        """float32[B, H d]: a mean of the history's vectors for each head; float32[B, d]: the newest item's vector."""
        (d, heads), count = (self.reads.shape[1], self.ages.shape[1]), len(history)
        some = np.flatnonzero(history.lengths)
        last = history.items[history.indptr[some + 1] - 1]
        newest, means = np.zeros((count, d), np.float32), np.zeros((count, heads, d), np.float32)
        newest[some] = self.newest[last]
        read = self.reads[history.items]
        asked = (self.reads[last] @ self.ask[:-1] + self.ask[-1]).reshape(len(last), heads, d)
        weight = self.ages[ages] + self.salience[history.items]
        starts, row = history.indptr[some], np.repeat(np.arange(len(some)), history.lengths[some])
        weight += np.einsum("ed,ehd->eh", read, asked[row])
        if len(some):
            weight = np.exp(weight - np.maximum.reduceat(weight, starts)[row])
            weight /= np.add.reduceat(weight, starts)[row]
        for head in range(heads):
            means[:, head] = weigh_items(history, np.ascontiguousarray(weight[:, head]), len(self.reads)) @ self.reads
        return means.reshape(count, -1), newest

    def _add_links(self, history: History, ages: Int64, trust: Float32, scores: Float32) -> None:
        """Add what the history's items lead to to float32[B, n] scores, in place."""
        weight, n = self.link_ages[ages], scores.shape[1]
        found = weigh_items(history, weight * trust[history.rows, 0], n) @ self._matrix
        counts = np.diff(found.indptr)
        cells = found.indices + np.repeat(np.arange(0, scores.size, n), counts)
        # Not log1p, which takes six times as long; what is lost below 1e-7 no score shows.
        scores.reshape(-1)[cells] += np.repeat(self.sharpness * trust[:, 1], counts) * np.log(1 + found.data)

    @cached_property
    def _matrix(self) -> sparse.csr_matrix:
        """float32[n, n]: the links."""
        n, m = self.places.shape
        given = (self.links.reshape(-1), self.places.reshape(-1), m * np.arange(n + 1))
        return sparse.csr_matrix(given, shape=(n, n))


def weigh_items(history: History, weight: Float32, n_items: int) -> sparse.csr_matrix:
    """float32[B, n_items]: what each item of a row counts; an item that is there twice counts by its sum."""
    return sparse.csr_matrix((weight, history.items, history.indptr), shape=(len(history), n_items))


def trim_history(history: History, length: int, n_items: int) -> History:
    """The newest ``length`` entries of each row, without items that came after the fit."""
    kept = (history.ages < length) & (history.items < n_items)
    if kept.all():
        return history
    counts = np.bincount(history.rows[kept], minlength=len(history))
    return History(indptr_of(counts), history.items[kept], history.times[kept], history.skipped)

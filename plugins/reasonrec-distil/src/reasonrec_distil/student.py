"""The student as it answers: arrays, no learning framework."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from scipy import sparse

from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Float32, History, Int32, Int64, indptr_of

FILE = "student.npz"


@dataclass(frozen=True)
class Student:
    """What `reasonrec_distil.network.StudentNetwork` learned; n items, d dimensions, m links an item.

    Attributes:
        items: float32[n, d + 1], what histories' vectors are multiplied with; the last column is the bias.
        reads: float32[n, d], what a history item gives.
        salience: float32[n], how much it counts among the others.
        ages: float32[L], how much an item counts by its age.
        scale, shift: float32[d], of the normalisation.
        widen, narrow: float32[d + 1, h] and float32[h + 1, d], the layer; last rows are biases.
        link_ages: float32[L], weights of links by age.
        places: int32[n, m], items that each item leads to.
        links: float32[n, m], how strongly.
        sharpness: float32[1], how much the logarithm of what links lead to counts.
    """

    items: Float32
    reads: Float32
    salience: Float32
    ages: Float32
    scale: Float32
    shift: Float32
    widen: Float32
    narrow: Float32
    link_ages: Float32
    places: Int32
    links: Float32
    sharpness: Float32

    def save(self, folder: Path) -> None:
        """Write the arrays."""
        write_arrays(folder / FILE, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        arrays = read_arrays(folder / FILE)
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def score(self, history: History) -> Float32:
        """float32[B, n] of the fitted items; those that came after the fit say nothing in a history."""
        history = trim_history(history, len(self.ages), len(self.reads))
        ages = history.ages
        scores: Float32 = self._read(history, ages) @ self.items.T
        self._add_links(history, ages, scores)
        return scores

    def _read(self, history: History, ages: Int64) -> Float32:
        """float32[B, d + 1]: each history's vector, and 1; of an empty one the layer's answer to nothing."""
        weight = np.exp(self.ages[ages] + self.salience[history.items])
        if len(history) == 1:
            mean = ((weight / weight.sum()).astype(np.float32) @ self.reads[history.items])[None]
        else:
            total = np.bincount(history.rows, weight, minlength=len(history))
            weight = (weight / total[history.rows]).astype(np.float32)
            mean = weigh_items(history, weight, len(self.reads)) @ self.reads
        centred = mean - mean.mean(axis=1, keepdims=True)
        normal = centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5) * self.scale + self.shift
        hidden = np.maximum(normal @ self.widen[:-1] + self.widen[-1], 0)
        state = mean + hidden @ self.narrow[:-1] + self.narrow[-1]
        return np.concatenate([state, np.ones((len(state), 1), np.float32)], axis=1, dtype=np.float32)

    def _add_links(self, history: History, ages: Int64, scores: Float32) -> None:
        """Add what the history's items lead to to float32[B, n] scores, in place."""
        weight, n = self.link_ages[ages], scores.shape[1]
        if len(history) == 1:
            places, strength = self.places[history.items], self.links[history.items] * weight[:, None]
            mass = np.bincount(places.reshape(-1), strength.reshape(-1), minlength=n)
            at = np.flatnonzero(mass)
            scores[0, at] += self.sharpness * np.log1p(mass[at]).astype(np.float32)
            return
        found = weigh_items(history, weight, n) @ self._matrix
        cells = found.indices + np.repeat(np.arange(0, scores.size, n), np.diff(found.indptr))
        scores.reshape(-1)[cells] += self.sharpness * np.log1p(found.data)

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

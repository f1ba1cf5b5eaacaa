"""Regressions that are stored as plain numbers: ridge over hinges, and boosted trees.

Both are fitted by scikit-learn; what answers later are a few arrays, row by row, so that a prediction depends neither
on the batch nor on the library's version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge as SklearnRidge
from threadpoolctl import threadpool_limits

from reasonrec_core.routing.spline_basis import Hinges, Knots, knots_of
from reasonrec_core.types import Float64

Int64 = npt.NDArray[np.int64]

KNOTS = (0.25, 0.5, 0.75)
FORMS = ("ridge-10", "ridge-1000", "trees")
"""What can be chosen: ridge by its penalty, and boosted trees."""
TREES, DEPTH, RATE = 60, 3, 0.06


class Regression(Protocol):
    """float64[B] predictions for float64[B, F] columns."""

    def __call__(self, columns: Float64) -> Float64:
        """Predict."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON values."""
        ...


@dataclass(frozen=True)
class Ridge:
    """Linear in every column and in its hinges at ``knots``: an effect may bend.

    Attributes:
        knots: per column.
        mean, scale: of the design.
        weights: of the standardised design.
        bias: the mean of what was fitted.
    """

    knots: Knots
    mean: Float64
    scale: Float64
    weights: Float64
    bias: float

    @classmethod
    def fit(cls, columns: Float64, wanted: Float64, penalty: float) -> Self:
        """Least squares with ``penalty`` times the squared weights."""
        knots = knots_of(columns, KNOTS)
        design = Hinges(knots)(columns)
        mean, scale = design.mean(axis=0), design.std(axis=0)
        scale = np.where(scale > 1e-9, scale, 1.0)
        with threadpool_limits(1):
            model = SklearnRidge(alpha=penalty).fit((design - mean) / scale, wanted)
        return cls(knots, mean, scale, np.asarray(model.coef_, np.float64), float(model.intercept_))

    def __call__(self, columns: Float64) -> Float64:
        """Predict."""
        # A sum of products per row, not a matrix product: BLAS rounds differently for different batch sizes.
        weights, bias = self._folded
        return np.asarray((self._hinges(columns) * weights).sum(axis=1) + bias)

    @cached_property
    def _hinges(self) -> Hinges:
        return Hinges(self.knots)

    @cached_property
    def _folded(self) -> tuple[Float64, float]:
        """Weights and bias of the design as it is: a request does not pay for standardising it."""
        weights = self.weights / self.scale
        return weights, self.bias - float((weights * self.mean).sum())

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON values."""
        arrays = {"mean": self.mean.tolist(), "scale": self.scale.tolist(), "weights": self.weights.tolist()}
        return {"form": "ridge", "knots": [list(k) for k in self.knots], "bias": self.bias, **arrays}


@dataclass(frozen=True)
class Trees:
    """Boosted regression trees (Friedman, 2001), each a row of nodes; a leaf's children are itself.

    Attributes:
        column, left, right: int64[T, N].
        threshold: float64[T, N]; a value up to it goes left.
        value: float64[T, N] of leaves, times the learning rate.
        bias: what is added up from.
    """

    column: Int64
    left: Int64
    right: Int64
    threshold: Float64
    value: Float64
    bias: float

    @classmethod
    def fit(cls, columns: Float64, wanted: Float64, seed: int) -> Self:
        """Shallow trees on halves of the cases: the difference between two systems is nearly all noise."""
        model = GradientBoostingRegressor(
            n_estimators=TREES,
            learning_rate=RATE,
            max_depth=DEPTH,
            subsample=0.5,
            max_features=0.5,
            min_samples_leaf=max(10, len(wanted) // 200),
            random_state=seed,
        )
        with threadpool_limits(1):
            model.fit(columns.astype(np.float32), wanted)
        trees = [each.tree_ for each in model.estimators_[:, 0]]
        nodes = max(tree.node_count for tree in trees)
        itself = np.tile(np.arange(nodes, dtype=np.int64), (len(trees), 1))
        column, left, right = np.zeros_like(itself), itself.copy(), itself.copy()
        threshold, value = np.zeros(itself.shape), np.zeros(itself.shape)
        for row, tree in enumerate(trees):
            n, inner = tree.node_count, tree.children_left >= 0
            column[row, :n][inner], threshold[row, :n][inner] = tree.feature[inner], tree.threshold[inner]
            left[row, :n][inner], right[row, :n][inner] = tree.children_left[inner], tree.children_right[inner]
            value[row, :n] = RATE * tree.value[:, 0, 0]
        return cls(column, left, right, threshold, value, float(wanted.mean()))

    def __call__(self, columns: Float64) -> Float64:
        """Predict."""
        single = columns.astype(np.float32)  # as the thresholds were found
        rows, start = np.arange(len(single))[:, None], self._start
        node = np.zeros((len(single), len(start)), np.int64)
        for _ in range(DEPTH):  # all trees at once: a single request must not wait for a loop over them
            at = start + node
            left = single[rows, self.column.take(at)] <= self.threshold.take(at)
            node = np.where(left, self.left.take(at), self.right.take(at))
        return np.asarray(self.value.take(start + node).sum(axis=1) + self.bias)

    @cached_property
    def _start(self) -> Int64:
        """int64[T]: where each tree's nodes begin, the trees laid end to end."""
        return np.arange(0, self.column.size, self.column.shape[1], dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON values."""
        names = ("column", "left", "right", "threshold", "value")
        return {"form": "trees", "bias": self.bias, **{name: getattr(self, name).tolist() for name in names}}


def fit_regression(form: str, columns: Float64, wanted: Float64, seed: int) -> Ridge | Trees:
    """One of `FORMS`, fitted to float64[B, F] columns and float64[B] values."""
    name, _, penalty = form.partition("-")
    return Ridge.fit(columns, wanted, float(penalty)) if name == "ridge" else Trees.fit(columns, wanted, seed)


def read_regression(value: Mapping[str, Any]) -> Ridge | Trees:
    """What ``to_dict`` gave."""
    if value["form"] == "ridge":
        arrays = {name: np.array(value[name], np.float64) for name in ("mean", "scale", "weights")}
        return Ridge(tuple(tuple(k) for k in value["knots"]), bias=float(value["bias"]), **arrays)
    column, left, right = (np.array(value[name], np.int64) for name in ("column", "left", "right"))
    threshold, added = (np.array(value[name], np.float64) for name in ("threshold", "value"))
    return Trees(column, left, right, threshold, added, float(value["bias"]))

"""Regressions that are stored as plain numbers: ridge over hinges, and boosted trees.

Both are fitted by scikit-learn; what answers later are a few arrays, row by row, so that a prediction depends neither
on the batch nor on the library's version.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer

from reasonrec_core.evaluate import find_thread_pools
from reasonrec_core.routing import ArrayModel, FloatArray, LinearSpline, SplineBasis, place_knots, standardise
from reasonrec_core.types import Float64, Int64

IntArray = Annotated[
    Int64, BeforeValidator(lambda value: np.asarray(value, np.int64)), PlainSerializer(lambda value: value.tolist())
]
"""int64 of any shape, in JSON as lists."""
FORMS = ("ridge-10", "ridge-1000", "trees")
"""What can be chosen: ridge by its penalty, and boosted trees."""
TREES, DEPTH, RATE = 60, 3, 0.06


class RidgeModel(LinearSpline):
    """Linear in every column and in its hinges: an effect may bend; ``bias`` is the mean of what was fitted."""

    form: Literal["ridge"] = "ridge"

    @classmethod
    def fit(cls, columns: Float64, wanted: Float64, penalty: float) -> Self:
        """Least squares with ``penalty`` times the squared weights."""
        from sklearn.linear_model import Ridge

        knots = place_knots(columns)
        standard, mean, scale = standardise(SplineBasis(knots)(columns))
        with find_thread_pools().limit(limits=1):
            model = Ridge(alpha=penalty).fit(standard, wanted)
        return cls(knots=knots, mean=mean, scale=scale, weights=model.coef_, bias=float(model.intercept_))

    def __call__(self, columns: Float64) -> Float64:
        """Predict."""
        return self.linear(columns)


class TreesModel(ArrayModel):
    """Boosted regression trees (Friedman, 2001), each a row of nodes; a leaf's children are itself.

    Attributes:
        column, left, right: int64[T, N].
        threshold: float64[T, N]; a value up to it goes left.
        value: float64[T, N] of leaves, times the learning rate.
        bias: what is added up from.
    """

    form: Literal["trees"] = "trees"
    column: IntArray
    left: IntArray
    right: IntArray
    threshold: FloatArray
    value: FloatArray
    bias: float

    @classmethod
    def fit(cls, columns: Float64, wanted: Float64, seed: int) -> Self:
        """Shallow trees on halves of the cases: the difference between two systems is nearly all noise."""
        from sklearn.ensemble import GradientBoostingRegressor

        model = GradientBoostingRegressor(
            n_estimators=TREES,
            learning_rate=RATE,
            max_depth=DEPTH,
            subsample=0.5,
            max_features=0.5,
            min_samples_leaf=max(10, len(wanted) // 200),
            random_state=seed,
        )
        with find_thread_pools().limit(limits=1):
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
        nodes_of = {"column": column, "left": left, "right": right, "threshold": threshold, "value": value}
        return cls(**nodes_of, bias=float(wanted.mean()))

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


GainModel = Annotated[RidgeModel | TreesModel, Field(discriminator="form")]
"""Predicts quality differences: float64[B, F] columns to float64[B]."""


def fit_gain_model(form: str, columns: Float64, wanted: Float64, seed: int) -> RidgeModel | TreesModel:
    """One of `FORMS`, fitted to float64[B, F] columns and float64[B] values."""
    name, _, penalty = form.partition("-")
    if name == "ridge":
        return RidgeModel.fit(columns, wanted, float(penalty))
    return TreesModel.fit(columns, wanted, seed)

"""A regression that is stored as plain numbers: ridge over hinges, of several delegates at once.

It is fitted by scikit-learn; what answers later are two arrays and one product, row by row, so that a prediction
depends neither on the batch nor on the library's version.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from reasonrec_core.evaluate import find_thread_pools
from reasonrec_core.routing import (
    ArrayModel,
    FloatArray,
    SplineSum,
    design_matrix,
    place_knots,
    standardise,
)
from reasonrec_core.types import Float64

FORMS = {"ridge-10": 10.0, "ridge-1000": 1000.0, "products-1000": 1000.0}
"""The forms that can be chosen, by their penalty; ``products`` has those of each pair of columns, too."""


class GainModel(ArrayModel):
    """Linear in every column and in its hinges (`design_matrix`): an effect may bend.

    Attributes:
        knots: per column, where its hinges sit.
        products: whether the design has the product of each pair of columns.
        weights: float64[D, F] of the design columns, per delegate.
        bias: float64[D].
    """

    knots: tuple[tuple[float, ...], ...]
    products: bool
    weights: FloatArray
    bias: FloatArray

    @classmethod
    def fit(cls, form: str, columns: Float64, wanted: Float64) -> Self:
        """Least squares for float64[B, D] of float64[B, C] columns, with the form's penalty on the weights."""
        from sklearn.linear_model import Ridge

        knots, products = place_knots(columns), form.startswith("products")
        standard, mean, scale = standardise(design_matrix(columns, knots, products=products))
        with find_thread_pools().limit(limits=1):
            model = Ridge(alpha=FORMS[form]).fit(standard, wanted)
        # Row by row in memory, as it is read back: sums then round alike.
        weights = np.ascontiguousarray(np.reshape(model.coef_, (wanted.shape[1], -1)) / scale)
        bias = np.reshape(model.intercept_, -1) - weights @ mean
        return cls(knots=knots, products=products, weights=weights, bias=bias)

    def __call__(self, columns: Sequence[Any]) -> Float64:
        """float64[B, D] for C columns (`read_columns`)."""
        return np.atleast_2d(np.array([each(columns) for each in self._sums]).T)

    @cached_property
    def _sums(self) -> list[SplineSum]:
        return [SplineSum(self.knots, *each) for each in zip(self.weights, self.bias.tolist(), strict=True)]

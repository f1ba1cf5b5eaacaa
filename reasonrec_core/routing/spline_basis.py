"""Columns that may bend: each signal beside its hinge functions ``max(x - knot, 0)``."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from reasonrec_core.types import Float64

Knots = tuple[tuple[float, ...], ...]


class Hinges:
    """Turns float64[B, F] signals into float64[B, F + hinges], each signal followed by its hinges.

    The layout is worked out once: a single request pays for three array operations, not for one per knot.

    Args:
        knots: per signal, where its hinges sit.
    """

    def __init__(self, knots: Knots) -> None:
        lengths = [1 + len(at) for at in knots]
        self._source = np.repeat(np.arange(len(knots)), lengths)
        self._shift = np.array([knot for at in knots for knot in (0.0, *at)])
        self._least = np.array([least for at in knots for least in (-np.inf, *(0.0 for _ in at))])

    def __call__(self, signals: Float64) -> Float64:
        """The columns."""
        made = signals.take(self._source, axis=1)  # row-contiguous, so that sums do not depend on the batch
        made -= self._shift
        np.maximum(made, self._least, out=made)
        return made


def knots_of(signals: Float64, at: Iterable[float]) -> Knots:
    """The different values at the quantiles ``at`` of each column of float64[B, F]."""
    return tuple(tuple(float(q) for q in np.unique(np.quantile(column, tuple(at)))) for column in signals.T)

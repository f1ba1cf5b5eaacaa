"""Signals that routers look at: estimators' values, and what a kind of router reads off requests and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import ConfigError, PluginError, did_you_mean
from reasonrec_core.types import Bool, Float32, Float64, History, Int64, Ranking, Uncertainty

FEATURE = "feature:"
"""How the names of features begin; an estimator's never does."""
Signals = Mapping[str, Uncertainty]


class AnswerFeatures:
    """What a kind of router looks at besides estimators (`Router.features`): nothing, unless a kind says otherwise.

    Names of features begin with `FEATURE`, their values are in [0, 1], and each is a function of its query alone. All
    that installed kinds look at is recorded, so that another kind of router can be fitted to a trace.
    """

    def names(self, delegates: Sequence[str]) -> tuple[str, ...]:
        """The features that there are where these delegates have answered."""
        return ()

    def read(
        self, history: History, popularity: Int64, answers: Mapping[str, Ranking], *, request: bool = True
    ) -> dict[str, Uncertainty]:
        """Every feature of B queries, of the stage "before".

        Args:
            history: B rows.
            popularity: int64[n_items] training interactions of each item; items beyond its end have none.
            answers: delegate -> its ranking, all of one width: a feature depends on how much of an answer is seen.
            request: whether those of the request itself are wanted.
        """
        return {}

    def compare(
        self, policy: Ranking, masses: Float32, delegates: Mapping[str, Ranking], depth: int
    ) -> dict[str, Uncertainty]:
        """What the policy's answers tell of the delegates' to B validation queries, to learn from; of stage "after".

        Args:
            policy: its answers.
            masses: float32[B, K], P(target) of each of their items.
            delegates: their answers to the same queries.
            depth: how much of an answer counts.
        """
        return {}


def count_queries(signals: Signals) -> int:
    """B."""
    return len(next(iter(signals.values())).total)


def signal(signals: Signals, name: str) -> Uncertainty:
    """One estimator's values; an unknown name is a `ConfigError` that says what is near."""
    if name not in signals:
        fix = did_you_mean(name, signals)
        raise ConfigError(f"there is no uncertainty estimator {name!r}", where="router.estimators", fix=fix)
    return signals[name]


def signal_matrix(signals: Signals, names: Sequence[str], size: int | None = None) -> Float64:
    """float64[B, len(names)], checked."""
    columns = [signal(signals, name).total for name in names]
    size = len(columns[0]) if size is None else size
    for name, column in zip(names, columns, strict=True):
        if column.shape != (size,):
            raise PluginError(f"uncertainty {name!r} has shape {column.shape}, expected ({size},)")
    made = np.array(columns, np.float64).T
    if not isfinite(np.add.reduce(made, None)):
        name = names[int(np.flatnonzero(~np.isfinite(made).all(axis=0))[0])]
        raise PluginError(f"uncertainty {name!r} is not finite everywhere")
    return made


def read_columns(signals: Signals, names: Sequence[str]) -> list[Any]:
    """The columns of `signal_matrix`, as numbers where there is one query."""
    columns = [signal(signals, name).total for name in names]
    if columns[0].size == 1:
        values = [column.item() for column in columns]
        if isfinite(sum(values)):
            return values
    return list(signal_matrix(signals, names).T)


def take_signals(signals: Signals, rows: npt.NDArray[np.intp] | Bool) -> dict[str, Uncertainty]:
    """The signals of some queries."""
    return {name: value.take(rows) for name, value in signals.items()}


def single(values: Float64) -> Float64:
    """float64, at single precision, so that a threshold at a value meets it exactly."""
    return values.astype(np.float32).astype(np.float64)

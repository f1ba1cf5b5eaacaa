"""Feedback of several kinds (a view, a cart, a purchase), told apart by the values of the log."""

from __future__ import annotations

import numpy as np

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import Float32, Int64, Interactions

MOST_KINDS = 10
"""Kinds that values are told apart into without being asked to."""


def read_kinds(values: Float32 | None, kinds: tuple[float, ...] | None) -> tuple[float, ...]:
    """The lowest value of each kind of feedback, weakest first.

    Args:
        values: float32[N] of the training part, or None.
        kinds: what the settings say; None: every value is a kind.

    Raises:
        ConfigError: the log has no values although kinds are set, or too many to take each for a kind.
    """
    if values is None:
        if kinds is not None:
            fix = "Give each kind of event a value on import: --event-weights view=1,cart=2,buy=3; or leave kinds out."
            raise ConfigError("the interactions have no values to tell kinds of feedback by", where="kinds", fix=fix)
        return (0.0,)
    if kinds is not None:
        return kinds
    found = np.unique(values)
    if len(found) > MOST_KINDS:
        fix = "Set kinds to the lowest value of each kind, weakest first, such as kinds = [1, 4, 5]."
        raise ConfigError(f"the interactions have {len(found)} different values", where="kinds", fix=fix)
    return tuple(float(value) for value in found)


def list_feedback(log: Interactions, kinds: tuple[float, ...]) -> tuple[Int64, Int64, Int64]:
    """int64[T] users, items and kinds: each user's items, once for every kind of feedback that she gave.

    Args:
        log: the training part.
        kinds: lowest value of each, weakest first; rows below the first are left out.

    Raises:
        DataError: no row is of any kind.
    """
    of = np.zeros(len(log), np.int64)
    if log.values is not None:
        of = np.searchsorted(np.asarray(kinds, np.float32), log.values, side="right").astype(np.int64) - 1
    rows = np.stack([log.users, log.items, of])[:, of >= 0]
    if not rows.shape[1]:
        raise DataError(f"no training interaction has a value of {kinds[0]:g} or more", fix="Lower the first of kinds.")
    users, items, found = np.unique(rows, axis=1)
    return users, items, found

"""Feedback of several kinds (a view, a cart, a purchase): told apart by the values of the log; batches of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from reasonrec_torch.interactions import PairBatch, PairEpoch, TrainingPairs
from torch import Tensor

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import content_hash
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


@dataclass(frozen=True)
class TensorFeedback:
    """P pairs and the kind of each, on a device.

    Attributes:
        users: int64[P].
        items: int64[P].
        kinds: int64[P].
    """

    users: Tensor
    items: Tensor
    kinds: Tensor


@dataclass(frozen=True)
class FeedbackBatch(PairBatch):
    """Pairs with the kind of each.

    Attributes:
        kinds: int64[P].
    """

    kinds: Int64

    def to(self, device: torch.device) -> TensorFeedback:  # type: ignore[override]
        """As tensors on ``device``."""
        return TensorFeedback(*(torch.from_numpy(a).to(device) for a in (self.users, self.items, self.kinds)))


class TrainingFeedback(TrainingPairs):
    """All feedback once per epoch, in another order each time; items to compare with are drawn by the model.

    Args:
        users, items, kinds: int64[T], of `list_feedback`.
        n_items: size of the catalogue.
        batch: pairs per batch.
    """

    def __init__(self, users: Int64, items: Int64, kinds: Int64, n_items: int, *, batch: int) -> None:
        super().__init__(users, items, n_items, batch=batch, negatives=0)
        self.kinds = kinds

    @cached_property
    def digest(self) -> str:
        """Of all that batches depend on besides the random generator."""
        return content_hash(super().digest, self.kinds.tobytes())

    def epoch(self, number: int, epochs: int, rng: np.random.Generator) -> FeedbackEpoch:
        """An order of all feedback."""
        plan = super().epoch(number, epochs, rng)
        return FeedbackEpoch(self, plan.order, plan.drawn)


@dataclass(frozen=True)
class FeedbackEpoch(PairEpoch):
    """Planned batches of feedback."""

    pairs: TrainingFeedback

    def batches(self, start: int = 0) -> Iterator[FeedbackBatch]:
        """The batches, from the one at position ``start`` on."""
        size = self.pairs.batch
        for number, batch in enumerate(super().batches(start), start):
            rows = self.order[number * size : (number + 1) * size]
            yield FeedbackBatch(batch.users, batch.items, batch.negatives, self.pairs.kinds[rows])

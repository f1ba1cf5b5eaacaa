"""Interactions as batches of pairs with negatives, for models that score a user and an item at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from reasonrec_core.errors import DataError
from reasonrec_core.io import content_hash
from reasonrec_core.types import Int32, Int64


@dataclass(frozen=True)
class TensorPairs:
    """P pairs and M negatives of each, on a device.

    Attributes:
        users: int64[P].
        items: int64[P].
        negatives: int64[P, M].
    """

    users: Tensor
    items: Tensor
    negatives: Tensor


@dataclass(frozen=True)
class PairBatch:
    """What is learned from at once; nothing is padded.

    Attributes:
        users: int64[P].
        items: int64[P].
        negatives: int64[P, M].
    """

    users: Int64
    items: Int64
    negatives: Int64

    @property
    def samples(self) -> int:
        """Pairs."""
        return len(self.users)

    @property
    def used(self) -> int:
        """Pairs."""
        return len(self.users)

    @property
    def places(self) -> int:
        """Pairs."""
        return len(self.users)

    def to(self, device: torch.device) -> TensorPairs:
        """As tensors on ``device``."""
        return TensorPairs(*(torch.from_numpy(a).to(device) for a in (self.users, self.items, self.negatives)))


class TrainingPairs:
    """All interactions once per epoch, in another order each time, with negatives that the user has not chosen.

    Args:
        users: int[T].
        items: int[T].
        n_items: size of the catalogue.
        batch: pairs per batch.
        negatives: drawn per pair, evenly; one that the user has chosen is drawn again, up to ten times.
        by_user: users come in another order each time, each with all of her pairs, instead of the pairs.

    Raises:
        DataError: there are no interactions.
    """

    def __init__(
        self,
        users: Int32 | Int64,
        items: Int32 | Int64,
        n_items: int,
        *,
        batch: int = 1024,
        negatives: int = 1,
        by_user: bool = False,
    ) -> None:
        if not len(users):
            raise DataError("there are no training interactions to learn from")
        self.users, self.items = np.asarray(users, np.int64), np.asarray(items, np.int64)
        self.n_items, self.batch, self.negatives, self.by_user = n_items, batch, negatives, by_user
        self._chosen = np.unique(self.users * n_items + self.items)

    @property
    def samples(self) -> int:
        """Interactions."""
        return len(self.users)

    @cached_property
    def digest(self) -> str:
        """Of all that batches depend on besides the random generator."""
        order = ("by user",) if self.by_user else ()
        return content_hash(
            self.users.tobytes(), self.items.tobytes(), self.n_items, self.batch, self.negatives, *order
        )

    def epoch(self, number: int, epochs: int, rng: np.random.Generator) -> PairEpoch:
        """An order of all interactions, and negatives for them."""
        if self.by_user:
            order = np.argsort(rng.permutation(int(self.users.max()) + 1)[self.users], kind="stable")
        else:
            order = rng.permutation(len(self.users))
        drawn = rng.integers(self.n_items, size=(len(order), self.negatives))
        for _ in range(10):
            row, column = np.nonzero(self._is_chosen(self.users[order][:, None] * self.n_items + drawn))
            if not len(row):
                break
            drawn[row, column] = rng.integers(self.n_items, size=len(row))
        return PairEpoch(self, order, drawn)

    def _is_chosen(self, keys: Int64) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        at = np.minimum(np.searchsorted(self._chosen, keys), len(self._chosen) - 1)
        return np.asarray(self._chosen[at] == keys)


@dataclass(frozen=True)
class PairEpoch:
    """Planned batches of pairs.

    Attributes:
        pairs: what they are taken from.
        order: int64[T].
        drawn: int64[T, M], the negatives in that order.
    """

    pairs: TrainingPairs
    order: Int64
    drawn: Int64

    def __len__(self) -> int:
        return -(-len(self.order) // self.pairs.batch)

    @property
    def samples(self) -> int:
        """Interactions."""
        return len(self.order)

    def batches(self, start: int = 0) -> Iterator[PairBatch]:
        """The batches, from the one at position ``start`` on."""
        size = self.pairs.batch
        for low in range(start * size, len(self.order), size):
            rows = self.order[low : low + size]
            yield PairBatch(self.pairs.users[rows], self.pairs.items[rows], self.drawn[low : low + size])

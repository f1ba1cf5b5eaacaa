"""Users' sequences in mixed-length batches: rows of like length, as many as fit a budget of places.

What is read of whom, and what is asked there, is planned as arrays (`Windows`) before any batch is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from reasonrec_core.errors import DataError
from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32, Int32, Int64
from reasonrec_torch.curriculum import Curriculum, Exposure
from reasonrec_torch.ragged import count_within, number_moments, pack, pad_rows

Shape = Literal["positions", "prefixes"]
"""``positions``: a causal encoder predicts after every item of a window; ``prefixes``: every prefix is its own row."""


@dataclass(frozen=True)
class Windows:
    """R rows: row r reads ``items[start:stop]`` and is asked for ``items[j + 1]`` after each j in ``first..stop - 1``.

    Attributes:
        users: int64[R].
        start: int64[R].
        stop: int64[R].
        first: int64[R], the earliest input position with a target.
    """

    users: Int64
    start: Int64
    stop: Int64
    first: Int64

    def __len__(self) -> int:
        return len(self.users)

    @property
    def lengths(self) -> Int64:
        """int64[R]: items read."""
        return self.stop - self.start

    @property
    def samples(self) -> int:
        """How many targets there are."""
        return int((self.stop - self.first).sum())

    def take(self, index: Int64) -> Windows:
        """The rows at ``index``, in that order."""
        return Windows(self.users[index], self.start[index], self.stop[index], self.first[index])


def make_windows(
    users: Int64, begin: Int64, end: Int64, limit: Int64, shape: Shape, rng: np.random.Generator
) -> Windows:
    """Windows in which every item of a sequence but the first is a target exactly once.

    A sequence of more than ``limit`` targets is cut for ``positions``, at borders that are drawn anew on every call, so
    that no item is always seen with a short past.

    Args:
        users: int64[S], whose sequence it is; a user may come several times.
        begin, end: int64[S], bounds of each sequence, at least two items.
        limit: int64[S], most items that are read before a target, at least 1.
        shape: see `Shape`.
        rng: draws the borders.
    """
    targets = end - begin - 1
    if shape == "prefixes":
        row = np.repeat(np.arange(len(users)), targets)
        stop = begin[row] + 1 + count_within(targets)
        start = np.maximum(begin[row], stop - limit[row])
        return Windows(users[row], start, stop, stop - 1)
    drawn = np.floor(rng.random(len(users)) * limit).astype(np.int64)
    newest = np.where(targets > limit, limit - drawn, targets)
    pieces = 1 + -(-(targets - newest) // limit)
    row, piece = np.repeat(np.arange(len(users)), pieces), count_within(pieces)
    after = np.where(piece > 0, newest[row] + (piece - 1) * limit[row], 0)
    size = np.where(piece > 0, np.minimum(limit[row], targets[row] - after), newest[row])
    stop = end[row] - 1 - after
    return Windows(users[row], stop - size, stop, stop - size)


@dataclass(frozen=True)
class Batch:
    """What is learned from in one step.

    Attributes:
        items: int64[B, L], oldest first, -1 pads on the right.
        targets: int64[B, L], the item that follows each position; -1 where nothing is asked.
        weights: float32[B, L] of the targets (0 where nothing is asked), or None for equal ones.
        users: int32[B], whose history it is.
    """

    items: Int64
    targets: Int64
    weights: Float32 | None
    users: Int32

    @cached_property
    def samples(self) -> int:
        """How many targets there are."""
        return int((self.targets >= 0).sum())

    @cached_property
    def used(self) -> int:
        """Places that hold an item."""
        return int((self.items >= 0).sum())

    @property
    def places(self) -> int:
        """Places, padding included."""
        return self.items.size

    def to(self, device: torch.device) -> TensorBatch:
        """The arrays as tensors on ``device``."""

        def move(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device, non_blocking=True)

        weights = None if self.weights is None else move(self.weights)
        return TensorBatch(move(self.items), move(self.targets), weights, move(self.users).long())


@dataclass(frozen=True)
class TensorBatch:
    """A `Batch` on a device.

    Attributes:
        items: int64[B, L], -1 pads on the right.
        targets: int64[B, L], -1 where nothing is asked.
        weights: float32[B, L] or None.
        users: int64[B].
    """

    items: Tensor
    targets: Tensor
    weights: Tensor | None
    users: Tensor


class TrainingSequences:
    """Users' sequences, to be read in batches.

    Args:
        indptr: int64[n_users + 1] row bounds.
        items: int[T] dense item indices, oldest first within a user.
        shape: ``positions`` (every prefix is a sample, in one pass of a causal encoder) or ``prefixes`` (every prefix
            is a row, for encoders that look both ways).
        max_history: most items that are read before a target.
        tokens: places (rows x longest row) of a batch, unless a single row needs more.
        newest_only: learn from each user's newest ``max_history`` targets only. Otherwise every item but a user's
            first is a target, once per epoch.
        weights: float32[T], of each interaction as a target; None for equal ones.
        times: int64[T], or None. What a user did at the same time has no order, only the log gives it one: each epoch
            draws another. Weights stay at their positions.
        curriculum: who is shown when; None: everyone, always.

    Raises:
        DataError: no user has two items, so that there is nothing to predict.
    """

    def __init__(
        self,
        indptr: Int64,
        items: Int32 | Int64,
        *,
        shape: Shape = "positions",
        max_history: int = 50,
        tokens: int = 768,
        newest_only: bool = False,
        weights: Float32 | None = None,
        times: Int64 | None = None,
        curriculum: Curriculum | None = None,
    ) -> None:
        self.items, self.shape, self.max_history, self.tokens, self.weights = items, shape, max_history, tokens, weights
        self.curriculum = curriculum
        self._moments = None if times is None else number_moments(indptr, times)
        self.n_users = len(indptr) - 1
        self.users = np.flatnonzero(np.diff(indptr) >= 2)
        self._begin, self._end = indptr[self.users], indptr[self.users + 1]
        if newest_only:
            self._begin = np.maximum(self._begin, self._end - max_history - 1)
        if not len(self.users):
            raise DataError(
                "no user has two or more training interactions, so there is no next item to learn",
                fix="Use a policy without training, or a split that leaves users more history.",
            )

    @property
    def samples(self) -> int:
        """Targets of an epoch that shows everyone once."""
        return int((self._end - self._begin - 1).sum())

    @cached_property
    def digest(self) -> str:
        """Of all that batches depend on besides the random generator."""
        arrays = (self.users, self._begin, self._end, self.items, self.weights, self._moments)
        parts = [b"" if a is None else np.ascontiguousarray(a).tobytes() for a in arrays]
        shown = self.curriculum.digest if self.curriculum else None
        return content_hash(*parts, self.shape, self.max_history, self.tokens, shown)

    def epoch(self, number: int, epochs: int, rng: np.random.Generator) -> Epoch:
        """The epoch with this number (from 0), as the curriculum has it."""
        return self.plan(rng, self.curriculum.epoch(number, epochs, rng) if self.curriculum else (Exposure(),))

    def plan(self, rng: np.random.Generator, parts: Sequence[Exposure] = (Exposure(),)) -> Epoch:
        """Plan an epoch: as many targets as there are in all sequences, whoever is shown.

        Args:
            rng: of all choices.
            parts: the epoch's consecutive parts, of equally many targets, and who is shown in each. A user's
                sequence is read in proportion to its probability (systematic sampling): with equal probabilities
                exactly once, in a random part.
        """
        planned, bounds = [], [0]
        for rows, limit in self._readings(rng, parts):
            cap = np.minimum(limit, self.max_history)
            windows = make_windows(self.users[rows], self._begin[rows], self._end[rows], cap, self.shape, rng)
            order = np.argsort(windows.lengths + rng.random(len(windows)) * 0.9, kind="stable")
            windows = windows.take(order)
            cuts = pack(windows.lengths, self.tokens)
            mixed = rng.permutation(len(cuts) - 1)
            sizes = np.diff(cuts)[mixed]
            rows_of = [np.arange(cuts[i], cuts[i + 1]) for i in mixed]
            planned.append(windows.take(np.concatenate(rows_of) if rows_of else np.zeros(0, np.intp)))
            bounds.extend((bounds[-1] + np.cumsum(sizes)).tolist())
        items = self.items
        if self._moments is not None:
            items = items[np.lexsort((rng.random(len(items)), self._moments))]
        joined = [np.concatenate([getattr(p, name) for p in planned]) for name in ("users", "start", "stop", "first")]
        return Epoch(self, items, Windows(*joined), np.array(bounds, np.int64))

    def _readings(self, rng: np.random.Generator, parts: Sequence[Exposure]) -> Iterator[tuple[Int64, Int64]]:
        """Per part: rows of ``users`` that are read (with repetition), and how many items of each at most."""
        at = rng.random(len(self.users))
        credit = np.zeros(len(self.users))
        done = np.floor(at)
        targets = self._end - self._begin - 1
        for part in parts:
            share = np.ones(len(self.users)) if part.probability is None else part.probability[self.users].astype(float)
            if not share.any():
                raise ValueError("a part of the epoch shows no user: all probabilities are 0")
            credit += share * (targets.sum() / (share * targets).sum())
            upto = np.floor(at + credit / len(parts))
            rows = np.repeat(np.arange(len(self.users)), (upto - done).astype(np.int64))
            done = upto
            limit = np.full(len(rows), self.max_history) if part.limit is None else part.limit[self.users[rows]]
            yield rows, limit


@dataclass(frozen=True)
class Epoch:
    """Planned batches.

    Attributes:
        sequences: what they are cut from.
        items: int[T], its items in the order of this epoch.
        windows: all rows, batch after batch.
        bounds: int64[batches + 1].
    """

    sequences: TrainingSequences
    items: Int32 | Int64
    windows: Windows
    bounds: Int64

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def samples(self) -> int:
        """How many targets there are."""
        return self.windows.samples

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """The batches, from the one at position ``start`` on."""
        for low, high in pairwise(self.bounds[start:]):
            yield self._batch(self.windows.take(np.arange(low, high)))

    def _batch(self, rows: Windows) -> Batch:
        data = self.sequences
        items, at = pad_rows(self.items, rows.start, rows.lengths)
        asked = (at >= rows.first[:, None]) & (items >= 0)
        targets = np.full(items.shape, -1, np.int64)
        targets[asked] = self.items[at[asked] + 1]
        weights = None
        if data.weights is not None:
            weights = np.zeros(items.shape, np.float32)
            weights[asked] = data.weights[at[asked] + 1]
        return Batch(items, targets, weights, rows.users.astype(np.int32))

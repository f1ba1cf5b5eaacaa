"""What is asked: batches of requests, and requests whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from reasonrec_core.types.log import Float32, History, Int32, Int64, concatenate_ranges, take_rows


class Task(StrEnum):
    """What is asked of a recommender."""

    SEQUENTIAL = "sequential"
    """Rank the whole catalogue for a user's next item; what the user already has is masked."""
    DIRECT = "direct"
    """Rank a given list of candidates."""
    CTR = "ctr"
    """Give the probability of a click for each given item."""
    EXPLAIN = "explain"
    """Say why an item suits a user."""

    @property
    def ranks(self) -> bool:
        """Whether the answer is a ranking."""
        return self in {Task.SEQUENTIAL, Task.DIRECT}


@dataclass(frozen=True, slots=True)
class QueryBatch:
    """A batch of requests; a single request is a batch of one.

    Attributes:
        task: what is asked.
        users: int32[B] dense user indices, -1 where the user is unknown (normal: the history speaks).
        history: B rows of what each user did before, oldest first.
        k: how many items are wanted.
        candidates: int32[B, C] for `Task.DIRECT` and `Task.CTR` (-1 pads), None for the whole catalogue.
        times: int64[B] time of the request in the log's unit, or None where it is unknown.
        context: int32[B, X] of the request, as of `Interactions`; None where nothing of it is known.
    """

    task: Task
    users: Int32
    history: History
    k: int = 10
    candidates: Int32 | None = None
    times: Int64 | None = None
    context: Int32 | None = None

    def __len__(self) -> int:
        return len(self.users)

    def slice(self, start: int, stop: int) -> QueryBatch:
        """Queries ``start:stop``."""
        return replace(take_rows(self, slice(start, stop)), history=self.history.slice(start, stop))

    def take(self, index: npt.NDArray[np.intp]) -> QueryBatch:
        """The queries at ``index``, in that order."""
        return replace(take_rows(self, index), history=self.history.take(index))

    def chunks(self, size: int) -> Iterator[tuple[int, QueryBatch]]:
        """Consecutive slices of at most ``size`` queries, each with the position of its first query."""
        for start in range(0, len(self), size):
            yield start, self.slice(start, min(start + size, len(self)))


@dataclass(frozen=True, slots=True)
class Cases:
    """Queries with their known answers: what validation and test consist of.

    Attributes:
        queries: B queries.
        target_indptr: int64[B + 1] row bounds into ``targets``.
        targets: int32[T] relevant items of each query (one per query under leave-one-out).
        labels: float32[B, C] click labels for `Task.CTR`, else None.
    """

    queries: QueryBatch
    target_indptr: Int64
    targets: Int32
    labels: Float32 | None = None

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def rows(self) -> Int64:
        """int64[T]: the query that each target belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.target_indptr))

    def next_queries(self) -> QueryBatch:
        """The queries as they come next: their targets are the newest of the history, from when they were asked."""
        old, when = self.queries.history, self.queries.times
        order = np.argsort(np.concatenate([old.rows, self.rows]), kind="stable")
        items = np.concatenate([old.items, self.targets])[order]
        late = np.full(len(self.targets), old.times.max(initial=0)) if when is None else when[self.rows]
        times = np.concatenate([old.times, late])[order]
        return replace(self.queries, history=History(old.indptr + self.target_indptr, items, times, old.skipped))

    def take(self, index: npt.NDArray[np.intp]) -> Cases:
        """The cases at ``index``, in that order."""
        indptr, source = concatenate_ranges(self.target_indptr[:-1][index], self.target_indptr[1:][index])
        labels = None if self.labels is None else self.labels[index]
        return Cases(self.queries.take(index), indptr, self.targets[source], labels)

    def sample(self, size: int, seed: int) -> Cases:
        """At most ``size`` cases, drawn at random, in the order in which they stand here."""
        if len(self) <= size:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(len(self), size, replace=False)))

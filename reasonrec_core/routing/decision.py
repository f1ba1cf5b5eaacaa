"""Decisions: where the threshold is, who is to answer, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing.logistic import ArrayModel
from reasonrec_core.types import Bool, Float32, Float64, Int64, Route, mix_to_unit

Names = npt.NDArray[np.object_]
Rows = npt.NDArray[np.intp]

LARGEST = float(np.finfo(np.float64).max)
"""A level that no value passes; JSON has no infinity."""


class Threshold(ArrayModel):
    """Queries whose value is above ``level`` are taken, and a part of those exactly at it.

    Queries of equal value cannot be told apart by it. Where the caller gives a key per query (such as its user),
    ``part`` of them are taken, picked by a seeded hash of the key, so that the choice depends neither on the order nor
    on the batch. Without keys all of them are left, or all taken where ``part >= 0.5``.

    Attributes:
        level: of the value.
        part: in [0, 1].
        seed: of the hash.
    """

    level: float
    part: float
    seed: int = 0

    def __call__(self, values: Float64, keys: Int64 | None = None) -> Bool:
        """bool[B] for float64[B]."""
        if len(values) == 1 and (value := values.item()) != self.level:
            return np.array([value > self.level])
        above, at = values > self.level, values == self.level
        if not np.count_nonzero(at):  # nearly always: a single request needs no hash
            return np.asarray(above, np.bool_)
        picked = np.full(len(values), self.part >= 0.5) if keys is None else _uniform(keys, self.seed) < self.part
        return np.asarray(above | (at & picked), dtype=np.bool_)

    def words(self, value: float, spec: str) -> str:
        """How a value compares, e.g. ", above the threshold of +0.012"."""
        if abs(self.level) == LARGEST:
            return "; every request is handed over" if self.level < 0 else "; no request is handed over"
        side = "at" if value == self.level else "above" if value > self.level else "below"
        return f", {side} the threshold of {self.level:{spec}}"


def threshold_for_share(values: Float64, share: float, seed: int = 0) -> Threshold:
    """The threshold that takes ``share`` of the queries, those of the largest value first; 0 is nobody, 1 everybody."""
    if share in (0.0, 1.0):  # whatever other queries' values are
        return Threshold(level=LARGEST if share == 0.0 else -LARGEST, part=share, seed=seed)
    levels, counts = np.unique(values, return_counts=True)
    above = np.cumsum(counts[::-1])[::-1] - counts  # queries above each level
    wanted = share * len(values)
    at = int(np.argmax(above <= wanted))  # the lowest level with no more than the wanted number above it
    part = float(np.clip((wanted - above[at]) / counts[at], 0.0, 1.0))
    return Threshold(level=float(levels[at]), part=part, seed=seed)


def threshold_for_risk(risk: Float64, limit: float, seed: int = 0, where: str = "router.risk") -> Threshold:
    """The threshold that takes as few queries as keep the mean risk of the others at most ``limit``.

    Raises:
        ConfigError: even the safest queries alone are riskier than ``limit``.
    """
    levels, counts = np.unique(risk, return_counts=True)
    selective = np.cumsum(levels * counts) / np.cumsum(counts)  # mean risk when levels up to this one are kept
    kept = int((selective <= limit + 1e-12).sum())
    if not kept:
        others = "set a share instead, or let the delegate answer everything (share = 1)"
        if where == "router.selective_risk":
            others = "or set a share that gets no answer (abstain)"
        raise ConfigError(
            f"a risk of {limit:g} cannot be reached: even the safest {counts[0]} of {len(risk)} validation "
            f"requests have a risk of {levels[0]:.4g}, and all together {selective[-1]:.4g}",
            where=where,
            fix=f"Allow at least {levels[0]:.4g}, {others}.",
        )
    return Threshold(level=float(levels[kept - 1]), part=0.0, seed=seed)


def _uniform(keys: Int64, seed: int) -> Float64:
    """float64[B] in [0, 1): a hash of each key, another one for each seed."""
    shift = np.uint64((seed % 2**32) * 0x9E3779B97F4A7C15 % 2**64)
    return mix_to_unit(keys.astype(np.int64).view(np.uint64) + shift)


@dataclass(frozen=True)
class Assignment:
    """Whom B queries are to go to, before anybody has answered for good.

    Attributes:
        order: float64[B] what the threshold is on; the larger, the sooner a delegate answers.
        first: intp[B] the number of the delegate that answers if one does.
        replaced: bool[B] where it does.
        scores: float64[B, D] of each delegate, the larger the better; in the order of ``delegates``.
        delegates: whom queries may go to.
        others: further delegates for when those fail, the best first.
        estimate_risk: gives ``risk``, which is worked out when it is asked for.
    """

    order: Float64
    first: Rows
    replaced: Bool
    scores: Float64
    delegates: tuple[str, ...]
    others: tuple[str, ...]
    estimate_risk: Callable[[], Float32 | Float64]

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def best(self) -> Names:
        """str[B]: the delegate that answers if one does."""
        return np.array(self.delegates, object)[self.first]

    @cached_property
    def gain(self) -> Float32:
        """float32[B]: its score."""
        return self.scores[np.arange(len(self)), self.first].astype(np.float32)

    @cached_property
    def risk(self) -> Float32:
        """float32[B]: P(the policy's answer is worse than that of the delegate that answers if one does)."""
        return self.estimate_risk().astype(np.float32)

    @property
    def who(self) -> Names:
        """str[B]: the delegate that is to answer, "" where none is."""
        return np.where(self.replaced, self.best, "").astype(object)

    def take(self, rows: Rows) -> Assignment:
        """Some of the queries."""
        if len(rows) == len(self.order):
            return self
        flat = (self.order[rows], self.first[rows], self.replaced[rows], self.scores[rows])
        return Assignment(*flat, self.delegates, self.others, lambda: self.risk[rows])

    def fallbacks(self, row: int) -> tuple[str, ...]:
        """Who answers query ``row`` if its delegate fails, then if that one fails, and so on."""
        ranked = [self.delegates[column] for column in np.argsort(-self.scores[row], kind="stable")]
        return tuple(label for label in (*ranked, *self.others) if label != self.best[row])


@dataclass(frozen=True)
class Reasons:
    """B reasons in words, each made when it is asked for.

    Attributes:
        size: B.
        explain: positions -> their reasons.
    """

    size: int
    explain: Callable[[Rows], list[str]]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, row: int) -> str:
        if not -self.size <= row < self.size:
            raise IndexError(row)
        return self.explain(np.array([row % self.size]))[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.explain(np.arange(self.size)))


@dataclass(frozen=True)
class Decisions:
    """Who answers each of B requests, how sure the answer is, and why.

    Attributes:
        route: str[B] values of `Route`.
        who: str[B] the delegate that answers alone, "" where none does.
        assigned: whom they were to go to; None where no router decides.
        confidence: float32[B] P(the target is among the ten best of the answer), as it is stated; of the answer that
            is not given where the route is "abstain". NaN where a delegate answers in another's place, and where the
            router was fitted without hits.
        reason: in words, made when asked for.
    """

    route: Names
    who: Names
    assigned: Assignment | None
    confidence: Float32
    reason: Reasons

    def __len__(self) -> int:
        return len(self.route)

    @property
    def risk(self) -> Float32:
        """float32[B]: P(the policy's answer is worse than that of the delegate that would answer)."""
        return np.full(len(self), np.nan, np.float32) if self.assigned is None else self.assigned.risk

    @property
    def gain(self) -> Float32:
        """float32[B]: what a share is ordered by."""
        return np.full(len(self), np.nan, np.float32) if self.assigned is None else self.assigned.gain

    @property
    def replaced(self) -> Bool:
        """bool[B]: where a delegate answers."""
        return np.asarray(self.route == str(Route.REPLACE), np.bool_)

    @property
    def consulted(self) -> Bool:
        """bool[B]: where policy and delegates answer together."""
        return np.asarray(self.route == str(Route.CONSULT), np.bool_)

    @property
    def abstained(self) -> Bool:
        """bool[B]: where no answer is given."""
        return np.asarray(self.route == str(Route.ABSTAIN), np.bool_)


def undecided(size: int, delegate: str, reason: str) -> Decisions:
    """Of B requests that no router decides: this delegate answers all, or the policy where it is empty."""
    route, unknown = Route.REPLACE if delegate else Route.SELF, np.full(size, np.nan, np.float32)
    ways, who = np.full(size, str(route), object), np.full(size, delegate, object)
    return Decisions(ways, who, None, unknown, Reasons(size, lambda rows: [reason] * len(rows)))

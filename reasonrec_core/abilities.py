"""What a policy may be able to do besides: say how likely every item is, answer as several networks, count evidence."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from reasonrec_core.types import Float32, Int32, Observation, QueryBatch


@runtime_checkable
class DistributionPolicy(Protocol):
    """A policy that can say how likely every item is, not only the best K."""

    def distribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items], or float32[B, C] with candidates: P(next item).

        A row sums to at most 1, and gives every ranked item its `Deliberation.mass`; 0 for what may not be
        recommended (the history under `Task.SEQUENTIAL`, padding). The caller keeps ``B`` small enough for its memory.
        """


@runtime_checkable
class StochasticPolicy(Protocol):
    """A policy that can answer with several drawn networks: dropout left on, or the members of an ensemble."""

    def samples(self, batch: QueryBatch, observation: Observation, items: Int32, passes: int, seed: int) -> Float32:
        """float32[T, B, K]: P(next item) of ``items`` (int32[B, K], -1 pads, 0 there) in each of T passes.

        Pass ``t`` is one network, drawn from ``(seed, t)`` alone and the same for all queries, so that an answer does
        not depend on which other queries are asked. T = ``passes``, or the number of members where only they differ.
        """


@runtime_checkable
class EvidentialPolicy(Protocol):
    """A policy that says on how much evidence it answers."""

    @property
    def evidential(self) -> bool:
        """Whether it was trained to."""

    def evidence(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[B, K + 1]: a Dirichlet's parameters less 1, for ``items`` (as in `samples`) and, last, all others."""

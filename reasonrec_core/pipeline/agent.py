"""The agent: a pipeline's fitted parts, ready to answer."""

from __future__ import annotations

from dataclasses import dataclass

from reasonrec_core.pipeline.acting import act
from reasonrec_core.pipeline.outcome import Outcome
from reasonrec_core.pipeline.parts import POPULARITY, Named, Parts
from reasonrec_core.types import QueryBatch

__all__ = ["POPULARITY", "Agent", "Named", "Outcome"]


@dataclass(frozen=True)
class Agent(Parts):
    """Observes, deliberates, knows, acts. One batch in, one outcome per query out."""

    def act(self, batch: QueryBatch) -> Outcome:
        """Answer a batch: decide who answers each query, then let them."""
        return act(self, batch)

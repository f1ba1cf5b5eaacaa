"""Step *weigh*: how much each expert counts, given how much is known about the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Float32


@dataclass(frozen=True)
class Weights:
    """Mixture weights per bucket of the evidence horizon.

    Attributes:
        names: E experts.
        edges: float64[buckets - 1], ascending; a horizon equal to an edge belongs to the colder bucket.
        table: float32[buckets, E], each row sums to 1; row 0 is for the users with the most evidence.
    """

    names: tuple[str, ...]
    edges: npt.NDArray[np.float64]
    table: Float32

    def of(self, horizon: Float32) -> Float32:
        """float32[B, E] for float32[B] evidence horizons."""
        return self.table[np.searchsorted(self.edges, horizon.astype(np.float64), side="right")]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"names": list(self.names), "edges": self.edges.tolist(), "table": self.table.tolist()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Weights:
        """What `to_dict` gave."""
        edges = np.array(value["edges"], dtype=np.float64)
        return cls(tuple(value["names"]), edges, np.array(value["table"], dtype=np.float32))

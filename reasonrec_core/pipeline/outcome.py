"""What was done with a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from reasonrec_core.routing import Decisions
from reasonrec_core.types import Deliberation, Float32, Ranking

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Outcome:
    """What was done with a batch.

    Attributes:
        ranking: the answers; rows of padding where none is given.
        decisions: who answered, how sure the answer is, and why; risk and confidence are NaN without a router.
        uncertainty: per estimator float32[B], NaN where it was not needed.
        deliberated: positions of the queries that the policy deliberated on.
        deliberation: of those, or None where there were none.
        seconds: for the whole batch.
        attempts: query -> what went wrong with the delegates that were asked for it and did not answer, in turn.
    """

    ranking: Ranking
    decisions: Decisions
    uncertainty: Mapping[str, Float32]
    deliberated: Rows
    deliberation: Deliberation | None
    seconds: float = 0.0
    attempts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

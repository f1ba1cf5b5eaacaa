"""How sure an answer is, whoever gave it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reasonrec_core.act.router import Router
from reasonrec_core.types import Bool, Float32, Uncertainty


def answer_confidence(router: Router, found: Mapping[str, Uncertainty], replaced: Bool) -> Float32:
    """float32[B]: how sure the answer is, whoever gave it.

    A delegate that answers before the policy has thought is judged by the signals that are there by then; signals
    that came later may be NaN in those rows.
    """
    early = {name: value for name, value in found.items() if value.stage == "before"}
    known = early if router.config.stage == "before" else found
    sure = np.empty(len(replaced), np.float32)
    sure[~replaced] = router.confidence({n: v.take(~replaced) for n, v in found.items()})
    sure[replaced] = router.confidence({n: v.take(replaced) for n, v in known.items()}, of_delegate=True)
    return sure

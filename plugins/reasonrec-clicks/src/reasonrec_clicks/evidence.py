"""Evidence for a click and against it: a Beta distribution for every row, ``alpha = evidence + 1``.

The loss is any of the entry point group ``reasonrec.losses``, which reasonrec-evidential fills, written in torch
(Sensoy, Kaplan and Kandemir, NeurIPS 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float64

if TYPE_CHECKING:
    from torch import Tensor

GROUP = "reasonrec.losses"
EvidenceLoss = Callable[["Tensor", "Tensor", float, float], "Tensor"]
"""Of float[..., K] evidence, a target, the weight of the divergence from no evidence, and progress in [0, 1]."""


def find_loss(name: str) -> EvidenceLoss:
    """The installed loss of this name.

    Raises:
        ConfigError: there is none.
    """
    found = entry_points(group=GROUP)
    for each in found:
        if each.name == name:
            loss: EvidenceLoss = each.load()
            return loss
    known = ", ".join(sorted(each.name for each in found)) or "none is installed (pip install reasonrec-evidential)"
    raise ConfigError(f"there is no evidential loss {name!r}", where="evidence", fix=f"Losses: {known}.")


def compute_probability(evidence: npt.NDArray[Any]) -> Float64:
    """float64[...] of float[..., 2]: the mean of the Beta distribution."""
    alpha = evidence + 1.0
    return np.asarray(alpha[..., 0] / alpha.sum(axis=-1))

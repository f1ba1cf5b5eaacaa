"""Evidence for what may happen and against it, ``alpha = evidence + 1``: of a click, a Beta distribution for every row.

The loss is any of the entry point group ``reasonrec.losses``, which reasonrec-evidential fills, written in torch
(Sensoy, Kaplan and Kandemir, NeurIPS 2018). The policy `chain` finds its loss here, too.
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
"""Of float[..., K] evidence, float[..., K] targets (1 at what happened), the weight of the divergence from no evidence,
and the share of the training that is over, in [0, 1]: a scalar."""


def find_loss(name: str, where: str = "evidence") -> EvidenceLoss:
    """The installed loss of this name.

    Args:
        name: as it is registered.
        where: the setting that names it, for the message.

    Raises:
        ConfigError: there is none.
    """
    found = entry_points(group=GROUP)
    for each in found:
        if each.name == name:
            loss: EvidenceLoss = each.load()
            return loss
    known = ", ".join(sorted(each.name for each in found)) or "none is installed (pip install reasonrec-evidential)"
    raise ConfigError(f"there is no evidential loss {name!r}", where=where, fix=f"Losses: {known}.")


def compute_probability(evidence: npt.NDArray[Any]) -> Float64:
    """float64[...] of float[..., 2]: the mean of the Beta distribution."""
    alpha = evidence + 1.0
    return np.asarray(alpha[..., 0] / alpha.sum(axis=-1))

"""On how much evidence an answer rests: a Dirichlet over the listed items and all others together.

The masses are its direction; how strong it is, a small network reads off the facts that the gates know, so that
``evidence = strength(x) * mass`` and ``alpha = evidence + 1`` (Sensoy, Kaplan and Kandemir, NeurIPS 2018). It changes
no ranking and no mass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32

if TYPE_CHECKING:
    from torch import Tensor

WIDEST = 4.0
"""Standard deviations at which a fact is cut off, as for the gates."""
CLAMP = 10.0
"""Log strengths within +-10."""


GROUP = "reasonrec.losses"
EvidentialLoss = Callable[["Tensor", "Tensor", float, float], "Tensor"]
"""Of float[P, K] evidence, float[P, K] targets (1 at what happened), the weight of the divergence from no evidence, and
the share of the training that is over: a scalar."""


@dataclass(frozen=True)
class EvidenceStrength:
    """Facts and masses to evidence, as `StrengthNetwork` learned it.

    Attributes:
        tensors: parameters by their names there.
    """

    tensors: Mapping[str, Float32]

    def evidence(self, facts: Float32, masses: Float32) -> Float32:
        """float32[B, K + 1] evidence for K items and, last, all others, of float32[B, X] and float32[B, K]."""
        tensors = self.tensors
        read = np.clip((facts - tensors["mean"]) / tensors["spread"], -WIDEST, WIDEST)
        read = np.tanh(read @ tensors["reader.0.weight"].T + tensors["reader.0.bias"])
        read = read @ tensors["reader.2.weight"].T + tensors["reader.2.bias"]
        rest = np.maximum(1 - masses.sum(axis=1, keepdims=True), 0)
        return np.asarray(np.exp(np.clip(read, -CLAMP, CLAMP)) * np.concatenate([masses, rest], axis=1), np.float32)


def find_loss(name: str) -> EvidentialLoss:
    """The installed loss of this name.

    Raises:
        ConfigError: there is none.
    """
    found = entry_points(group=GROUP)
    for each in found:
        if each.name == name:
            loss: EvidentialLoss = each.load()
            return loss
    known = ", ".join(sorted(each.name for each in found)) or "none is installed (pip install reasonrec-evidential)"
    raise ConfigError(f"there is no evidential loss {name!r}", where="evidence.loss", fix=f"Losses: {known}.")

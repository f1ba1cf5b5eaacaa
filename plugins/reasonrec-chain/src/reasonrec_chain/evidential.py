"""On how much evidence an answer rests: a Dirichlet over the listed items and all others together.

The masses are its direction; how strong it is, a small network reads off the facts that the gates know, so that
``evidence = strength(x) * mass`` and ``alpha = evidence + 1`` (Sensoy, Kaplan and Kandemir, NeurIPS 2018). It changes
no ranking and no mass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reasonrec_core.types import Float32

WIDEST = 4.0
"""Standard deviations at which a fact is cut off, as for the gates."""
CLAMP = 10.0
"""Log strengths within +-10."""


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

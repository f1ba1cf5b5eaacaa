"""The risk-coverage curve: what giving away the least confident answers does to the mean loss of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Float64


@dataclass(frozen=True)
class RiskCoverage:
    """Mean loss of the answers kept when the least confident are given away (El-Yaniv and Wiener, JMLR 2010).

    Attributes:
        coverage: float64[B] share of answers kept: 1/B, 2/B, ..., 1.
        risk: float64[B] mean loss of those kept, the most confident ones.
        threshold: float64[B] confidence of the last one kept.
    """

    coverage: Float64
    risk: Float64
    threshold: Float64
    _oracle: float

    @property
    def aurc(self) -> float:
        """Area under the risk-coverage curve: the mean risk over all coverages (Geifman and El-Yaniv, 2017)."""
        return float(self.risk.mean())

    @property
    def e_aurc(self) -> float:
        """Excess over the area of a confidence that orders answers perfectly (Geifman et al., ICLR 2019)."""
        return self.aurc - self._oracle


def risk_coverage(confidence: npt.ArrayLike, loss: npt.ArrayLike) -> RiskCoverage:
    """The risk-coverage curve.

    Args:
        confidence: [B], any scale, higher = surer. Equal confidences have no order: each counts the mean loss of
            all of them.
        loss: [B], e.g. 1 - NDCG@10.
    """
    stated, losses = np.asarray(confidence, np.float64), np.asarray(loss, np.float64)
    if stated.shape != losses.shape or stated.ndim != 1 or not len(stated):
        raise ValueError(
            f"confidence {stated.shape} and loss {losses.shape} must have the same length and not be empty"
        )
    n = len(stated)
    kept = np.arange(1, n + 1)
    _, inverse, counts = np.unique(stated, return_inverse=True, return_counts=True)
    shared = (np.bincount(inverse, losses) / counts)[inverse]
    order = np.argsort(-stated, kind="stable")
    oracle = float((np.cumsum(np.sort(losses)) / kept).mean())
    return RiskCoverage(kept / n, np.cumsum(shared[order]) / kept, stated[order], oracle)

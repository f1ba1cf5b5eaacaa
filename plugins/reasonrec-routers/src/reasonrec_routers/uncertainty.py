"""How unsure the policy is: entropy and margin of its distribution, its own word, and the evidence horizon.

All give float32[B] in [0, 1], 1 = knows nothing. `EvidenceHorizon` needs no answer, so it can route a query before
the policy spends anything on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from reasonrec_core.components import Empty, FitData, UncertaintyEstimator
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import PluginError
from reasonrec_core.types import Deliberation, Float32, Observation, QueryBatch, Uncertainty


class Entropy(UncertaintyEstimator[Empty]):
    """Entropy of the policy's distribution over items, divided by its largest possible value.

    ``H = -sum_k p_k log p_k - r log(r / (n - K))`` over the K listed items, with the mass ``r`` off the list spread
    evenly over the other ``n - K`` items (the most that the unlisted part can hold), divided by ``log n``; n is the
    number of candidates, or of items in the catalogue.
    """

    def __init__(self, config: Empty) -> None:
        super().__init__(config)
        self._n_items = 0

    def fit(self, data: FitData) -> None:
        """Remember how many items there are."""
        self._n_items = len(data.catalog)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Needs nothing but the catalogue."""
        estimator = super().load(folder, catalog)
        estimator._n_items = len(catalog)
        return estimator

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """Normalised entropy of ``deliberation.mass``."""
        mass = _mass(deliberation, "entropy")
        if batch.candidates is None and not self._n_items:
            raise PluginError("the entropy estimator was used before it was fitted")
        total = (
            np.full(len(batch), float(self._n_items))
            if batch.candidates is None
            else (batch.candidates >= 0).sum(axis=1).astype(np.float64)
        )
        listed = (mass > 0).sum(axis=1)
        rest, others = np.clip(1.0 - mass.sum(axis=1), 0.0, 1.0), np.maximum(total - listed, 1.0)
        entropy = -_plogp(mass).sum(axis=1) - _plogp(rest) + rest * np.log(others)
        return Uncertainty(_unit(entropy / np.log(np.maximum(total, 2.0))), self.stage)


class Margin(UncertaintyEstimator[Empty]):
    """``1 - (p1 - p2)``: how close the second-best item is to the best."""

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """From ``deliberation.mass``; where only one item is listed, the runner-up is taken to hold all the rest."""
        mass = _mass(deliberation, "margin")
        best = mass[:, 0]
        second = mass[:, 1] if mass.shape[1] > 1 else np.minimum(best, 1.0 - best)
        return Uncertainty(_unit(1.0 - (best - second)), self.stage)


class StatedConfidence(UncertaintyEstimator[Empty]):
    """1 minus the confidence that the policy states with its answer.

    What that is, is the policy's affair: the mass of the best items, or a number that a language model says.
    Recalibrate it before believing it.
    """

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """From ``deliberation.confidence``."""
        if deliberation is None:
            raise PluginError("the stated-confidence estimator needs an answer, and there is none")
        return Uncertainty(_unit(1.0 - deliberation.confidence.astype(np.float64)), self.stage)


class EvidenceHorizon(UncertaintyEstimator[Empty]):
    """How little is known about the user (`observe.evidence_horizon`). More history would help: epistemic."""

    stage: ClassVar[str] = "before"

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """``observation.horizon``."""
        return Uncertainty(observation.horizon, self.stage, epistemic=observation.horizon)


def _mass(deliberation: Deliberation | None, name: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    if deliberation is None or deliberation.mass is None:
        what = f"the {name} estimator needs the policy's distribution, and this policy gives none"
        raise PluginError(what, fix="Use another estimator, or a policy that fills Deliberation.mass.")
    mass = deliberation.mass.astype(np.float64)
    if mass.ndim != 2 or not mass.shape[1]:
        raise PluginError(f"Deliberation.mass has shape {mass.shape}, expected (B, K) with K >= 1")
    return mass


def _plogp(p: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.where(p > 0, p * np.log(np.maximum(p, 1e-300)), 0.0)


def _unit(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Float32:
    if np.isnan(values).any():
        raise PluginError("an uncertainty is NaN", fix="The policy's mass or the evidence horizon holds NaN.")
    return np.clip(values, 0.0, 1.0).astype(np.float32)

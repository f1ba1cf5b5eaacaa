"""Answers that are held back: how much one is doubted, the cut, and why, in words; so with queries consulted about."""

from __future__ import annotations

import numpy as np

from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.cut import Cut, cut_for_risk, cut_for_share
from reasonrec_core.routing.threshold import HORIZON
from reasonrec_core.types import Bool, Float32, Float64


def doubted(sure: Float32) -> Float64:
    """float64[B]: 1 - confidence; 0 where the confidence is not known, as no such answer is held back."""
    return np.where(np.isnan(sure), 0.0, 1.0 - sure.astype(np.float64))


def cut_for_doubt(config: RouterConfig, doubt: Float64) -> Cut:
    """The cut on doubt above which no answer is given, for the wanted ``abstain`` or ``selective_risk``.

    Raises:
        ConfigError: a selective risk out of reach.
    """
    if config.abstain is not None:
        return cut_for_share(doubt, config.abstain, config.seed)
    assert config.selective_risk is not None
    return cut_for_risk(doubt, config.selective_risk, config.seed, "router.selective_risk")


def say_consulted(words: list[str], consulted: Bool, horizon: Float32, above: float) -> None:
    """Put before the words of the consulted queries that, and why, all answer together."""
    for row in np.flatnonzero(consulted):
        why = f"{HORIZON} {horizon[row]:.2f} > {above:.2f}"
        words[row] = f"the policy and the delegates answer together ({why}); {words[row]}"


def say_held(words: list[str], held: Bool, sure: Float32, cut: Cut) -> None:
    """Put before the words of queries whose answer is held back that it is, and how confident it would have been."""
    for row in np.flatnonzero(held):
        least = f"a confidence of {sure[row]:.3f}, and {1 - cut.level:.3f} is needed"
        words[row] = f"no answer is given: {least}; else {words[row]}"

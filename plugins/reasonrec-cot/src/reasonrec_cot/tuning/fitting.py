"""Tuning for a policy: its own settings, its own candidate generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.types import Float32, Int32, QueryBatch
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.config import CotConfig
from reasonrec_cot.shortlist import Shortlister
from reasonrec_cot.tuned import Tuned
from reasonrec_cot.tuning.tune import Speech, tune


def tune_policy(config: CotConfig, backbone: Backbone, data: FitData, shortlister: Shortlister | None) -> Tuned:
    """Tune ``backbone`` in place as the policy's settings say.

    Args:
        config: with settings of tuning.
        backbone: the model.
        data: what may be learned from.
        shortlister: fitted; None for clicks.
    """
    assert config.tuning is not None
    speech = Speech(prompt=config.prompt, items=config.items, soft=config.soft, templates=config.templates)
    if shortlister is None:
        return tune(config.tuning, speech, backbone, data)

    def generator(batch: QueryBatch, fewest: int) -> tuple[Int32, Mapping[str, Float32]]:
        horizon = np.full(len(batch), 0.5, np.float32) if data.horizon is None else data.horizon(batch)
        seen = replace(data.observation, horizon=horizon)
        listed = batch.candidates is not None
        shortlist = shortlister.of(batch, seen, whole=True, fewest=fewest)
        asked = replace(batch, candidates=shortlist.items)
        return shortlist.items, shortlister.evidence(asked, shortlist, seen, listed=listed).scores

    return tune(config.tuning, speech, backbone, data, generator)

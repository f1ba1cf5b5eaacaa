"""Tuning for a policy: its own settings, its own candidate generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.types import Float32, Int32, Observation, QueryBatch
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.config import CotConfig
from reasonrec_cot.finetuned import FineTuned
from reasonrec_cot.items.similar_users import SimilarUsers
from reasonrec_cot.retriever import Retriever
from reasonrec_cot.tuning.tune import PromptingSettings, tune


def tune_policy(
    config: CotConfig,
    backbone: Backbone,
    data: FitData,
    retriever: Retriever | None,
    similar: SimilarUsers | None = None,
) -> FineTuned:
    """Tune ``backbone`` in place as the policy's settings say.

    Args:
        config: with settings of tuning.
        backbone: the model.
        data: what may be learned from.
        retriever: fitted; None for clicks.
        similar: finds users with similar choices, where clicks are weighed by them.
    """
    assert config.tuning is not None
    speech = PromptingSettings(prompt=config.prompt, items=config.items, soft=config.soft, templates=config.templates)
    if retriever is None:
        return tune(config.tuning, speech, backbone, data, exits=config.exit, similar=similar)
    return tune(config.tuning, speech, backbone, data, Delegates(retriever, data), config.exit)


@dataclass(frozen=True)
class Delegates:
    """The policy's delegates, as tuning asks them (`fusion.CandidateSource`)."""

    retriever: Retriever
    data: FitData

    def __call__(self, batch: QueryBatch, fewest: int) -> tuple[Int32, Mapping[str, Float32]]:
        """Candidates and what is said of them."""
        seen, listed = self._seen(batch), batch.candidates is not None
        shortlist = self.retriever.of(batch, seen, whole=True, fewest=fewest)
        asked = replace(batch, candidates=shortlist.items)
        return shortlist.items, self.retriever.evidence(asked, shortlist, seen, listed=listed).scores

    def rank_percentiles(self, batch: QueryBatch) -> Mapping[str, Float32]:
        """Where the batch's candidates stand."""
        return self.retriever.rank_percentiles(batch, self._seen(batch))

    def _seen(self, batch: QueryBatch) -> Observation:
        unknown = np.full(len(batch), 0.5, np.float32)
        horizon = unknown if self.data.horizon is None else self.data.horizon(batch)
        return replace(self.data.observation, horizon=horizon)

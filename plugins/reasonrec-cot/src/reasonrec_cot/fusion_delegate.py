"""Delegate `cot-fusion`: the delegates that the policy asks, weighed as it weighs them, without its language model.

The policy re-ranks what its candidate generator proposes by its network's scores and those of further delegates
(`shortlist.sources`). This is the same re-ranking without the network: the weights are fitted to validation pairs anew
(`reasonrec_cot.answers.fit_fusion`), once among what is proposed and once among candidates that come with a query. It
costs what its delegates cost, and is what the policy would be if its network knew nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from reasonrec_core.components import Delegate, FitData, ReasoningPolicy, Settings
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.io import read_json, write_json
from reasonrec_core.ranking import rank
from reasonrec_core.types import Float32, Observation, QueryBatch, Task
from reasonrec_cot.answers.fit_fusion import fit_score_fusion
from reasonrec_cot.answers.score_fusion import FusionSet, ScoreFusion
from reasonrec_cot.answers.score_sources import GENERATOR
from reasonrec_cot.policy import Cot
from reasonrec_cot.retriever import Retriever, Shortlist, append_unranked

WEIGHTS = "weights.json"


class CotFusionConfig(Settings):
    """It has no settings: the policy's `shortlist` says whom it asks."""


class CotFusion(Delegate[CotFusionConfig]):
    """The sources of a fitted `Cot`, weighed; see the module.

    Attributes:
        weights: among what is proposed, and among listed candidates.
    """

    Config = CotFusionConfig
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.SEQUENTIAL, Task.DIRECT})
    weights: FusionSet

    def __init__(self, config: CotFusionConfig) -> None:
        super().__init__(config)
        self._retriever: Retriever | None = None

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """Get to know the policy.

        Raises:
            PluginError: it is not `cot`, or was not fitted for rankings.
            ConfigError: it asks nobody beside its generator, so that there is nothing to weigh.
        """
        if not isinstance(policy, Cot) or policy.retriever is None:
            raise PluginError("cot-fusion needs a policy cot that ranks", fix="Use both, or neither.")
        if not policy.retriever.sources:
            raise ConfigError(
                "the policy asks only one delegate, which cot-fusion could do no more than repeat",
                where="policy.shortlist.sources",
                fix="Name further delegates there, or take cot-fusion out.",
            )
        self._retriever = policy.retriever

    def fit(self, data: FitData) -> None:
        """Fit the weights to ``data.valid``; without it the candidate generator decides."""
        from reasonrec_cot.tuning.fitting import Delegates  # imports what trains
        from reasonrec_cot.tuning.fusion import WIDE, draw_candidates

        alone = ScoreFusion.of_one(GENERATOR)
        self.weights = FusionSet(alone, alone)
        if data.valid is None or not len(data.valid.targets):
            return
        ask = Delegates(self._attached, data)
        starts = data.valid.target_indptr
        rows = np.flatnonzero(np.diff(starts) > 0)
        queries, targets = data.valid.queries.take(rows), data.valid.targets[starts[rows]]
        queries = replace(queries, task=Task.SEQUENTIAL, candidates=None)
        horizon = np.full(len(rows), 0.5, np.float32) if data.horizon is None else data.horizon(queries)
        proposed, said = ask(queries, 1)
        longer, more = ask(queries, WIDE)
        among = fit_score_fusion(said, proposed, targets, horizon, data.seed, (more, longer))
        drawn = draw_candidates(targets, queries, len(data.catalog), data.seed)
        listed = replace(queries, task=Task.DIRECT, candidates=drawn)
        items, theirs = ask(listed, 1)
        of_list = fit_score_fusion(theirs, items, targets, horizon, data.seed)
        self.weights = FusionSet(among.decision or alone, of_list.decision or alone)

    def refit(self, data: FitData) -> Self:
        """The same weights, which validation chose, for the delegates of a policy that was fitted again."""
        again = type(self)(self.config)
        again.weights = self.weights
        return again

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: the weighed score of what is proposed, all else below it.

        What is not proposed keeps the generator's scores.
        """
        out = self._attached.delegate.score(batch, observation)
        shortlist = self._propose(out, batch)
        joint = self._weigh(batch, shortlist, observation)
        for row, (items, scores) in enumerate(zip(shortlist.items, joint, strict=True)):
            known = np.flatnonzero(np.isfinite(scores))
            if not len(known):
                continue
            own, floor = out[row], np.max(out[row], where=np.isfinite(out[row]), initial=0.0) + 1.0
            raised = floor + scores[known] - scores[known].min()
            if batch.candidates is None:
                own[items[known]] = raised
            else:
                same = batch.candidates[row][:, None] == items[known][None, :]
                own[:] = np.where(same.any(axis=1), raised[same.argmax(axis=1)], own)
        return out

    def _propose(self, scores: Float32, batch: QueryBatch) -> Shortlist:
        """The generator's best, of its ``scores``; all that come with a query."""
        size = self._attached.config.size if batch.candidates is None else batch.candidates.shape[1]
        prior = rank(scores.copy(), replace(batch, k=size))
        return Shortlist(append_unranked(batch, prior.items), prior)

    def _weigh(self, batch: QueryBatch, shortlist: Shortlist, observation: Observation) -> Float32:
        """float32[B, L]: joint scores of what is listed."""
        listed = batch.candidates is not None
        asked = replace(batch, candidates=shortlist.items)
        evidence = self._attached.evidence(asked, shortlist, observation, listed=listed)
        decision = self.weights.listed if listed else self.weights.proposed
        assert decision is not None
        return np.where(shortlist.items >= 0, decision(evidence.scores, observation.horizon), np.float32(-np.inf))

    @property
    def _attached(self) -> Retriever:
        if self._retriever is None:
            raise PluginError("cot-fusion does not know its policy")
        return self._retriever

    def save(self, folder: Path) -> None:
        """Write the weights; the delegates are the policy's."""
        super().save(folder)
        write_json(folder / WEIGHTS, self.weights.to_dict())

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        self = super().load(folder, catalog)
        self.weights = FusionSet.from_dict(read_json(folder / WEIGHTS))
        return self

"""A policy: answers by explicit steps that the answer is computed from."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.catalog_growth import grown, grown_matrix
from reasonrec_core.components import FitData, ReasoningPolicy, Settings, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.ranking import rank
from reasonrec_core.types import Deliberation, Int64, LazySteps, Observation, QueryBatch, Ranking, Step, StepKind


class TemplateConfig(Settings):
    """What a pipeline file may set."""

    trust: float = Field(0.8, ge=0, le=1, description="Weight of what followed; the rest is popularity.")


class Template(ReasoningPolicy[TemplateConfig]):
    """Observes the newest item, infers what follows it, and mixes that with popularity.

    P(next = i) = trust * P(i | newest) + (1 - trust) * P(i); popularity alone where nothing is known to follow.
    """

    Config = TemplateConfig
    thread_safe = True

    def fit(self, data: FitData) -> None:
        """Count what follows what within each user's log."""
        log, n_items = data.train, len(data.catalog)
        follows = np.flatnonzero(log.users[1:] == log.users[:-1])
        pairs = (log.items[follows], log.items[follows + 1])
        self.next = sparse.csr_matrix((np.ones(len(follows)), pairs), shape=(n_items, n_items))
        self.popularity = np.bincount(log.items, minlength=n_items) + 0.5
        self.titles = data.catalog.titles

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        """The ranking is the order of the mixture; ``mass`` is the mixture itself."""
        lengths = batch.history.lengths
        some = np.flatnonzero(lengths)
        newest = np.full(len(batch), -1, dtype=np.int64)
        newest[some] = batch.history.items[batch.history.indptr[1:][some] - 1]
        shares = np.tile(self.popularity / self.popularity.sum(), (len(batch), 1))
        counts = self.next[newest[some]].toarray()
        totals = counts.sum(axis=1)
        known = some[totals > 0]
        after = counts[totals > 0] / totals[totals > 0, None]
        shares[known] = self.config.trust * after + (1 - self.config.trust) * shares[known]
        scores = np.log(np.maximum(shares, 1e-12)).astype(np.float32)
        ranking = rank(pick_candidates(scores, batch), batch)
        mass = np.where(ranking.items < 0, 0, np.exp(ranking.scores)).astype(np.float32)
        steps = LazySteps(len(batch), lambda row: self._steps(int(newest[row]), lengths, ranking, row))
        return Deliberation(steps, mass[:, :1].sum(axis=1), ranking, mass)

    def _steps(self, newest: int, lengths: Int64, ranking: Ranking, row: int) -> tuple[Step, ...]:
        first = int(ranking.items[row, 0])
        best = self.titles[first] if first >= 0 else "nothing"
        if newest < 0:
            return (Step(StepKind.DECIDE, f"No history, so the most popular: {best}."),)
        position, counts = int(lengths[row]) - 1, self.next[[newest]].toarray()[0]
        total, order = max(counts.sum(), 1), np.argsort(-counts, kind="stable")[:3]
        followers = tuple((self.titles[item], float(counts[item] / total)) for item in order if counts[item])
        return (
            Step(StepKind.OBSERVE, f"The newest item is {self.titles[newest]}.", (position,)),
            Step(StepKind.INFER, f"{len(followers) or 'No'} items are known to follow it.", (position,)),
            Step(StepKind.PROPOSE, "What followed it, most often first.", (position,), alternatives=followers),
            Step(StepKind.WEIGH, "Mixed with popularity.", weight=self.config.trust if followers else 0.0),
            Step(StepKind.DECIDE, f"{best} first."),
        )

    def save(self, folder: Path) -> None:
        """Write the counts."""
        super().save(folder)
        sparse.save_npz(folder / "next.npz", self.next)
        np.save(folder / "popularity.npy", self.popularity)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        policy = super().load(folder, catalog)
        policy.next = grown_matrix(sparse.load_npz(folder / "next.npz").tocsr(), len(catalog))
        policy.popularity = grown(np.load(folder / "popularity.npy"), len(catalog), fill=0.5)
        policy.titles = catalog.titles
        return policy

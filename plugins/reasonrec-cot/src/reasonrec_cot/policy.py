"""The component: a language model asked about requests, its answers merged with a delegate's order."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from reasonrec_explain.explainer import Explainer

from reasonrec_core.components import FitData, ReasoningPolicy
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import Split
from reasonrec_core.errors import PluginError, WeightsError
from reasonrec_core.evaluate import Scores
from reasonrec_core.io import read_json, write_json
from reasonrec_core.types import (
    Cost,
    Deliberation,
    Float32,
    LazySteps,
    Observation,
    QueryBatch,
    Ranking,
    Step,
    Task,
)
from reasonrec_cot import steps
from reasonrec_cot.answers.score_fusion import DelegateScores
from reasonrec_cot.config import CotConfig
from reasonrec_cot.ctr import answer_clicks
from reasonrec_cot.empty import answer_nothing
from reasonrec_cot.engine import Engine, EngineAnswer
from reasonrec_cot.explanations import answer_explanations
from reasonrec_cot.finetuned import FineTuned
from reasonrec_cot.items.similar_prompt import SimilarDescriber
from reasonrec_cot.items.similar_users import SimilarUsers
from reasonrec_cot.language_model import WithLanguageModel, describe_cost, identify_model
from reasonrec_cot.prompting.consult import DelegateTable, build_second_turn
from reasonrec_cot.retriever import Retriever, Shortlist, merge_rankings
from reasonrec_cot.thought_writer import UNSTATED, OutputFaults


class Cot(WithLanguageModel, ReasoningPolicy[CotConfig]):
    """A language model that reads a request in words, may think in words, and answers with items that exist.

    A delegate proposes candidates and orders whatever the model does not rank. As it comes the model is untuned: it
    has never seen the catalogue.
    """

    Config = CotConfig
    tasks: ClassVar = frozenset(Task)

    def __init__(self, config: CotConfig) -> None:
        super().__init__(config)
        self.retriever: Retriever | None = None
        self.similar: SimilarUsers | None = None
        self._engine: Engine | None = None
        self._finetuned: FineTuned | None = None
        self._explainer: Explainer | None = None
        self._features: Mapping[str, Float32] | None = None
        self._catalog: Catalog | None = None

    def fit(self, data: FitData) -> None:
        """Fit the delegate that proposes candidates, load the model and, where that is wanted, tune it."""
        if data.task is not Task.CTR and not (data.task is Task.EXPLAIN and self.config.explanations == "consensus"):
            self.retriever = Retriever.fit(self.config.shortlist, data)
        self._catalog = data.catalog
        self._engine = Engine(self.config, self.model, data.catalog)
        if data.reviews is not None or self.config.explanations == "consensus":
            self._explainer = Explainer.fit(data, self._engine.items, self.config.consensus)
        if self.config.tuning is not None:
            from reasonrec_cot.tuning.fitting import tune_policy

            if self.config.similar_users is not None and data.task is Task.CTR:
                self.similar = SimilarUsers.fit(self.config.similar_users, data)
            self._finetuned = tune_policy(self.config, self.backbone, data, self.retriever, self.similar)

    @property
    def report(self) -> Mapping[str, Any]:
        """What tuning says about itself, JSON values; empty without tuning."""
        return {} if self._finetuned is None else self._finetuned.report

    @property
    def engine(self) -> Engine:
        """Words, model and ways to answer, for this catalogue."""
        if self._engine is None:
            raise PluginError("the cot policy was used before it was fitted")
        return self._engine

    @property
    def faults(self) -> OutputFaults:
        """What the model wrote that is not in the grammar, since the policy was made."""
        return self.engine.thought_writer.faults

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        """Answer ``batch``.

        Returns:
            the ranking and its mass (or P(click), or a sentence), steps, and the confidence that ``confidence`` names.
        """
        started = time.perf_counter()
        self._renew_engine(observation)
        if not len(batch):
            return answer_nothing(batch)
        if batch.task is Task.CTR:
            generator = self.config.shortlist.delegate
            return answer_clicks(self.engine, batch, observation, self.retriever, generator, started, self.similar)
        if batch.task is Task.EXPLAIN:
            given = batch.candidates
            chosen = self._make_shortlist(batch, observation).prior.items if given is None else given
            return answer_explanations(self.engine, batch, chosen, self._explainer, started)
        shortlist = self._make_shortlist(batch, observation)
        asked = batch if self._ranks_all(batch) else replace(batch, candidates=shortlist.items)
        evidence = self._score_delegates(batch, asked, shortlist, observation)
        return self._merge_answer(batch, asked, shortlist, self.engine.rank(asked, evidence=evidence), started)

    @property
    def consults(self) -> bool:
        """Whether candidates are listed, so that a second turn can speak of them."""
        return self.config.answer == "label"

    def consult(self, batch: QueryBatch, observation: Observation, answers: Mapping[str, Ranking]) -> Deliberation:
        """The second turn: decide again among the same candidates, having been told what delegates say of them.

        Args:
            batch: B queries for a ranking; candidates must be listed (`consults`).
            observation: what may be looked at.
            answers: of delegates, by their labels.
        """
        if not self.consults:
            raise PluginError("asking again needs listed candidates", fix='Set answer = "label".')
        started = time.perf_counter()
        if not len(batch):
            return answer_nothing(batch)
        shortlist = self._make_shortlist(batch, observation)
        asked = replace(batch, candidates=shortlist.items)
        sanitiser, again = self.engine.items.sanitiser, []
        for row, first in enumerate(self.engine.build_dialogues(asked)):
            if first.candidates:  # a request for which nothing is proposed has nothing to speak of
                tables = [DelegateTable(label, ranking.items[row].tolist()) for label, ranking in answers.items()]
                again.append(build_second_turn(first, tables, sanitiser=sanitiser).dialogue)
            else:
                again.append(first)
        return self._merge_answer(batch, asked, shortlist, self.engine.rank(asked, again), started)

    def settle_depths(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, C]: the share of the layers after which yes or no about each candidate no longer changed."""
        self._renew_engine(observation)
        return self.engine.settle_clicks(batch)

    def judge(
        self, dataset: Dataset, split: Split, part: str, answers: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Scores]:
        """Score explanations next to retrieved ones (`reasonrec_core.evaluate.JudgingPolicy`)."""
        from reasonrec_explain.evaluation import score_explanations

        return score_explanations(dataset, split, part, answers, self.engine.items)

    def confidences(self, answer: EngineAnswer) -> Mapping[str, Float32]:
        """Per kind float32[B]: the best item's probability, and what was stated (0.5 where nothing was)."""
        best = answer.answer.mass.max(axis=1, initial=0.0)
        stated = [UNSTATED if each is None else each for each in answer.confidences]
        return {"probability": np.minimum(best, 1.0).astype(np.float32), "verbalised": np.array(stated, np.float32)}

    def _renew_engine(self, observation: Observation) -> None:
        """Soft tokens and head of a tuned model are made from the features that are observed, when they are others."""
        if self._finetuned is None or self._catalog is None or _same(self._features, observation.features):
            return
        head = self._finetuned.answers(observation, len(self._catalog))
        soft, more = self._finetuned.soft(observation, len(self._catalog)), self._finetuned.weighing
        similar = SimilarDescriber.of(self.similar, observation)
        self._engine = Engine(self.config, self.backbone, self._catalog, soft, head, *more, similar)
        self._features = observation.features

    def _ranks_all(self, batch: QueryBatch) -> bool:
        """Whether the model ranks the whole catalogue and no shortlist."""
        every = {"written": True, "head": self.config.shortlist.whole}
        return batch.candidates is None and every.get(self.config.answer, False)

    def _make_shortlist(self, batch: QueryBatch, observation: Observation) -> Shortlist:
        if self.retriever is None:
            raise PluginError("cot was not fitted for rankings, but is asked for one", fix="Fit it for this task.")
        return self.retriever.of(batch, observation, whole=self.config.answer == "head")

    def _score_delegates(
        self, batch: QueryBatch, asked: QueryBatch, shortlist: Shortlist, observation: Observation
    ) -> DelegateScores | None:
        """What delegates say, where the head's scores are weighed with theirs."""
        if self.config.answer != "head" or self.retriever is None or asked.candidates is None:
            return None
        return self.retriever.evidence(asked, shortlist, observation, listed=batch.candidates is not None)

    def _merge_answer(
        self, batch: QueryBatch, asked: QueryBatch, shortlist: Shortlist, answer: EngineAnswer, started: float
    ) -> Deliberation:
        ranking, mass = merge_rankings(answer.answer, shortlist, asked, batch)

        def make_steps(row: int) -> tuple[Step, ...]:
            return self._make_steps(batch, shortlist, ranking, mass, answer, row)

        confidence = self.confidences(answer)[self.config.confidence]
        cost = Cost(time.perf_counter() - started, answer.usage.tokens)
        return Deliberation(LazySteps(len(batch), make_steps), confidence, ranking, mass, cost=cost)

    def _make_steps(
        self, batch: QueryBatch, shortlist: Shortlist, ranking: Ranking, mass: Float32, answer: EngineAnswer, row: int
    ) -> tuple[Step, ...]:
        items, thought, who = self.engine.items, answer.thoughts[row], f"Proposed by {self.config.shortlist.delegate}"
        listed = [int(item) for item in shortlist.items[row] if item >= 0]
        best = [(int(i), float(m)) for i, m in zip(ranking.items[row], mass[row], strict=True) if i >= 0 and m > 0]
        first = int(ranking.items[row, 0]) if ranking.items.shape[1] else -1
        cost = describe_cost(self.config.server, answer.usage, len(batch))
        decision = None if self._finetuned is None else self._finetuned.decision
        whole, generator = self._ranks_all(batch), self.config.shortlist.delegate
        how = steps.name_comparison(
            self.config.answer, decision, generator, whole=whole, listed=batch.candidates is not None
        )
        claim = f"Recommend {items.title(first)}" if first >= 0 else "Nothing can be recommended"
        asks = self.config.confidence == "verbalised"
        return (
            steps.observe_history(items, batch.history.row(row), self.config.prompt.history, thought),
            *steps.add_deliberation(thought),
            *([] if whole else [steps.list_proposed(items, listed, who)]),
            steps.compare_items(items, best, how + cost),
            steps.state_decision(claim, best[0][1] if best else 0.0, answer.confidences[row], asks),
        )

    def save(self, folder: Path) -> None:
        """Write which weights were used, and the delegate."""
        super().save(folder)
        has = {"shortlist": self.retriever is not None, "reviews": self._explainer is not None}
        has |= {"similar": self.similar is not None}
        write_json(folder / "cot.json", {"weights": identify_model(self.model), **has})
        if self.retriever is not None:
            (folder / "shortlist").mkdir(exist_ok=True)
            self.retriever.save(folder / "shortlist")
        if self.similar is not None:
            (folder / "similar").mkdir(exist_ok=True)
            self.similar.save(folder / "similar")
        if self._explainer is not None:
            self._explainer.save(folder)
        if self._finetuned is not None:
            (folder / "tuned").mkdir(exist_ok=True)
            self._finetuned.save(folder / "tuned")

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote; the model's own weights are found again, and must be the same."""
        self = super().load(folder, catalog)
        stored = read_json(folder / "cot.json")
        if identify_model(self.model) != stored["weights"]:
            raise WeightsError(
                "the policy was fitted with other weights of the model",
                where=self.config.backbone.model,
                fix="Use the same weights, or fit again.",
            )
        if stored["shortlist"]:
            self.retriever = Retriever.load(self.config.shortlist, folder / "shortlist", catalog)
        if stored.get("similar") and self.config.similar_users is not None:
            self.similar = SimilarUsers.load(self.config.similar_users, folder / "similar", catalog)
        if self.config.tuning is not None:
            self._finetuned = FineTuned.load(folder / "tuned", self.backbone)
        self._catalog = catalog
        self._engine = Engine(self.config, self.model, catalog)
        if stored.get("reviews", self.config.explanations == "consensus"):  # runs of before have no such key
            self._explainer = Explainer.load(folder, self._engine.items, self.config.consensus)
        return self


def _same(ours: Mapping[str, Float32] | None, theirs: Mapping[str, Float32]) -> bool:
    """Whether these are the very same arrays."""
    return ours is not None and ours.keys() == theirs.keys() and all(ours[name] is theirs[name] for name in ours)

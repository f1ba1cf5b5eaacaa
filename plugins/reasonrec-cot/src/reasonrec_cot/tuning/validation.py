"""What the model answers on held-out queries while it is tuned: states, the head's scores, a figure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from reasonrec_core.evaluate import evaluate_ranking, metric_name
from reasonrec_core.ranking import rank
from reasonrec_core.types import Cases, Float32, QueryBatch, Ranking, Task
from reasonrec_cot.answers.early_exit import whole_odds
from reasonrec_cot.backbone.model import Backbone, SoftTokens
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser, Prompt
from reasonrec_cot.prompting.output_grammar import opening
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, PromptRequest, click_requests
from reasonrec_cot.prompting.similar_choices import DescribeSimilar
from reasonrec_cot.tuning.module import TunableModel

ROWS = 256
"""Queries whose scores of the whole catalogue exist at the same time."""


@dataclass(frozen=True)
class ValidationReader:
    """Reads queries as an answer without thoughts is read: the first template, up to where the answer begins."""

    backbone: Backbone
    prompt_builder: PromptBuilder
    tokeniser: DialogueTokeniser
    similar: DescribeSimilar | None = None

    @property
    def words(self) -> tuple[int, int]:
        """The tokens of yes and no."""
        yes, no = (self.tokeniser.text(word)[0] for word in ("yes", "no"))
        return yes, no

    def states(self, batch: QueryBatch, soft: SoftTokens | None) -> torch.Tensor:
        """float32[B, width] on the CPU."""
        return self.backbone.states(self.prompts(batch), soft)

    def prompts(self, batch: QueryBatch) -> list[Prompt]:
        """One per request."""
        return [self.prompt(request) for request in self.requests(batch)]

    def requests(self, batch: QueryBatch) -> list[PromptRequest]:
        """One per query; under `Task.CTR` one per query and candidate."""
        if batch.task is Task.CTR:
            return click_requests(batch, self.similar)
        return [PromptRequest(Task.SEQUENTIAL, batch.history.row(row).tolist()) for row in range(len(batch))]

    def prompt(self, request: PromptRequest) -> Prompt:
        """With the tag that opens the answer at its end."""
        return self.tokeniser.prompt(self.prompt_builder.ask(request)).followed_by(
            self.tokeniser.text(opening("answer"))
        )


@torch.no_grad()
def head_scores(module: TunableModel, states: torch.Tensor) -> Float32:
    """float32[B, n_items] for float32[B, width]."""
    table = module.table(np.arange(module.n_items))
    parts = [module.head(part.to(table.device), table).float().cpu() for part in torch.split(states, ROWS)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def ranking_figure(module: TunableModel, answering: ValidationReader, cases: Cases, k: int = 10) -> float:
    """NDCG@k of the head over the whole catalogue, history masked (or among the cases' candidates)."""
    scores = head_scores(module, answering.states(cases.queries, module.soft))
    at = iter(range(0, len(scores), ROWS))

    def answer(batch: QueryBatch) -> Ranking:
        start = next(at)
        mine = scores[start : start + len(batch)].copy()
        if batch.candidates is not None:
            mine = np.take_along_axis(mine, np.maximum(batch.candidates, 0), 1)
        return rank(mine, batch)

    found = evaluate_ranking(answer, cases, (k,), n_items=module.n_items, chunk=ROWS, threads=1)
    return found.values[metric_name("NDCG", k, found.sampled)]


def click_figure(module: TunableModel, answering: ValidationReader, cases: Cases) -> float:
    """AUC of P(yes) against P(no)."""
    assert cases.labels is not None
    assert cases.queries.candidates is not None
    gap = click_odds(module, answering, cases.queries)
    return float(roc_auc_score(cases.labels[cases.queries.candidates >= 0] > 0, gap))


def click_odds(module: TunableModel, answering: ValidationReader, queries: QueryBatch) -> Float32:
    """float32[N]: log odds of yes against no as the answer's first token, for each candidate that there is."""
    states = answering.states(replace(queries, task=Task.CTR), module.soft)
    return whole_odds(module.backbone, states, answering.words).astype(np.float32)

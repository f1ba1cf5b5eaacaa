"""The policy's working parts, put together for one catalogue: words, model, ways to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from reasonrec_explain.evidence import ExplanationEvidence

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import PluginError
from reasonrec_core.types import Float32, Float64, Int64, QueryBatch, Task
from reasonrec_cot.answers.answerer import ItemScores
from reasonrec_cot.answers.constrained_decoding import ConstrainedDecoder
from reasonrec_cot.answers.early_exit import EarlyExit
from reasonrec_cot.answers.exit_rule import settled
from reasonrec_cot.answers.item_head import HeadAnswers
from reasonrec_cot.answers.score_fusion import DelegateScores, FusionSet, fuse_scores
from reasonrec_cot.backbone.chat_model import ChatModel, ChatTurns
from reasonrec_cot.backbone.kv_cache import Usage
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.served_model import ServedModel
from reasonrec_cot.backbone.server_model import ServerModel
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser, Prompt
from reasonrec_cot.config import CotConfig
from reasonrec_cot.items.click_counts import ClickCounts
from reasonrec_cot.items.soft_tokens import SoftItems
from reasonrec_cot.language_model import list_special_tokens, make_scorer, make_writer
from reasonrec_cot.prompting.dialogue import Dialogue
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.output_grammar import opening
from reasonrec_cot.prompting.prompt_builder import (
    PromptBuilder,
    PromptRequest,
    click_requests,
    explanation_request,
    labels,
)
from reasonrec_cot.prompting.similar_choices import DescribeSimilar
from reasonrec_cot.prompting.templates import load_templates
from reasonrec_cot.thought_writer import ThoughtWriter

YES_NO = ("yes", "no")


class ClickAnswers(NamedTuple):
    """Answers of yes or no.

    Attributes:
        chance: float32[B, C] P(yes), 0 for padding.
        usage: tokens.
        depths: int64[B, C] layers that each was read by, 0 for padding; None where all are always read.
    """

    chance: Float32
    usage: Usage
    depths: Int64 | None = None


@dataclass(frozen=True)
class EngineAnswer:
    """What came of asking: B answers.

    Attributes:
        answer: scores and mass of candidates or of the whole catalogue.
        thoughts: per query what was written before the answer, by part.
        confidences: per query the verbalised confidence, None where none was asked for or none stated.
        usage: tokens.
    """

    answer: ItemScores
    thoughts: list[dict[str, str]]
    confidences: list[float | None]
    usage: Usage


class Engine:
    """Asks the model about requests.

    Args:
        config: of the policy.
        backbone: the model, tuned or not, here or on a server.
        catalog: the items, also those that came after tuning.
        soft: soft tokens, where they were learned.
        head: the tuned head over these items, where there is one.
        decision: how its scores are weighed against delegates'.
        counts: of labelled rows, where clicks were learned from those.
        exit: heads that may answer yes or no early, where they were learned.
        similar: says what similar users did, where prompts about clicks tell of them.
    """

    def __init__(
        self,
        config: CotConfig,
        backbone: Backbone | ServerModel | ChatModel,
        catalog: Catalog,
        soft: SoftItems | None = None,
        head: HeadAnswers | None = None,
        decision: FusionSet | None = None,
        counts: ClickCounts | None = None,
        exit: EarlyExit | None = None,
        similar: DescribeSimilar | None = None,
    ) -> None:
        self.config, self.backbone, self.soft, self.similar = config, backbone, soft, similar
        self.head, self.decision, self.counts, self.exit = head, decision, counts, exit
        self.items = ItemWords(catalog, config.items, list_special_tokens(backbone))
        prompt = config.prompt if soft is not None else config.prompt.model_copy(update={"soft_tokens": False})
        has_soft = soft.has if soft is not None else lambda item: False
        self.prompt_builder = PromptBuilder(self.items, load_templates(config.templates), prompt, has_soft)
        self._writer = make_writer(backbone, soft)
        self.likelihood = make_scorer(backbone, self._writer, config)
        self.thought_writer = ThoughtWriter(backbone, self._writer, config.thought)
        self._decoder: ConstrainedDecoder | None = None

    @property
    def tokeniser(self) -> DialogueTokeniser:
        """The model's tokens, where prompts are those."""
        if isinstance(self._writer, ChatTurns):
            raise PluginError("the language model is asked in a chat: its tokens are not here")
        return self._writer

    @property
    def decoder(self) -> ConstrainedDecoder:
        """Decoding through the tree of all titles, which is made when it is first needed."""
        if self._decoder is None:
            self._decoder = ConstrainedDecoder(self.local, self.tokeniser, self.items.names, self.config.beams)
        return self._decoder

    def build_dialogues(self, batch: QueryBatch) -> list[Dialogue]:
        """One per query; candidates are listed where answers are labels."""
        candidates: list[list[int]] = [[] for _ in batch.users]
        if self.config.answer == "label" and batch.candidates is not None:
            candidates = [[item for item in row if item >= 0] for row in batch.candidates.tolist()]
        return [
            self.prompt_builder.ask(PromptRequest(batch.task, batch.history.row(row).tolist(), listed))
            for row, listed in enumerate(candidates)
        ]

    def rank(
        self, batch: QueryBatch, dialogues: Sequence[Dialogue] | None = None, evidence: DelegateScores | None = None
    ) -> EngineAnswer:
        """Think and score ``batch``'s candidates; without candidates, the whole catalogue (written answers, head)."""
        asked = dialogues or self.build_dialogues(batch)
        prompts = [self._writer.prompt(dialogue) for dialogue in asked]
        parts: list[tuple[list[int], EngineAnswer]] = []
        for rows in self.backbone.groups([len(prompt) for prompt in prompts]):
            index = np.array(rows, np.intp)
            reading, thoughts = self.thought_writer.write_thoughts([prompts[row] for row in rows], self.soft)
            part_evidence = None if evidence is None else evidence.take(index)
            answer = self._score(reading, batch.take(index), part_evidence)
            confidences = self._state_confidence(reading, batch.take(index), answer)
            parts.append((rows, EngineAnswer(answer, thoughts, confidences, reading.usage)))
        return _merge_parts(parts, len(batch))

    @property
    def exits(self) -> bool:
        """Whether yes or no may be answered early."""
        return self.exit is not None and self.exit.rule is not None and self.exit.rule.stops

    def score_clicks(self, batch: QueryBatch) -> ClickAnswers:
        """P(yes) of each candidate, asked about one at a time."""
        assert batch.candidates is not None
        rows, columns = np.nonzero(batch.candidates >= 0)
        found, usage = np.zeros(batch.candidates.shape, np.float32), Usage()
        depths = np.zeros(batch.candidates.shape, np.int64)
        prompts = self._ask_clicks(batch)
        for group in self.backbone.groups([len(prompt) for prompt in prompts]):
            if self.exits:
                odds, depths[rows[group], columns[group]], spent = self._answer_early([prompts[at] for at in group])
            else:
                reading, _ = self.thought_writer.write_thoughts([prompts[at] for at in group], self.soft)
                scores = np.array(self.likelihood.score(reading, [YES_NO] * len(group)), np.float64)
                # A word that a server leaves out is less likely than all that it names; without either, nothing is
                # known.
                known = np.isfinite(scores).any(axis=1)
                odds = np.subtract(scores[:, 0], scores[:, 1], where=known, out=np.zeros(len(group)))
                spent = reading.usage
            chance = 1.0 / (1.0 + np.exp(np.clip(-odds / self.config.temperature, -30.0, 30.0)))
            found[rows[group], columns[group]] = chance
            usage.add(spent)
        return ClickAnswers(found, usage, depths if self.exits else None)

    def ask_layers(self, batch: QueryBatch) -> Float64:
        """float64[N, heads + 1]: log odds of yes by every head and the whole model, for each candidate that there is.

        Raises:
            PluginError: no heads were learned.
        """
        if self.exit is None:
            raise PluginError("the policy has no heads between its layers", fix="Add a table [policy.exit], and tune.")
        return self.exit.ask_all(self.local, self._open_answers(self._ask_clicks(batch)), self.soft, self._words)

    def settle_clicks(self, batch: QueryBatch) -> Float32:
        """float32[B, C]: the share of the layers after which each yes or no no longer changed; 1 for padding."""
        assert batch.candidates is not None
        found, every = np.ones(batch.candidates.shape, np.float32), self.ask_layers(batch)
        if self.exit is not None:
            depths = np.array([*self.exit.heads.layers, self.local.layers])
            found[batch.candidates >= 0] = depths[settled(every)] / self.local.layers
        return found

    def _ask_clicks(self, batch: QueryBatch) -> list[Any]:
        """The prompt of each candidate that there is, by rows."""
        asked = click_requests(batch, self.similar)
        return [self._writer.prompt(self.prompt_builder.ask(request)) for request in asked]

    def _open_answers(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        tag = self.tokeniser.text(opening("answer"))
        return [prompt.followed_by(tag) for prompt in prompts]

    def _answer_early(self, prompts: Sequence[Prompt]) -> tuple[Float64, Int64, Usage]:
        assert self.exit is not None
        found = self.exit.answer(self.local, self._open_answers(prompts), self.soft, self._words)
        return found.odds.astype(np.float64), found.depths, found.usage

    @property
    def local(self) -> Backbone:
        """The model, where it runs here."""
        if isinstance(self.backbone, ServedModel):
            raise PluginError("the language model runs on a server: its layers are not here")
        return self.backbone

    @property
    def _words(self) -> tuple[int, int]:
        yes, no = (self.tokeniser.text(word)[0] for word in YES_NO)
        return yes, no

    def write_explanations(
        self, batch: QueryBatch, items: Sequence[int], known: Sequence[ExplanationEvidence] = ()
    ) -> tuple[list[str], list[dict[str, str]], Usage]:
        """A sentence per query on why its item suits its user, and what was thought before.

        Args:
            batch: B queries.
            items: the item of each.
            known: what reviews say of each request, told in its prompt; nothing where there are no reviews.
        """
        requests = [explanation_request(each) for each in known] or [
            PromptRequest(Task.EXPLAIN, batch.history.row(row).tolist(), (item,)) for row, item in enumerate(items)
        ]
        prompts = [self._writer.prompt(self.prompt_builder.ask(request)) for request in requests]
        texts, usage = [""] * len(batch), Usage()
        thoughts: list[dict[str, str]] = [{} for _ in batch.users]
        for group in self.backbone.groups([len(prompt) for prompt in prompts]):
            reading, thought = self.thought_writer.write_thoughts([prompts[at] for at in group], self.soft)
            said = self.thought_writer.write_part(reading, "answer", self.config.explanation)
            for at, text, written in zip(group, said, thought, strict=True):
                texts[at], thoughts[at] = text, written
            usage.add(reading.usage)
        return texts, thoughts, usage

    def _score(self, reading: Any, batch: QueryBatch, evidence: DelegateScores | None) -> ItemScores:
        if self.config.answer == "head" and self.head is not None:
            answer = self.head.answer(reading, batch)
            if self.decision is None or evidence is None:
                return answer
            return fuse_scores(self.decision, answer, evidence)
        if self.config.answer == "written":
            return self.decoder.answer(reading, batch)
        return self.likelihood.answer(reading, batch, self._name_candidates(batch))

    def _name_candidates(self, batch: QueryBatch) -> list[list[str]]:
        """What each candidate is called in an answer."""
        assert batch.candidates is not None
        if self.config.answer == "label":
            return [list(labels(len(row))) for row in batch.candidates]
        names = self.items.names
        return [[names[item] if item >= 0 else "" for item in row.tolist()] for row in batch.candidates]

    def _state_confidence(self, reading: Any, batch: QueryBatch, answer: ItemScores) -> list[float | None]:
        """The confidence that the model states after its best answer; it is asked only where it is wanted."""
        if self.config.confidence != "verbalised":
            return [None] * len(batch)
        best = answer.scores.argmax(axis=1)
        said = []
        for row, column in enumerate(best.tolist()):
            if self.config.answer == "label":
                said.append(labels(answer.scores.shape[1])[column])
            else:
                item = column if batch.candidates is None else int(batch.candidates[row, column])
                said.append(self.items.names[item])
        return self.thought_writer.state_confidence(reading, said)


def _merge_parts(parts: Sequence[tuple[list[int], EngineAnswer]], count: int) -> EngineAnswer:
    """The parts of a batch in its own order."""
    width = parts[0][1].answer.scores.shape[1] if parts else 0
    scores, mass = np.full((count, width), -np.inf, np.float32), np.zeros((count, width), np.float32)
    thoughts: list[dict[str, str]] = [{} for _ in range(count)]
    confidences: list[float | None] = [None] * count
    usage = Usage()
    for rows, part in parts:
        scores[rows], mass[rows] = part.answer.scores, part.answer.mass
        for row, thought, said in zip(rows, part.thoughts, part.confidences, strict=True):
            thoughts[row], confidences[row] = thought, said
        usage.add(part.usage)
    return EngineAnswer(ItemScores(scores, mass), thoughts, confidences, usage)

"""The whole of tuning: dialogues, the loop, the decision, the confidence."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reasonrec_explain.item_text import ItemTextSettings
from reasonrec_torch.optimiser import share_schedule
from reasonrec_torch.progress import TrainingReport
from reasonrec_torch.trainer import TimeLimit, train

from reasonrec_core.components import FitData, Settings
from reasonrec_core.io import content_hash
from reasonrec_core.types import Cases, Task
from reasonrec_cot.answers.early_exit import EarlyExit
from reasonrec_cot.answers.item_head import RecHead
from reasonrec_cot.answers.score_fusion import FusionSet
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser
from reasonrec_cot.config import SoftTokenConfig
from reasonrec_cot.exit_config import ExitConfig
from reasonrec_cot.finetuned import COLLABORATIVE, FineTuned, with_collaborative
from reasonrec_cot.items.click_counts import ClickCounts
from reasonrec_cot.items.features import collaborative_vectors
from reasonrec_cot.items.similar_prompt import SimilarDescriber
from reasonrec_cot.items.similar_users import SimilarUsers, gather_evidence
from reasonrec_cot.items.soft_tokens import Projector, SoftItems, loudness_of
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, PromptSettings
from reasonrec_cot.prompting.rationale import RationaleBuilder
from reasonrec_cot.prompting.relevance import Relevance
from reasonrec_cot.prompting.templates import load_templates
from reasonrec_cot.tuning.confidence import learn_confidence
from reasonrec_cot.tuning.examples import Examples
from reasonrec_cot.tuning.exits import ask_heads, check_exits, fit_exit
from reasonrec_cot.tuning.fusion import CandidateSource, fit_click_fusion, fit_fusions
from reasonrec_cot.tuning.module import TunableModel
from reasonrec_cot.tuning.sampling import Sampler
from reasonrec_cot.tuning.similar_folds import SimilarFolds
from reasonrec_cot.tuning.validation import ValidationReader, click_figure, click_odds, ranking_figure
from reasonrec_cot.tuning_config import TuningConfig

CHECKPOINT = "tuning.safetensors"
FOR_CONFIDENCE = 0.1
"""Share of the minutes that is kept for learning to state confidence, where that is wanted."""


class PromptingSettings(Settings):
    """How requests are put into words and items into prompts; the policy's own settings."""

    prompt: PromptSettings = PromptSettings()
    """What a prompt contains."""
    items: ItemTextSettings = ItemTextSettings()
    """What a prompt says about an item."""
    soft: SoftTokenConfig = SoftTokenConfig()
    """Soft tokens."""
    templates: Path | None = None
    """Folder with words of dialogues."""


def tune(
    config: TuningConfig,
    speech: PromptingSettings,
    backbone: Backbone,
    data: FitData,
    generator: CandidateSource | None = None,
    exits: ExitConfig | None = None,
    similar: SimilarUsers | None = None,
) -> FineTuned:
    """Tune ``backbone`` in place and learn what stands beside it.

    Args:
        config: how.
        speech: words and soft tokens.
        backbone: the model; afterwards its weights hold the adapters.
        data: weights are learned from the training part; the validation part chooses when to stop and fits the few
            numbers of the decision. Without one, or for explanations, the last weights are kept.
        generator: proposes candidates, fitted on the training part alone; its scores and other delegates' become
            evidence of the decision.
        exits: where heads may answer early, None for none.
        similar: finds users with similar choices, None where they are neither weighed nor in prompts.

    Raises:
        DataError: nobody has two training interactions.
        ConfigError: there are no such layers to answer after.
    """
    began = time.perf_counter()
    some, pairs = (_draw(data.valid, most, data.seed) for most in (config.queries, config.pairs))
    if exits is not None:
        check_exits(exits, backbone, len(pairs) if pairs is not None and data.task is Task.CTR else None)
    parts = TuningParts(config, speech, backbone, data, exits, similar)
    sampler = parts.make_sampler(config, data.seed)
    training = _train_weights(parts, config, data, sampler, some, _plan_time(config, data.task, some, pairs, began))
    about = {"tokens": sampler.state(), "threads": torch.get_num_threads()}
    report: dict[str, Any] = {"training": {**training.to_dict(), **about}}
    decision, counts = None, None
    exit = EarlyExit(parts.module.exits) if parts.module.exits is not None else None
    if data.task is Task.CTR and pairs is not None and data.train.values is not None:
        counts = ClickCounts.of(data.train, len(data.catalog))
        beside = gather_evidence(pairs, counts, similar, data)
        if exits is None:
            odds = click_odds(parts.module, parts.answering, pairs.queries)
        else:
            every = ask_heads(parts.module, parts.answering, pairs.queries)
            fitted = fit_exit(parts.module, parts.answering, pairs, every, beside, data, exits)
            odds, exit, report["exit"] = every[:, -1].astype(np.float32), fitted.exit, fitted.report
        clicks = fit_click_fusion(odds, pairs, beside, data)
        decision, report["decision"] = FusionSet(clicks=clicks.decision), {"clicks": clicks.report}
    elif data.task not in (Task.CTR, Task.EXPLAIN) and generator is not None and pairs is not None:
        fusions = fit_fusions(parts.module, parts.answering, pairs, generator, data)
        if config.confidence_steps:
            left = None if config.minutes is None else 60 * config.minutes - training.seconds - fusions.seconds * 2
            report["confidence"] = learn_confidence(
                parts.module, parts.answering, sampler, fusions, config, data.seed, left
            )
            fusions = fit_fusions(parts.module, parts.answering, pairs, generator, data)
        decision, report["decision"] = fusions.decisions, fusions.report
    adapter = parts.module.unwrap()
    learned = replace(parts.make_finetuned(report), decision=decision, counts=counts, adapter=adapter, exit=exit)
    return learned.to(backbone.device)


def _plan_time(
    config: TuningConfig, task: Task, some: Cases | None, pairs: Cases | None, began: float
) -> TimeLimit | None:
    """How long the weights may be trained: what the settings allow, less what confidence and the decision will take."""
    if config.minutes is None:
        return None
    seconds = 60 * config.minutes * (1 - FOR_CONFIDENCE if config.confidence_steps else 1.0)
    again = 0.0
    if some and pairs and task not in (Task.CTR, Task.EXPLAIN):
        again = len(pairs) * (2 if config.confidence_steps else 1) / len(some)
    return TimeLimit(seconds, time.perf_counter() - began, again)


def _train_weights(
    parts: TuningParts,
    config: TuningConfig,
    data: FitData,
    sampler: Sampler,
    some: Cases | None,
    limit: TimeLimit | None,
) -> TrainingReport:
    """Train the module; ``some`` are the cases that choose when to stop."""
    clicks = data.task is Task.CTR

    def figure(model: TunableModel) -> float:
        assert some is not None
        return (click_figure if clicks else ranking_figure)(model, parts.answering, some)

    return train(
        parts.module,
        sampler,
        config.make_trainer_config(str(parts.module.backbone.device)),
        seed=data.seed,
        # How well the head ranks says nothing of sentences: with them the last weights are kept.
        validate=None if some is None or data.task is Task.EXPLAIN else figure,
        figure="validation AUC" if clicks else "validation NDCG@10",
        validate_start=True,
        schedule=share_schedule(config.warmup),
        limit=limit,
        progress=data.progress,
        label="tune cot",
        workdir=data.workdir,
        checkpoint=CHECKPOINT,
    )


class TuningParts:
    """The parts, put together for one training set."""

    def __init__(
        self,
        config: TuningConfig,
        speech: PromptingSettings,
        backbone: Backbone,
        data: FitData,
        exits: ExitConfig | None = None,
        similar: SimilarUsers | None = None,
    ) -> None:
        n_items = len(data.catalog)
        seen = data.observation
        names = tuple(sorted(seen.features)) if speech.soft.modalities is None else speech.soft.modalities
        self.collaborative = None
        if config.collaborative:
            self.collaborative = collaborative_vectors(data.train, n_items, config.collaborative, data.seed)
            names = (*names, COLLABORATIVE)
        self.names = names
        features = with_collaborative(seen, names, self.collaborative, n_items)
        with torch.random.fork_rng():
            torch.manual_seed(data.seed)
            self.soft = self.projector = None
            learned = n_items if config.learned or not names else 0
            if speech.soft.per_item and names:
                loud = loudness_of(backbone.model.get_input_embeddings().weight)
                sizes = backbone.width, speech.soft.per_item, speech.soft.hidden
                self.projector = Projector(features, *sizes, loud, learned, config.dropout)
                self.soft = SoftItems(self.projector, features)
            widths = features.widths
            self.head = RecHead(backbone.width, widths, learned, config.dimensions, dropout=config.dropout)
            yes = DialogueTokeniser(backbone.tokenizer).text("yes")[0]
            self.module = TunableModel(backbone, self.soft, self.head, features, n_items, config, exits, yes)
        prompt = speech.prompt if self.soft is not None else speech.prompt.model_copy(update={"soft_tokens": False})
        items = ItemWords(data.catalog, speech.items, tuple(backbone.tokenizer.all_special_tokens))
        has = self.soft.has if self.soft is not None else lambda item: False
        prompt_builder = PromptBuilder(items, load_templates(speech.templates), prompt, has)
        tokeniser = DialogueTokeniser(backbone.tokenizer, self.soft.per_item if self.soft is not None else 0, has)
        describe = SimilarDescriber.of(similar, seen)
        self.answering = ValidationReader(backbone, prompt_builder, tokeniser, describe)
        rationales = None
        if config.thoughts:
            relevance = Relevance(data.catalog, seen.features, seen.present)
            rationales = RationaleBuilder(items, relevance, seed=data.seed)
        draws = config.candidates, config.thoughts, config.shuffle_ties
        folds = None if describe is None else SimilarFolds.fit(describe.similar.config, data)
        self.examples = Examples(data, prompt_builder, rationales, config.curriculum, *draws, folds)
        parts: list[Settings] = [speech.prompt, speech.items, speech.soft]
        parts += [] if describe is None else [describe.similar.config]
        self.key = content_hash(
            config.model_dump(mode="json", exclude={"minutes", "checkpoint_seconds"}),
            *(part.model_dump(mode="json", exclude_none=True) for part in parts),
            str(speech.templates),
            backbone.weights.sha256,
            str(backbone.dtype),
            backbone.layers,
            data.seed,
            str(data.task),
            *(np.ascontiguousarray(a).tobytes() for a in (data.train.users, data.train.items, data.train.times)),
            *data.catalog.titles,
            *(f"{name} {features.present[name].sum()}" for name in features.widths),
        )

    def make_sampler(self, config: TuningConfig, seed: int) -> Sampler:
        """Batches of dialogues; completions are learned from where one of their weights is not zero."""
        writes = bool(config.weights.answer or (config.weights.thought and config.thoughts))
        settings = config.shares, config.batch_tokens, seed, writes, config.steps
        return Sampler(self.examples, self.answering.tokeniser, *settings, self.key)

    def make_finetuned(self, report: dict[str, Any]) -> FineTuned:
        """What was learned."""
        return FineTuned(self.projector, self.head, self.collaborative, self.names, report=report)


def _draw(cases: Cases | None, most: int, seed: int) -> Cases | None:
    """At most so many, drawn; None where there are none."""
    if cases is None or not len(cases) or not most:
        return None
    if len(cases) <= most:
        return cases
    return cases.take(np.sort(np.random.default_rng(seed).choice(len(cases), most, replace=False)))

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
from reasonrec_torch.trainer import TimeLimit, train

from reasonrec_core.components import FitData, Settings
from reasonrec_core.io import content_hash
from reasonrec_core.types import Cases, Task
from reasonrec_cot.answers.item_head import RecHead
from reasonrec_cot.answers.score_fusion import FusionSet
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser
from reasonrec_cot.config import SoftTokenConfig
from reasonrec_cot.finetuned import COLLABORATIVE, FineTuned, with_collaborative
from reasonrec_cot.items.click_counts import ClickCounts
from reasonrec_cot.items.features import collaborative_vectors
from reasonrec_cot.items.soft_tokens import Projector, SoftItems, loudness_of
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, PromptSettings
from reasonrec_cot.prompting.rationale import RationaleBuilder
from reasonrec_cot.prompting.relevance import Relevance
from reasonrec_cot.prompting.templates import load_templates
from reasonrec_cot.tuning.confidence import learn_confidence
from reasonrec_cot.tuning.examples import Examples
from reasonrec_cot.tuning.fusion import CandidateSource, fit_click_fusion, fit_fusions
from reasonrec_cot.tuning.module import TunableModel
from reasonrec_cot.tuning.sampling import Sampler
from reasonrec_cot.tuning.validation import ValidationReader, click_figure, ranking_figure
from reasonrec_cot.tuning_config import TuningConfig

CHECKPOINT = "tuning.safetensors"
FOR_CONFIDENCE = 0.1
"""Share of the minutes that is kept for learning to state confidence, where that is wanted."""


class PromptingSettings(Settings):
    """How requests are put into words and items into prompts; the policy's own settings."""

    prompt: PromptSettings = PromptSettings()
    """What stands in a prompt."""
    items: ItemTextSettings = ItemTextSettings()
    """What is said of an item."""
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
) -> FineTuned:
    """Tune ``backbone`` in place and learn what stands beside it.

    Args:
        config: how.
        speech: words and soft tokens.
        backbone: the model; afterwards its weights hold the adapters.
        data: what may be learned from. Weights are learned from the training part; the validation part chooses when
            to stop and fits the few numbers of the decision; without one, or for explanations, the last weights are
            kept.
        generator: proposes candidates, fitted on the training part alone; its scores and other delegates' become
            evidence of the decision.

    Raises:
        DataError: nobody has two training interactions.
    """
    started = time.perf_counter()
    build = TuningParts(config, speech, backbone, data)
    module, answering = build.module, build.answering
    clicks, explains = data.task is Task.CTR, data.task is Task.EXPLAIN
    some, pairs = (_some(data.valid, most, data.seed) for most in (config.queries, config.pairs))

    def figure(model: TunableModel) -> float:
        assert some is not None
        return (click_figure if clicks else ranking_figure)(model, answering, some)

    said = bool(config.weights.answer or (config.weights.thought and config.thoughts))
    places, digest = config.batch_tokens, build.key
    sampler = Sampler(build.examples, answering.tokeniser, config.shares, places, data.seed, said, config.steps, digest)
    again = len(pairs) * (2 if config.confidence_steps else 1) / len(some) if some and pairs else 0.0
    limit = None
    if config.minutes is not None:
        room = 60 * config.minutes * (1 - FOR_CONFIDENCE if config.confidence_steps else 1.0)
        limit = TimeLimit(room, time.perf_counter() - started, 0.0 if clicks or explains else again)
    training = train(
        module,
        sampler,
        config.make_trainer_config(str(backbone.device)),
        seed=data.seed,
        # How well the head ranks says nothing of sentences: with them the last weights are kept.
        validate=None if some is None or explains else figure,
        figure="validation AUC" if clicks else "validation NDCG@10",
        validate_start=True,
        schedule=share_schedule(config.warmup),
        limit=limit,
        progress=data.progress,
        label="tune cot",
        workdir=data.workdir,
        checkpoint=CHECKPOINT,
    )
    report: dict[str, Any] = {
        "training": {**training.to_dict(), "tokens": sampler.state(), "threads": torch.get_num_threads()}
    }
    decision, counts = None, None
    if not clicks and not explains and generator is not None and pairs is not None:
        decided = fit_fusions(module, answering, pairs, generator, data)
        if config.confidence_steps:
            left = None if config.minutes is None else 60 * config.minutes - training.seconds - decided.seconds * 2
            report["confidence"] = learn_confidence(module, answering, sampler, decided, config, data.seed, left)
            decided = fit_fusions(module, answering, pairs, generator, data)
        decision, report["decision"] = decided.decisions, decided.report
    if clicks and pairs is not None and data.train.values is not None:
        counts = ClickCounts.of(data.train, len(data.catalog))
        judged = fit_click_fusion(module, answering, pairs, counts, data)
        decision, report["decision"] = FusionSet(clicks=judged.decision), {"clicks": judged.report}
    return replace(build.tuned(report), decision=decision, counts=counts, adapter=module.unwrap()).to(backbone.device)


class TuningParts:
    """The parts, put together for one training set."""

    def __init__(self, config: TuningConfig, speech: PromptingSettings, backbone: Backbone, data: FitData) -> None:
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
            self.module = TunableModel(backbone, self.soft, self.head, features, n_items, config)
        prompt = speech.prompt if self.soft is not None else speech.prompt.model_copy(update={"soft_tokens": False})
        items = ItemWords(data.catalog, speech.items, tuple(backbone.tokenizer.all_special_tokens))
        has = self.soft.has if self.soft is not None else lambda item: False
        prompt_builder = PromptBuilder(items, load_templates(speech.templates), prompt, has)
        tokeniser = DialogueTokeniser(backbone.tokenizer, self.soft.per_item if self.soft is not None else 0, has)
        self.answering = ValidationReader(backbone, prompt_builder, tokeniser)
        rationales = None
        if config.thoughts:
            relevance = Relevance(data.catalog, seen.features, seen.present)
            rationales = RationaleBuilder(items, relevance, seed=data.seed)
        draws = config.candidates, config.thoughts, config.shuffle_ties
        self.examples = Examples(data, prompt_builder, rationales, config.curriculum, *draws)
        parts = [speech.prompt, speech.items, speech.soft]
        self.key = content_hash(
            config.model_dump(mode="json", exclude={"minutes", "checkpoint_seconds"}),
            *(part.model_dump(mode="json") for part in parts),
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

    def tuned(self, report: dict[str, Any]) -> FineTuned:
        """What was learned."""
        return FineTuned(self.projector, self.head, self.collaborative, self.names, report=report)


def _some(cases: Cases | None, most: int, seed: int) -> Cases | None:
    """At most so many, drawn; None where there are none."""
    if cases is None or not len(cases) or not most:
        return None
    if len(cases) <= most:
        return cases
    return cases.take(np.sort(np.random.default_rng(seed).choice(len(cases), most, replace=False)))

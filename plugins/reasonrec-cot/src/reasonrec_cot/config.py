"""Settings of `cot`. Cheap to import: no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from reasonrec_explain.config import MbrSettings
from reasonrec_explain.item_text import ItemTextSettings

from reasonrec_core.components import Settings
from reasonrec_cot.prompting.prompt_builder import PromptSettings
from reasonrec_cot.tuning_config import TuningConfig


class SoftTokenConfig(Settings):
    """How items' features enter a prompt."""

    per_item: int = Field(2, ge=0, le=16, description="Soft tokens per item; 0: items are text alone.")
    hidden: int = Field(256, ge=4, description="Units between features and soft tokens.")
    modalities: tuple[str, ...] | None = Field(
        None, description="Names of observed features that are used; all if not set."
    )


SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"


class BackboneConfig(Settings):
    """Which model, where and how it runs."""

    model: str = Field(
        SMOLLM2,
        description="Causal or image-text-to-text model of transformers: hub name, folder, or a .gguf file.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit on the hub.")
    layers: int | None = Field(
        None,
        ge=1,
        description="Only so many of the model's first layers: quicker, and enough for items as soft tokens once tuned;"
        " all if not set.",
    )
    device: str = Field("auto", description="cpu, cuda, mps, or auto: the fastest that there is.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of weights and products; auto: bfloat16 where the processor has units for it."
    )
    max_length: int = Field(4096, ge=32, description="Longest prompt with its answer; the model's own limit holds too.")
    tokens_at_once: int | None = Field(
        None, ge=64, description="Tokens per forward pass, padding included; by device if not set."
    )
    prefix_megabytes: int = Field(256, ge=0, description="Kept states of prompts' beginnings; 0 keeps none.")


class ThoughtConfig(Settings):
    """Reasoning in words before an answer."""

    observe: int = Field(0, ge=0, le=4096, description="Tokens for what is observed, at most; 0: nothing is written.")
    deliberate: int = Field(0, ge=0, le=4096, description="Tokens for deliberation, at most; 0: nothing is written.")


class ShortlistConfig(Settings):
    """Which items the model is asked about."""

    delegate: str = Field("transitions", description="Proposes candidates, and orders what the model does not rank.")
    size: int = Field(20, ge=2, le=1000, description="Candidates that the model ranks; longer lists are cut to these.")
    sources: tuple[str, ...] = Field(
        (),
        description='Further delegates whose scores of the candidates are weighed with the head\'s (answer = "head").',
    )
    whole: bool = Field(
        False,
        description='With answer = "head": rank the whole catalogue by the head alone, in one reading of the prompt; '
        "requests with candidates of their own are answered as ever.",
    )
    order: Literal["ranked", "shuffled"] = Field(
        "ranked",
        description="How candidates are listed: as the delegate ranks them, or in an order that tells nothing.",
    )


class CotConfig(Settings):
    """All of it has defaults; the parts are settings of their own."""

    backbone: BackboneConfig = Field(default=BackboneConfig(), description="The language model.")
    prompt: PromptSettings = Field(default=PromptSettings(), description="What stands in a prompt.")
    items: ItemTextSettings = Field(default=ItemTextSettings(), description="What is said of an item.")
    templates: Path | None = Field(None, description="Folder with words of dialogues; the package's own if not set.")
    soft: SoftTokenConfig = Field(default=SoftTokenConfig(), description="Soft tokens, where they were learned.")
    shortlist: ShortlistConfig = Field(default=ShortlistConfig(), description="Which items the model is asked about.")
    thought: ThoughtConfig = Field(default=ThoughtConfig(), description="Reasoning in words before an answer.")
    answer: Literal["label", "title", "written", "head"] = Field(
        "label",
        description="label: how likely each label of the listed candidates is; title: how likely each candidate's "
        "title is, unlisted; written: titles decoded through a tree of all that may be answered; head: the tuned "
        "recommendation head, weighed against the delegate's scores.",
    )
    tuning: TuningConfig | None = Field(None, description="How the model is tuned; not at all if not set.")
    temperature: float = Field(1.0, gt=0, description="Of the softmax over candidates that gives probabilities.")
    length_power: float = Field(1.0, ge=0, le=1, description="How far long titles are evened out; 1: mean per token.")
    beams: int = Field(20, ge=1, le=1000, description="Titles in the making, for written answers.")
    confidence: Literal["probability", "verbalised"] = Field(
        "probability", description="What the answer's confidence is: the best item's probability, or what is stated."
    )
    explanations: Literal["written", "consensus"] = Field(
        "written",
        description="written: the language model writes them, told what reviews say where there are any; consensus: a "
        "sentence of training reviews that others agree with, every claim of it verified (needs data with reviews).",
    )
    consensus: MbrSettings = Field(default=MbrSettings(), description="How such a sentence is chosen.")
    explanation: int = Field(60, ge=1, le=2048, description="Tokens of a written explanation, at most.")

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        if self.answer == "head" and self.tuning is None:
            raise ValueError('answer = "head" needs a tuned model; add a table named tuning')
        return self

"""Settings of `cot`. Cheap to import: no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from reasonrec_explain.config import MbrSettings
from reasonrec_explain.item_text import ItemTextSettings

from reasonrec_core.components import Settings
from reasonrec_cot.exit_config import ExitConfig
from reasonrec_cot.prompting.prompt_builder import PromptSettings
from reasonrec_cot.server_config import ServerConfig
from reasonrec_cot.similar_config import SimilarUsersConfig
from reasonrec_cot.tuning_config import TuningConfig


class SoftTokenConfig(Settings):
    """How items' features enter a prompt."""

    per_item: int = Field(2, ge=0, le=16, description="Soft tokens per item; 0: items are text only.")
    hidden: int = Field(256, ge=4, description="Hidden units between features and soft tokens.")
    modalities: tuple[str, ...] | None = Field(
        None, description="Names of the observed features to use; all if not set."
    )


LETTERS = 26
"""Candidates with one letter each: longer labels begin with others."""
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
        description="Use only this many of the model's first layers: faster, and enough for items as soft "
        "tokens once tuned; all if not set.",
    )
    device: str = Field("auto", description="cpu, cuda, mps, or auto: the fastest available.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Number type of weights and products; auto: bfloat16 if the processor supports it."
    )
    max_length: int = Field(
        4096, ge=32, description="Longest prompt including its answer, in tokens; the model's own limit applies too."
    )
    tokens_at_once: int | None = Field(
        None, ge=64, description="Tokens per forward pass, padding included; by device if not set."
    )
    prefix_megabytes: int = Field(256, ge=0, description="Megabytes for cached states of prompt beginnings; 0: none.")


class ThoughtConfig(Settings):
    """Reasoning in words before an answer."""

    observe: int = Field(0, ge=0, le=4096, description="Most tokens for what is observed; 0: nothing is written.")
    deliberate: int = Field(0, ge=0, le=4096, description="Most tokens for deliberation; 0: nothing is written.")


class ShortlistConfig(Settings):
    """Which items the model is asked about."""

    delegate: str = Field(
        "transitions", description="The delegate that proposes candidates and orders what the model does not rank."
    )
    size: int = Field(20, ge=2, le=1000, description="How many candidates the model ranks; longer lists are cut.")
    sources: tuple[str, ...] = Field(
        (),
        description='More delegates whose scores are weighed with the head\'s (answer = "head").',
    )
    whole: bool = Field(
        False,
        description='With answer = "head": rank the whole catalogue by the head alone, reading the prompt '
        "once; requests with their own candidates are answered as usual.",
    )
    order: Literal["ranked", "shuffled"] = Field(
        "ranked",
        description="Order of the listed candidates: as the delegate ranks them, or shuffled so that the "
        "order reveals nothing.",
    )


class CotConfig(Settings):
    """All of it has defaults; the parts are settings of their own."""

    backbone: BackboneConfig = Field(default=BackboneConfig(), description="The language model.")
    server: ServerConfig | None = Field(
        None,
        description="A server that runs the model (vLLM, SGLang, llama.cpp, Ollama, ...); `backbone.model` then names "
        "its tokenizer. If not set, transformers runs it here.",
    )
    prompt: PromptSettings = Field(default=PromptSettings(), description="What a prompt contains.")
    items: ItemTextSettings = Field(default=ItemTextSettings(), description="What a prompt says about an item.")
    templates: Path | None = Field(None, description="Folder with dialogue templates; the package's own if not set.")
    soft: SoftTokenConfig = Field(default=SoftTokenConfig(), description="Soft tokens, if they were learned.")
    shortlist: ShortlistConfig = Field(default=ShortlistConfig(), description="Which items the model is asked about.")
    thought: ThoughtConfig = Field(default=ThoughtConfig(), description="Written reasoning before an answer.")
    answer: Literal["label", "title", "written", "head"] = Field(
        "label",
        description="How items are ranked. label: by the probability of each listed candidate's label; "
        "title: by the probability of each candidate's title, without listing them; written: "
        "titles are generated, restricted to items that exist; head: by the tuned "
        "recommendation head, weighed with the delegate's scores.",
    )
    tuning: TuningConfig | None = Field(None, description="How the model is tuned; not at all if not set.")
    exit: ExitConfig | None = Field(
        None,
        description="Answer yes or no about labelled clicks after some of the layers where that is safe; always after "
        "all of them if not set.",
    )
    similar_users: SimilarUsersConfig | None = Field(
        None,
        description="Weigh labelled clicks also by what users with similar choices clicked, and describe it in the "
        "prompt if wanted; not if not set.",
    )
    temperature: float = Field(1.0, gt=0, description="Temperature of the softmax over candidates.")
    length_power: float = Field(
        1.0, ge=0, le=1, description="How far the length of titles is evened out; 1: mean per token."
    )
    beams: int = Field(
        20, ge=1, le=1000, description="Beams (titles that are generated in parallel) for written answers."
    )
    confidence: Literal["probability", "verbalised"] = Field(
        "probability",
        description="Where the answer's confidence comes from: the best item's probability, or what the model states.",
    )
    explanations: Literal["written", "consensus"] = Field(
        "written",
        description="written: the language model writes explanations, using reviews where there are any; "
        "consensus: a sentence from training reviews that others agree with, each claim "
        "verified (needs data with reviews).",
    )
    consensus: MbrSettings = Field(default=MbrSettings(), description="How such a sentence is chosen.")
    explanation: int = Field(60, ge=1, le=2048, description="Most tokens of a written explanation.")

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        if self.answer == "head" and self.tuning is None:
            raise ValueError('answer = "head" needs a tuned model: add a table named tuning')
        if self.exit is not None and self.tuning is None:
            raise ValueError("exit needs a tuned model, whose tuning teaches the heads: add a table named tuning")
        if self.exit is not None and self.tuning is not None and not self.tuning.shares.ctr:
            raise ValueError("the heads of exit learn from dialogues about clicks: raise tuning.shares.ctr above 0")
        if self.exit is not None and (self.thought.observe or self.thought.deliberate):
            raise ValueError("nothing can be written after an early answer: take the table exit, or thought, out")
        if self.similar_users is not None and self.tuning is None:
            raise ValueError("similar_users is weighed on validation rows when a model is tuned: add a table tuning")
        if self.server is not None and self.tuning is not None:
            raise ValueError("a model on a server cannot be tuned: take the table tuning or the table server out")
        if self.server is not None and self.answer not in {"label", "title"}:
            raise ValueError(f'answer = "{self.answer}" needs hidden states, which servers do not give: use "label"')
        if self.server is not None and self.server.api == "chat":
            self._check_chat()
        if self.server is not None and self.backbone.layers is not None:
            raise ValueError("backbone.layers shortens a model that runs here: take it, or the table server, out")
        return self

    def _check_chat(self) -> None:
        """Refuse what a chat cannot do: it neither continues a given beginning nor says how likely a given text is."""
        wrong = {
            f'answer = "{self.answer}"': self.answer != "label" and 'use answer = "label"',
            "thought": (self.thought.observe or self.thought.deliberate) and "take the table thought out",
            'confidence = "verbalised"': self.confidence == "verbalised" and 'use confidence = "probability"',
            f"shortlist.size = {self.shortlist.size}": self.shortlist.size > LETTERS and f"use at most {LETTERS}",
        }
        for setting, fix in wrong.items():
            if fix:
                raise ValueError(
                    f'{setting} cannot be had of server.api = "chat", whose only answers are one label, or yes or no: '
                    f'{fix}, or use a server with server.api = "completions"'
                )

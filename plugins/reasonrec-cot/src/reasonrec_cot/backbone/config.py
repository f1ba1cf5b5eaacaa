"""Settings of the language model. Cheap to import: no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reasonrec_core.components import Settings

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

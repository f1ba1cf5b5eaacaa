"""Finds and loads a language model: where it runs, in which precision, how many of its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from reasonrec_torch.pretrained import (
    CHAT_MODEL_FILES,
    MODEL_NEEDS,
    SAFE,
    find_model,
    load_pretrained,
    quiet_transformers,
)
from reasonrec_torch.weights import Weights
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from reasonrec_core.errors import ConfigError, WeightsError
from reasonrec_cot.config import BackboneConfig

CPU_TOKENS_AT_ONCE, OTHERWISE = 2048, 32_768
TOKENIZER_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
TOKENIZER_NEEDS = ("tokenizer_config.json",)
FIX = "Give the folder or hub name of a causal or image-text-to-text model with safetensors, or a .gguf file."


def find_backbone(config: BackboneConfig) -> Weights:
    """A folder with safetensors (here, in the hub's cache, or on the hub), or a .gguf file (by path or packaged).

    Raises:
        WeightsError: there are none.
    """
    if config.model.endswith(".gguf"):
        return find_model(str(Path(config.model).expanduser().absolute()), None, CHAT_MODEL_FILES, ())
    found = find_model(config.model, config.revision, CHAT_MODEL_FILES, MODEL_NEEDS)
    if found.path.is_file() and found.path.suffix != ".gguf":
        fix = "Give a folder with config.json and *.safetensors, a hub name, or a .gguf file."
        raise WeightsError("is not a language model", where=str(found.path), fix=fix)
    return found


def load_tokenizer(config: BackboneConfig) -> Any:
    """The tokenizer alone, with its chat template: of the same places as `find_backbone`, weights not needed.

    Raises:
        WeightsError: there is none, or transformers cannot load it.
    """
    if config.model.endswith(".gguf"):
        path = find_backbone(config).path
    else:
        path = find_model(config.model, config.revision, TOKENIZER_FILES, TOKENIZER_NEEDS).path
    folder, more = (path, {}) if path.is_dir() else (path.parent, {"gguf_file": path.name})
    try:
        with quiet_transformers():
            return AutoTokenizer.from_pretrained(folder, **more, **SAFE)
    except Exception as error:  # its loaders raise whatever their file formats do
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        what = f"transformers cannot load the tokenizer ({reason})"
        fix = "policy.backbone.model names the model that the server has: a hub name or a folder."
        raise WeightsError(what, where=str(path), fix=fix) from error


def load_model(path: Path, dtype: torch.dtype, device: torch.device) -> tuple[Any, Any]:
    """The model, with its output layer, and its tokenizer, from a folder with safetensors or from a .gguf file.

    Raises:
        WeightsError: transformers cannot load it, or tensors are missing.
    """
    loaded = load_pretrained(path, _model_class, AutoTokenizer, dtype=dtype, device=device, fix=FIX)
    return loaded.model, loaded.reader


def _model_class(config: Any) -> Any:
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ValueError(f"a {config.model_type} model can neither continue text nor read images and text")
    return AutoModelForCausalLM


def shorten(model: Any, layers: int) -> None:
    """Keep the decoder's first layers alone, in place; its final norm and output layer stay.

    Language models that read histories for recommendation need few of their layers (Xu et al., 2024, SLMRec), and what
    is left is that much quicker.

    Raises:
        ConfigError: the model has fewer.
    """
    decoder, text = model.get_decoder(), model.config.get_text_config()
    if layers > len(decoder.layers):
        raise ConfigError(
            f"the model has only {len(decoder.layers)} layers, but {layers} should be kept",
            where="backbone.layers",
            fix=f"Keep at most {len(decoder.layers)}.",
        )
    decoder.layers = decoder.layers[:layers]
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = list(text.layer_types)[:layers]


def window_of(text: Any) -> int | None:
    """How far attention reaches in models that slide it: longer prompts would not be read exactly."""
    if getattr(text, "use_sliding_window", True) is False:
        return None
    kinds = getattr(text, "layer_types", None)
    if kinds is not None and "sliding_attention" not in kinds:
        return None
    found = getattr(text, "sliding_window", None)
    return int(found) if found else None


def precision_of(config: BackboneConfig, device: torch.device) -> torch.dtype:
    """The type of weights and products; ``auto`` is bfloat16 exactly where there are units for it.

    On CPUs with such units (AVX-512 BF16, AMX) prompts are read about twice as fast in bfloat16 as in float32; on
    those without, bfloat16 is emulated and several times slower.
    """
    if config.precision != "auto":
        return torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        fast = _cpu_has_bfloat16()
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32


def tokens_at_once(config: BackboneConfig, device: torch.device) -> int:
    """Tokens per forward pass, padding included."""
    return config.tokens_at_once or (CPU_TOKENS_AT_ONCE if device.type == "cpu" else OTHERWISE)


def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively."""
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.8 cannot say
    return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))

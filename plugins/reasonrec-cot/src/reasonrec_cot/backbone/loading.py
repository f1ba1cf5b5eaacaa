"""Loads a language model and its tokenizer from disk: nothing is downloaded, no pickle read, no code of it run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.utils import logging as transformers_logging

from reasonrec_core.errors import ConfigError, WeightsError

SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Loaded:
    """A model as transformers gives it.

    Attributes:
        model: with its output layer.
        tokenizer: of the fast kind.
        vision: whether it reads images, too.
    """

    model: Any
    tokenizer: Any
    vision: bool


def load_model(path: Path, dtype: torch.dtype, device: torch.device) -> Loaded:
    """Load from a folder with safetensors, or from a .gguf file, whose tensors are turned back into plain ones.

    Raises:
        WeightsError: transformers cannot load it, or tensors are missing.
    """
    folder, more = (path, {}) if path.is_dir() else (path.parent, {"gguf_file": path.name})
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(folder, **more, **SAFE)
            vision = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
            if not vision and type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
                raise ValueError(f"a {config.model_type} model neither continues text nor reads images and text")
            kind: Any = AutoModelForImageTextToText if vision else AutoModelForCausalLM
            tokenizer = AutoTokenizer.from_pretrained(folder, **more, **SAFE)
            model, report = kind.from_pretrained(
                folder, output_loading_info=True, use_safetensors=True, dtype=dtype, **more, **SAFE
            )
    except Exception as error:  # its loaders raise whatever their file formats do
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"transformers cannot load the model ({reason})",
            where=str(path),
            fix="Give a folder or hub name of a causal or image-text-to-text model with safetensors, or a .gguf file.",
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise WeightsError(f"the weights lack {len(missing)} tensors, such as {missing[0]}", where=str(path))
    if more:
        _forget_gguf(model)
    return Loaded(model.eval().to(device), tokenizer, vision)


def _forget_gguf(model: Any) -> None:
    """The tensors are plain now; as long as the model thinks itself quantised it can be neither saved nor tuned."""
    model.hf_quantizer = None
    for name in ("quantization_method",):
        vars(model).pop(name, None)
    vars(model.config).pop("quantization_config", None)


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
            f"the model has {len(decoder.layers)} layers and {layers} are to be kept",
            where="backbone.layers",
            fix=f"Keep at most {len(decoder.layers)}.",
        )
    decoder.layers = decoder.layers[:layers]
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = list(text.layer_types)[:layers]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no reports about weights that are not needed; what is missing we check ourselves."""
    before, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def window_of(text: Any) -> int | None:
    """How far attention reaches in models that slide it: longer prompts would not be read exactly."""
    if getattr(text, "use_sliding_window", True) is False:
        return None
    kinds = getattr(text, "layer_types", None)
    if kinds is not None and "sliding_attention" not in kinds:
        return None
    found = getattr(text, "sliding_window", None)
    return int(found) if found else None

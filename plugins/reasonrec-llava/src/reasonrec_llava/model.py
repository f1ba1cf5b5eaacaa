"""The vision-language model behind `LlavaEncoder`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reasonrec_torch.devices import pick_device
from reasonrec_torch.pretrained import load_pretrained
from transformers import AutoModelForImageTextToText, AutoProcessor

from reasonrec_core.components import ItemInput
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32
from reasonrec_llava.encoder import LlavaConfig

SMALLEST_SIDE = 28
"""Pixels: smaller pictures are enlarged first, as some models' patches would not fit into them."""


class VisionLanguageModel:
    """A processor and a model from a folder on disk; nothing is downloaded and no code of the model is run."""

    def __init__(self, folder: Path, config: LlavaConfig) -> None:
        self.config = config
        self.device = pick_device(config.device)
        loaded = load_pretrained(
            folder,
            AutoModelForImageTextToText,
            AutoProcessor,
            dtype=_dtype(config, self.device),
            device=self.device,
            fix="Give a folder or hub name of an image-text-to-text model with its processor.",
        )
        self.model, self.processor = loaded.model, loaded.reader
        tokenizer = self.processor.tokenizer
        tokenizer.padding_side = "right"  # what follows a text is not seen by it: padding changes nothing
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token

    def encode(self, items: Sequence[ItemInput]) -> Float32:
        """float32[n, d]; items with and without an image are read apart."""
        out: Float32 | None = None
        for seen in (True, False):
            rows = [row for row, item in enumerate(items) if (item.image is not None) is seen]
            for start in range(0, len(rows), self.config.batch):
                some = rows[start : start + self.config.batch]
                vectors = self._forward([items[row] for row in some])
                out = np.empty((len(items), vectors.shape[1]), np.float32) if out is None else out
                out[some] = vectors
        return np.empty((0, self.model.config.get_text_config().hidden_size), np.float32) if out is None else out

    @torch.inference_mode()
    def _forward(self, items: Sequence[ItemInput]) -> Float32:
        pictures = [[_enlarged(item.image)] for item in items if item.image is not None]
        batch = self.processor(
            text=[self._text(item) for item in items],
            images=pictures or None,
            padding=True,
            add_special_tokens=False,
            return_tensors="pt",
        ).to(self.device)
        for name, values in batch.items():
            if torch.is_floating_point(values):
                batch[name] = values.to(self.model.dtype)
        states = self._states(batch)
        mask = batch["attention_mask"].to(states.device)
        if self.config.pooling == "last":
            vectors = states[torch.arange(len(items), device=states.device), mask.sum(1) - 1]
        else:
            weights = mask[..., None].to(states.dtype)
            vectors = (states * weights).sum(1) / weights.sum(1)
        vectors = vectors.float()
        if self.config.normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)

    def _states(self, batch: Any) -> torch.Tensor:
        """[B, T, d]: of one layer; all layers' are kept only where an earlier one is wanted."""
        layer = self.config.layer
        out = self.model.model(**batch, use_cache=False, output_hidden_states=layer != -1)
        if layer == -1:
            return torch.as_tensor(out.last_hidden_state)
        if not -len(out.hidden_states) <= layer < len(out.hidden_states):
            raise ConfigError(
                f"the model has no layer {layer}",
                where="layer",
                fix=f"It has {len(out.hidden_states) - 1}, -1 the last.",
            )
        return torch.as_tensor(out.hidden_states[layer])

    def _text(self, item: ItemInput) -> str:
        """The model's own form of a conversation about one item, up to where it would answer."""
        text = item.text or ""
        for token in self.processor.tokenizer.all_special_tokens:  # an item's text cannot place an image or end a turn
            text = text.replace(token, " ")
        text = " ".join(text.split())[: self.config.max_characters]
        said: list[dict[str, str]] = [{"type": "text", "text": self.config.prompt.replace("{}", text)}]
        if item.image is not None:
            said.insert(0, {"type": "image"})
        turns = [{"role": "user", "content": said}]
        written: str = self.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return written


def _enlarged(image: Any) -> Any:
    shortest = min(image.size)
    if shortest >= SMALLEST_SIDE and max(image.size) <= 50 * shortest:
        return image
    return image.resize((max(SMALLEST_SIDE, image.width), max(SMALLEST_SIDE, image.height)))


def _dtype(config: LlavaConfig, device: torch.device) -> torch.dtype:
    if config.precision != "auto":
        return torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if fast else torch.float32

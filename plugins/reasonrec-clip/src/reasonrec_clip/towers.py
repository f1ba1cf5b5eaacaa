"""The two towers of `CatalogueClip`, joined by open_clip's `CustomTextCLIP`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import open_clip  # type: ignore[import-untyped]
import torch
from PIL import Image
from reasonrec_timm.model import create_model, load_weights, map_pieces
from reasonrec_torch.devices import pick_device
from reasonrec_torch.pretrained import quiet_transformers
from reasonrec_torch.weights import Weights
from timm.data.config import resolve_data_config
from torchvision import transforms  # type: ignore[import-untyped]
from transformers import AutoTokenizer

from reasonrec_clip.catalogue import CatalogueConfig
from reasonrec_core.errors import WeightsError
from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32

MAX_WIDTH = 3072
"""Of what one tower hands to its head: layers and stages are thinned out evenly to stay below."""
TOKENS_AT_ONCE = 1024


class StagePool(torch.nn.Module):
    """A timm trunk that gives mean and deviation of every stage's map, then its pooled final features.

    Pooled final features alone are made for naming objects; earlier stages know colour and pattern.
    """

    def __init__(self, trunk: Any, size: int) -> None:
        super().__init__()
        self.trunk = trunk
        with torch.inference_mode():
            _, maps = trunk.eval().forward_intermediates(torch.zeros(1, 3, size, size))
        widths = [int(each.shape[1]) for each in maps]
        self.stages = _thinned(list(range(len(maps))), 2 * sum(widths) // len(widths), MAX_WIDTH - trunk.num_features)
        self.blocks = [widths[i] for i in self.stages] * 2 + [int(trunk.num_features)]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32[n, sum(blocks)]."""
        last, maps = self.trunk.forward_intermediates(pixels, indices=self.stages)
        means = [each.mean((2, 3)) for each in maps]
        spreads = [each.std((2, 3), correction=0) for each in maps]
        return torch.cat([*means, *spreads, self.trunk.forward_head(last, pre_logits=True)], dim=1)


class LayerPool(torch.nn.Module):
    """A pooler for open_clip's text tower: the mean over tokens of every layer's states, side by side.

    The last layer of a sentence encoder keeps the gist; earlier ones keep the words.
    """

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.layers = _thinned(list(range(layers + 1)), width, MAX_WIDTH)
        self.blocks = [width] * len(self.layers)

    def forward(self, output: Any, mask: torch.Tensor) -> torch.Tensor:
        """float32[n, sum(blocks)]."""
        weights = mask.unsqueeze(-1).to(output.last_hidden_state.dtype)
        total = weights.sum(1)
        return torch.cat([(output.hidden_states[i] * weights).sum(1) / total for i in self.layers], dim=1)


class Head(torch.nn.Sequential):
    """Features to the common space: every block centred and brought to one scale, then a linear map."""

    def __init__(self, width: int, dim: int, dropout: float) -> None:
        super().__init__(_Standard(width), torch.nn.Dropout(dropout), torch.nn.Linear(width, dim))


class _Standard(torch.nn.Module):
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self.mean) * self.scale


class Towers:
    """An open_clip model whose trunks are frozen; `features` are what its heads take.

    Attributes:
        model: `open_clip.CustomTextCLIP`; ``visual.head`` and ``text.proj`` are set by `with_heads`.
        digest: of the trunks and what goes into them.
    """

    def __init__(
        self,
        model: Any,
        transform: Callable[[Image.Image], torch.Tensor],
        tokenizer: Any,
        digest: str,
        config: CatalogueConfig,
    ) -> None:
        self.model, self.transform, self.tokenizer, self.digest, self.config = (
            model,
            transform,
            tokenizer,
            digest,
            config,
        )
        self.device = pick_device(config.device)
        self.model.eval().to(self.device).requires_grad_(False)
        self.blocks = {"image": model.visual.trunk.blocks, "text": model.text.pooler.blocks}

    def features(self, modality: str, inputs: Sequence[Any]) -> Float32:
        """float32[n, sum(blocks)]: what the frozen trunk sees or reads."""
        if modality == "text":
            return self._texts(inputs)
        if self.device.type != "cpu":
            return self._images(inputs)
        return map_pieces(self._images, inputs, torch.get_num_threads())

    @torch.inference_mode()
    def _images(self, images: Sequence[Image.Image]) -> Float32:
        pixels = torch.stack([self.transform(image) for image in images])
        pixels = pixels.to(self.device, memory_format=torch.channels_last)
        return np.asarray(self.model.visual.trunk(pixels).float().cpu().numpy(), dtype=np.float32)

    @torch.inference_mode()
    def _texts(self, texts: Sequence[str]) -> Float32:
        text = self.model.text
        ids = self.tokenizer(list(texts), truncation=True, max_length=self.config.max_length)["input_ids"]
        out = np.empty((len(texts), sum(self.blocks["text"])), np.float32)
        order = np.argsort([len(row) for row in ids], kind="stable")
        size = max(1, TOKENS_AT_ONCE // max(len(row) for row in ids))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            batch = self.tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt").to(self.device)
            states = text.transformer(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
            out[rows] = text.pooler(states, batch["attention_mask"]).float().cpu().numpy()
        return out


def build_towers(image: Weights, text: Weights, config: CatalogueConfig) -> Towers:
    """Both pretrained towers in one open_clip model."""
    trunk = create_model(config.image_model)
    load_weights(trunk, image)
    trunk.reset_classifier(0)
    settings = resolve_data_config({}, model=trunk)  # type: ignore[no-untyped-call]
    size = int(settings["input_size"][-1])
    vision = {"timm_model_name": config.image_model, "timm_proj": "linear", "image_size": size}
    reading = {"hf_model_name": str(text.path), "hf_pooler_type": "mean_pooler", "hf_proj_type": "linear"}
    try:
        with quiet_transformers():
            model = open_clip.CustomTextCLIP(config.dim, vision, reading)
        tokenizer = AutoTokenizer.from_pretrained(text.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # its loaders raise whatever their file formats do
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        fix = "Give a timm model and an encoder of transformers that open_clip knows, such as BERT or RoBERTa."
        raise WeightsError(f"open_clip cannot join the towers ({reason})", where=str(text.path), fix=fix) from error
    model.visual.trunk = StagePool(trunk, size).to(memory_format=torch.channels_last)
    reader = model.text.transformer
    reader.config.output_hidden_states = True
    model.text.pooler = LayerPool(reader.config.num_hidden_layers, reader.config.hidden_size)
    # The whole picture, not its middle: a dress ends at the hem.
    transform = transforms.Compose(
        [
            transforms.Resize((size, size), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(settings["mean"], settings["std"]),
        ]
    )
    digest = content_hash(image.sha256, text.sha256, config.image_model, config.max_length, size)
    return Towers(model, transform, tokenizer, digest, config)


def _thinned(layers: list[int], width: int, room: int) -> list[int]:
    """As many of ``layers`` as fit into ``room``, evenly spaced, the last one always."""
    count = max(1, min(len(layers), room // width))
    if count == 1:
        return layers[-1:]
    return [layers[round(i)] for i in np.linspace(0, len(layers) - 1, count)]

"""An open_clip model that encodes batches of images and of texts."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip  # type: ignore[import-untyped]
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2  # type: ignore[import-untyped]
from PIL import Image
from reasonrec_timm.model import map_pieces
from reasonrec_torch.devices import pick_device
from reasonrec_torch.weights import Weights

from reasonrec_clip.encoder import ClipConfig
from reasonrec_core.errors import ConfigError, WeightsError
from reasonrec_core.types import Float32

PREPROCESSING = ("size", "mean", "std", "interpolation", "resize_mode", "fill_color")
TEXTS_AT_ONCE = 16
CHECKPOINTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")


class ClipModel:
    """Both towers, ready for use.

    Args:
        model: an open_clip model with ``encode_image`` and ``encode_text``.
        transform: image to float32[3, height, width].
        tokenizer: texts to int64[n, tokens].
        device: "auto" or one of torch's.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        transform: Callable[[Image.Image], torch.Tensor],
        tokenizer: Callable[[list[str]], torch.Tensor],
        device: str,
    ) -> None:
        self.device = pick_device(device)
        self.model: Any = model.eval().to(self.device)
        self.transform, self.tokenizer = transform, tokenizer

    def encode_images(self, images: Sequence[Image.Image]) -> Float32:
        """float32[n, d], unit length."""
        if self.device.type != "cpu":
            return self._images(images)
        return map_pieces(self._images, images, torch.get_num_threads())

    @torch.inference_mode()
    def _images(self, images: Sequence[Image.Image]) -> Float32:
        pixels = torch.stack([self.transform(image) for image in images])
        pixels = pixels.to(self.device, memory_format=torch.channels_last)
        return _array(self.model.encode_image(pixels, normalize=True))

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Float32:
        """float32[n, d], unit length; texts beyond the model's context are cut."""
        tokens = self.tokenizer(list(texts))
        size = TEXTS_AT_ONCE if self.device.type == "cpu" else len(tokens)
        parts = [tokens[start : start + size] for start in range(0, len(tokens), size)]
        return np.concatenate([_array(self.model.encode_text(part.to(self.device), normalize=True)) for part in parts])


def load_clip(weights: Weights, config: ClipConfig) -> ClipModel:
    """A whole CLIP from disk; weights that do not fill it are a `WeightsError`."""
    forced: dict[str, Any] = {}
    name = f"local-dir:{weights.path}"
    if config.pretrained is not None:
        name = _architecture(config.model)
        tag = open_clip.get_pretrained_cfg(name, config.pretrained) or {}
        forced = {
            "pretrained": str(_checkpoint(weights.path, tag)),
            "force_preprocess_cfg": {key: tag[key] for key in PREPROCESSING if key in tag},
            "force_quick_gelu": bool(tag.get("quick_gelu")),
        }
    try:
        model = open_clip.create_model(name, require_pretrained=True, weights_only=True, **forced)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # its loaders raise whatever their file formats do
        raise WeightsError(
            f"open_clip cannot load the model ({(str(error).strip() or type(error).__name__).splitlines()[0]})",
            where=str(weights.path),
            fix="Give a folder saved by open_clip, or a checkpoint of exactly the architecture in `model`.",
        ) from error
    transform = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    return ClipModel(model, transform, tokenizer, config.device)


def find_tag_source(model: str, tag: str) -> tuple[str, str]:
    """Hub name and file of one of open_clip's pretrained tags."""
    name = _architecture(model)
    found = open_clip.get_pretrained_cfg(name, tag)
    if not found:
        tags = open_clip.list_pretrained_tags_by_model(name)
        raise ConfigError(
            f"open_clip has no weights {tag!r} for {model}", fix=f"There are: {', '.join(tags) or 'none'}."
        )
    repository, _, file = str(found.get("hf_hub", "")).rpartition("/")
    if not repository:
        fix = f"Download {found.get('url')} and set `pretrained` to the file."
        raise WeightsError("these weights are not on the hub", where=f"{model} {tag}", fix=fix)
    return repository, file or CHECKPOINTS[0]


def _architecture(model: str) -> str:
    name = model.replace("/", "-")
    if open_clip.get_model_config(name) is None:
        near = difflib.get_close_matches(name, open_clip.list_models(), n=3)
        fix = f"Did you mean {' or '.join(near)}?" if near else "`open_clip.list_models()` lists all."
        raise ConfigError(f"open_clip has no architecture {model!r}", fix=fix)
    return name


def _checkpoint(path: Path, tag: dict[str, Any]) -> Path:
    if path.is_file():
        return path
    file = str(tag.get("hf_hub", "")).rpartition("/")[2] or CHECKPOINTS[0]
    return path / file


def _array(tensor: torch.Tensor) -> Float32:
    return np.asarray(tensor.float().cpu().numpy(), dtype=np.float32)

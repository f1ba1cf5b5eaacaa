"""The timm model behind `TimmEncoder`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from reasonrec_torch.devices import pick_device
from reasonrec_torch.weights import PACKAGED, Weights
from safetensors.torch import load_file
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform

from reasonrec_core.errors import ConfigError, WeightsError
from reasonrec_core.types import Float32
from reasonrec_timm.encoder import LITE0, TimmConfig

IMAGES_AT_ONCE = 4
"""Per forward pass and thread on a CPU: activations stay in its caches (64 at once take more than twice as long)."""
Tensors = dict[str, torch.Tensor]


class ImageModel:
    """A timm model without classifier, and its preprocessing."""

    def __init__(self, weights: Weights, config: TimmConfig) -> None:
        self.config = config
        self.device = pick_device(config.device)
        self.dtype: torch.dtype = getattr(torch, config.dtype)
        model = create_model(config.model)
        load_weights(model, weights)
        model.reset_classifier(0)
        size = {} if config.image_size is None else {"img_size": config.image_size}
        settings = resolve_data_config(size, model=model)  # type: ignore[no-untyped-call]
        if config.image_size is not None and hasattr(model, "set_input_size"):
            model.set_input_size(img_size=config.image_size)
        if config.framing == "whole":
            settings |= {"crop_mode": "squash", "crop_pct": 1.0}
        self.transform = create_transform(**settings, is_training=False)
        self.model = model.eval().to(self.device, self.dtype, memory_format=torch.channels_last)
        self.threads = config.threads or torch.get_num_threads()

    def encode(self, images: Sequence[Image.Image]) -> Float32:
        """float32[n, d]; on a CPU every thread prepares and encodes a few images at a time."""
        if not images:
            return np.empty((0, self.model.num_features), np.float32)
        if self.device.type != "cpu":
            return self._forward(images)
        return map_pieces(self._forward, images, self.threads)

    @torch.inference_mode()
    def _forward(self, images: Sequence[Image.Image]) -> Float32:
        pixels = torch.stack([self.transform(image) for image in images])
        pixels = pixels.to(self.device, self.dtype, memory_format=torch.channels_last)
        vectors = self.model(pixels).float()
        if self.config.normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)


def map_pieces(
    forward: Callable[[Sequence[Image.Image]], Float32], images: Sequence[Image.Image], threads: int
) -> Float32:
    """``forward`` over a few images at a time, in ``threads`` threads of one processor each.

    One thread per piece beats several threads inside every small convolution.
    """
    pieces = [images[i : i + IMAGES_AT_ONCE] for i in range(0, len(images), IMAGES_AT_ONCE)]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return np.concatenate(list(pool.map(forward, pieces)))
    finally:
        torch.set_num_threads(before)


def create_model(name: str) -> Any:
    """An untrained timm model; an unknown name is a `ConfigError` with the nearest names."""
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        fix = f"Did you mean {' or '.join(near)}?" if near else "`timm.list_models()` lists all."
        raise ConfigError(f"timm has no model {name!r}", fix=fix)
    try:
        return timm.create_model(name, pretrained=False)
    except RuntimeError as error:  # an unknown tag
        raise ConfigError(f"timm cannot make {name!r} ({error})", fix="`timm.list_pretrained()` lists all.") from error


def find_default_weights(name: str) -> str:
    """The hub name of the weights that timm takes for a model without a tag."""
    create_model(name)
    found = timm.get_pretrained_cfg(name)
    if found is None or not found.hf_hub_id:
        raise WeightsError("timm has no pretrained weights for this model", where=name, fix="Set `checkpoint`.")
    return str(found.hf_hub_id)


def load_weights(model: torch.nn.Module, weights: Weights) -> None:
    """Fill ``model``; anything that does not fit exactly is a `WeightsError`."""
    path = weights.path / "model.safetensors" if weights.path.is_dir() else weights.path
    tensors = read_tensors(path)
    own = model.state_dict()
    if weights.sha256 == PACKAGED[f"timm/{LITE0}"].sha256:
        # The same network under other names: its tensors come in timm's order.
        tensors = dict(zip(own, tensors.values(), strict=True))
    # Whatever a checkpoint's classifier is, it is not used.
    head = tuple(f"{name}." for name in _classifiers(model))
    wanted = {k: v for k, v in own.items() if not k.startswith(head)}
    wrong = [k for k, v in wanted.items() if k not in tensors or tensors[k].shape != v.shape]
    if wrong:
        what = (
            f"{len(wrong)} of the model's {len(wanted)} tensors are missing or have another shape, such as {wrong[0]}"
        )
        raise WeightsError(what, where=str(path), fix="Give a checkpoint of exactly this model.")
    model.load_state_dict({k: tensors[k] for k in wanted}, strict=False)


def read_tensors(path: Path) -> Tensors:
    """The tensors of a .safetensors or .pth file; no code in the file is ever run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise whatever the damage leads to
        raise WeightsError(
            f"cannot be read as a checkpoint ({(str(error).strip() or type(error).__name__).splitlines()[0]})",
            where=str(path),
            fix="Give a .safetensors file, or a .pth file that holds tensors only.",
        ) from error
    for key in ("state_dict_ema", "model_ema", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    return {str(k).removeprefix("module."): v for k, v in content.items() if isinstance(v, torch.Tensor)}


def _classifiers(model: Any) -> tuple[str, ...]:
    found = model.pretrained_cfg.get("classifier") or ()
    return (found,) if isinstance(found, str) else tuple(found)

"""The encoder's settings, weights and fingerprint. Cheap to import: torch and timm are loaded with the first image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from PIL import Image
from pydantic import Field
from reasonrec_torch.weights import Weights, find_weights

from reasonrec_core.components import Encoder, Settings
from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32

if TYPE_CHECKING:
    from reasonrec_timm.model import ImageModel

FORMAT = 1
LITE0 = "tf_efficientnet_lite0.in1k"


class TimmConfig(Settings):
    """Settings of `TimmEncoder`."""

    model: str = Field(LITE0, description="A timm model, with or without the tag of its pretrained weights.")
    checkpoint: str | None = Field(
        None, description="A .safetensors or .pth file (or a folder with model.safetensors) instead of timm's weights."
    )
    revision: str | None = Field(None, description="Branch, tag or commit of the weights on the hub.")
    image_size: int | None = Field(None, ge=16, le=2048, description="Pixels; the model's own size if not set.")
    framing: Literal["crop", "whole"] = Field(
        "crop",
        description="crop: the centre, as the model was trained; whole: the whole picture, squeezed into a square.",
    )
    normalize: bool = Field(True, description="Scale every vector to length 1, so that dot products are cosines.")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16 is about 1.7 times as fast on processors with bf16 units, and less exact."
    )
    device: str = Field("auto", description="'cpu', 'cuda', 'mps', or auto: the fastest available.")
    threads: int | None = Field(None, ge=1, description="Threads on a CPU; torch's default if not set.")


class TimmEncoder(Encoder[TimmConfig]):
    """The pooled features of a timm model, before its classifier, with the model's own preprocessing."""

    Config = TimmConfig
    modality = "image"

    @classmethod
    def weights_info(cls, config: Settings) -> Mapping[str, str]:
        """Where the weights come from."""
        assert isinstance(config, TimmConfig)
        return find_timm_weights(config.model, config.checkpoint, config.revision).info()

    def encode(self, inputs: Sequence[Image.Image]) -> Float32:
        """float32[n, d] for RGB images of any size."""
        return self._model.encode(inputs)

    def fingerprint(self) -> str:
        """Changes with the weights, with every setting that reaches the vectors, and with timm (preprocessing)."""
        settings = self.config.model_dump(mode="json", include={"model", "image_size", "framing", "normalize", "dtype"})
        return content_hash(FORMAT, version("timm"), self._weights.sha256, settings)

    @cached_property
    def _weights(self) -> Weights:
        return find_timm_weights(self.config.model, self.config.checkpoint, self.config.revision)

    @cached_property
    def _model(self) -> ImageModel:
        from reasonrec_timm.model import ImageModel

        return ImageModel(self._weights, self.config)


def find_timm_weights(model: str, checkpoint: str | None = None, revision: str | None = None) -> Weights:
    """The weights of a timm model: a checkpoint, else those that timm names for it, wherever they are found."""
    if checkpoint is not None:
        local = checkpoint if checkpoint.startswith(("/", ".", "~")) else f"./{checkpoint}"
        return find_weights(local, files=("*.safetensors",))
    name = f"timm/{model}" if "." in model else _default_weights(model)
    return find_weights(name, files=("*.safetensors", "config.json"), needs=("model.safetensors",), revision=revision)


def _default_weights(model: str) -> str:
    """Which weights timm takes for a model without a tag; only timm knows."""
    from reasonrec_timm.model import find_default_weights

    return find_default_weights(model)

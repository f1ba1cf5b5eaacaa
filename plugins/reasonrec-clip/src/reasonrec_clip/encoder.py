"""CLIP as it comes. Cheap to import: torch and open_clip are loaded with the first input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from reasonrec_torch.weights import Weights, find_weights

from reasonrec_core.components import Encoder, Settings
from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32

if TYPE_CHECKING:
    from reasonrec_clip.model import ClipModel

FORMAT = 1
FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
NEEDS = ("open_clip_config.json", "*.safetensors")


class ClipConfig(Settings):
    """Settings of `ClipEncoder`."""

    model: str = Field(
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        description="A hub name or a folder with open_clip_config.json; with `pretrained`: an architecture's name.",
    )
    pretrained: str | None = Field(
        None, description="For an architecture of open_clip: a pretrained tag, or the path of a checkpoint."
    )
    modality: Literal["image", "text"] = Field("image", description="What to encode: the item's text or its image.")
    revision: str | None = Field(None, description="Branch, tag or commit on the hub.")
    fields: tuple[str, ...] | None = Field(
        None, description="Item fields that form the text, in this order; all text fields if not set."
    )
    prompt: str = Field("{}", pattern=r"\{\}", description="Template for a text, such as 'a photo of {}'.")
    device: str = Field("auto", description="'cpu', 'cuda', 'mps', or auto: the fastest available.")


class ClipEncoder(Encoder[ClipConfig]):
    """One tower of a CLIP model; both towers' unit vectors lie in one space (Radford et al., 2021)."""

    Config = ClipConfig

    def __init__(self, config: ClipConfig) -> None:
        super().__init__(config)
        self.modality = config.modality

    @classmethod
    def weights_info(cls, config: Settings) -> Mapping[str, str]:
        """Where the weights come from."""
        assert isinstance(config, ClipConfig)
        return find_clip_weights(config).info()

    def encode(self, inputs: Sequence[Any]) -> Float32:
        """float32[n, d], unit length."""
        if self.modality == "image":
            return self._model.encode_images(inputs)
        return self._model.encode_texts([self.config.prompt.replace("{}", text) for text in inputs])

    def fingerprint(self) -> str:
        """Changes with the weights, with every setting that reaches the vectors, and with open_clip."""
        settings = self.config.model_dump(mode="json", include={"modality", "prompt"})
        # A folder says itself which architecture it holds; a checkpoint does not.
        architecture = self.config.model if self.config.pretrained else None
        return content_hash(FORMAT, version("open_clip_torch"), self._weights.sha256, architecture, settings)

    @cached_property
    def _weights(self) -> Weights:
        return find_clip_weights(self.config)

    @cached_property
    def _model(self) -> ClipModel:
        from reasonrec_clip.model import load_clip

        return load_clip(self._weights, self.config)


def find_clip_weights(config: ClipConfig) -> Weights:
    """A folder (here or from the hub), a checkpoint, or the file behind one of open_clip's pretrained tags."""
    if config.pretrained is None:
        return find_weights(config.model, files=FILES, needs=NEEDS, revision=config.revision)
    if Path(config.pretrained).expanduser().exists() or "/" in config.pretrained:
        return find_weights(str(Path(config.pretrained).expanduser().absolute()), files=FILES)
    from reasonrec_clip.model import find_tag_source

    name, file = find_tag_source(config.model, config.pretrained)
    return find_weights(name, files=(file,), needs=(file,), revision=config.revision)

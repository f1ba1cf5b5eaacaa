"""The encoder's settings, weights and fingerprint. Cheap to import: torch is loaded with the first item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from reasonrec_torch.pretrained import CHAT_MODEL_FILES, find_model
from reasonrec_torch.weights import Weights

from reasonrec_core.components import Encoder, ItemInput, Settings
from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32

if TYPE_CHECKING:
    from reasonrec_llava.model import VisionLanguageModel

FORMAT = 1
LLAVA = "llava-hf/llava-1.5-7b-hf"


class LlavaConfig(Settings):
    """Settings of `LlavaEncoder`."""

    model: str = Field(LLAVA, description="Hub name or folder of an image-text-to-text model (transformers).")
    revision: str | None = Field(None, description="Branch, tag or commit on the hub.")
    modality: Literal["item", "image", "text"] = Field(
        "item", description="What is read of an item; item: its image and its text, or whichever it has."
    )
    fields: tuple[str, ...] | None = Field(
        None, description="Item fields that form the text, in this order; all text fields if not set."
    )
    prompt: str = Field(
        "Product: {}\nDescribe in one word what kind of product this is and who wants it.",
        pattern=r"\{\}",
        description="The question to the model; {} stands for the text of the item.",
    )
    max_characters: int = Field(1000, ge=8, description="Most characters of an item's text; the rest is cut.")
    layer: int = Field(-1, description="Layer whose states are used: -1 the last, -2 the one before.")
    pooling: Literal["last", "mean"] = Field(
        "last", description="last: the state just before the answer; mean: the mean over all positions."
    )
    normalize: bool = Field(True, description="Scale every vector to length 1.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Number type of the weights; auto: bfloat16 on a GPU that supports it, otherwise float32."
    )
    device: str = Field("auto", description="'cpu', 'cuda', 'mps', or auto: the fastest available.")
    batch: int = Field(8, ge=1, description="Items per forward pass.")


class LlavaEncoder(Encoder[LlavaConfig]):
    """Hidden states of a vision-language model that is shown an item (LLaVA: Liu et al., 2023)."""

    Config = LlavaConfig

    def __init__(self, config: LlavaConfig) -> None:
        super().__init__(config)
        self.modality = config.modality

    @classmethod
    def weights_info(cls, config: Settings) -> Mapping[str, str]:
        """Where the weights come from."""
        assert isinstance(config, LlavaConfig)
        return _weights(config).info()

    def encode(self, inputs: Sequence[Any]) -> Float32:
        """float32[n, d], in the order of ``inputs``."""
        return self._model.encode([self._item(each) for each in inputs])

    def fingerprint(self) -> str:
        """Changes with the weights, with every setting that reaches the vectors, and with transformers' version."""
        settings = self.config.model_dump(mode="json", exclude={"model", "revision", "fields", "device", "batch"})
        return content_hash(FORMAT, version("transformers").split(".")[0], self._weights.sha256, settings)

    def _item(self, given: Any) -> ItemInput:
        if self.modality == "item":
            assert isinstance(given, ItemInput)
            return given
        return ItemInput(given, None) if self.modality == "image" else ItemInput(None, given)

    @cached_property
    def _weights(self) -> Weights:
        return _weights(self.config)

    @cached_property
    def _model(self) -> VisionLanguageModel:
        from reasonrec_llava.model import VisionLanguageModel

        return VisionLanguageModel(self._weights.path, self.config)


def _weights(config: LlavaConfig) -> Weights:
    return find_model(config.model, config.revision, CHAT_MODEL_FILES)

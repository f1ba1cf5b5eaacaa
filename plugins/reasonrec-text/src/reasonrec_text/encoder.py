"""The encoder's settings, weights and fingerprint. Cheap to import: torch is loaded with the first text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pydantic import Field
from reasonrec_torch.pretrained import find_model
from reasonrec_torch.weights import Weights

from reasonrec_core.components import Encoder, Settings
from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32

if TYPE_CHECKING:
    from reasonrec_text.model import SentenceModel

FORMAT = 1
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


class TextConfig(Settings):
    """Settings of `TextEncoder`."""

    model: str = Field(MINILM, description="Hub name of a transformers model, or a folder that holds one.")
    revision: str | None = Field(None, description="Branch, tag or commit on the hub.")
    fields: tuple[str, ...] | None = Field(
        None, description="Item fields that form the text, in this order; all text fields if not set."
    )
    prefix: str = Field("", description="Put before every text; E5 models need 'passage: '.")
    max_length: int = Field(
        256, ge=8, description="Tokens per text; longer texts are cut (the model's own limit applies too)."
    )
    pooling: Literal["auto", "mean", "cls"] = Field(
        "auto",
        description="How token vectors become one; auto: as in the model's own pooling file, otherwise the mean.",
    )
    normalize: bool = Field(True, description="Scale every vector to length 1, so that dot products are cosines.")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="bfloat16 is almost twice as fast on processors with bf16 units (cosine to float32 > .999).",
    )
    device: str = Field("auto", description="'cpu', 'cuda', 'mps', or auto: the fastest available.")


class TextEncoder(Encoder[TextConfig]):
    """Sentence vectors from a transformers model: tokens encoded, pooled, normalised (Reimers & Gurevych, 2019)."""

    Config = TextConfig
    modality = "text"

    @classmethod
    def weights_info(cls, config: Settings) -> Mapping[str, str]:
        """Where the weights come from."""
        assert isinstance(config, TextConfig)
        return _weights(config).info()

    def encode(self, inputs: Sequence[str]) -> Float32:
        """float32[n, d], in the order of ``inputs``."""
        return self._model.encode(inputs)

    def fingerprint(self) -> str:
        """Changes with the weights and with every setting that reaches the vectors."""
        settings = self.config.model_dump(mode="json", exclude={"model", "revision", "fields", "device"})
        return content_hash(FORMAT, self._weights.sha256, settings)

    @cached_property
    def _weights(self) -> Weights:
        return _weights(self.config)

    @cached_property
    def _model(self) -> SentenceModel:
        from reasonrec_text.model import SentenceModel

        return SentenceModel(self._weights.path, self.config)


def _weights(config: TextConfig) -> Weights:
    return find_model(config.model, config.revision)

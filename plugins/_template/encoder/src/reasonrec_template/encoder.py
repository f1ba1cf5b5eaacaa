"""An encoder: item text or pictures to vectors. The core batches, caches and resumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from reasonrec_core.components import Encoder, Settings
from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32


class TemplateConfig(Settings):
    """What a pipeline file may set."""

    levels: int = Field(4, ge=2, le=16, description="Levels per colour channel; a vector has three times as many.")


class Template(Encoder[TemplateConfig]):
    """How often each level of red, green and blue occurs, as a share of the pixels."""

    Config = TemplateConfig
    modality = "image"

    def encode(self, inputs: Sequence[Any]) -> Float32:
        """float32[n, 3 * levels] for n RGB pictures; each channel's levels sum to 1."""
        levels = self.config.levels
        vectors = np.empty((len(inputs), 3, levels), dtype=np.float32)
        for row, picture in enumerate(inputs):
            pixels = np.asarray(picture, dtype=np.int64).reshape(-1, 3) * levels // 256
            for channel in range(3):
                vectors[row, channel] = np.bincount(pixels[:, channel], minlength=levels) / len(pixels)
        return vectors.reshape(len(inputs), 3 * levels)

    def fingerprint(self) -> str:
        """Change the number when the code changes what it computes: cached vectors are then made anew."""
        return content_hash("template", 1, self.config.model_dump())

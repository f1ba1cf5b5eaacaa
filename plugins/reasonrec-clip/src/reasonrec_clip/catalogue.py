"""CLIP made of two pretrained towers and tuned on the user's items. Cheap to import; torch is loaded when needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field
from reasonrec_text.encoder import MINILM
from reasonrec_timm.encoder import LITE0, find_timm_weights
from reasonrec_torch.pretrained import find_model
from reasonrec_torch.weights import Weights

from reasonrec_core.components import Encoder, FitData, Settings
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import PluginError
from reasonrec_core.io import content_hash, read_json, sha256_of, write_json
from reasonrec_core.types import Float32

if TYPE_CHECKING:
    from reasonrec_clip.towers import Towers
    from reasonrec_clip.tuning import TunedTowers

FORMAT = 1
HEADS, REPORT = "heads.safetensors", "report.json"


class CatalogueConfig(Settings):
    """Settings of `CatalogueClip`."""

    modality: Literal["image", "text"] = Field("image", description="What to encode: the item's text or its image.")
    fields: tuple[str, ...] | None = Field(
        None, description="Item fields that form the text, in this order; all text fields if not set."
    )
    image_model: str = Field(LITE0, description="Image tower: a model of timm.")
    image_checkpoint: str | None = Field(
        None, description="A checkpoint for the image tower, instead of timm's weights."
    )
    text_model: str = Field(MINILM, description="Text tower: hub name or folder of a transformers model.")
    max_length: int = Field(128, ge=8, description="Tokens per text; longer texts are cut.")
    dim: int = Field(256, ge=2, le=4096, description="Dimensions of the common space.")
    epochs: int = Field(12, ge=0, description="Epochs of contrastive tuning; 0 keeps the closed-form start.")
    batch_size: int = Field(256, ge=8, description="Pairs per batch that are contrasted with each other.")
    learning_rate: float = Field(1e-4, gt=0, description="Learning rate (AdamW), with cosine decay.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout on the towers' features during tuning.")
    temperature: float = Field(0.07, gt=0, description="Starting temperature of the contrastive loss.")
    shrinkage: float = Field(
        0.3, gt=0, description="Ridge penalty of the closed-form start, relative to the mean variance."
    )
    held_out: float = Field(
        0.1, ge=0, lt=0.9, description="Share of the items held out of a first tuning, to report recall on."
    )
    device: str = Field("auto", description="'cpu', 'cuda', 'mps', or auto: the fastest available.")


class CatalogueClip(Encoder[CatalogueConfig]):
    """A dual encoder over frozen towers whose heads are learned from the items' own pairs of image and text.

    Image tower: what all stages of a timm model see (means and deviations). Text tower: what all layers of a
    transformer read (means over tokens): early layers know colours and words, late ones kinds and meanings. Heads
    start as regularised canonical correlations and are tuned with open_clip's contrastive loss (Radford et al., 2021;
    frozen towers as in Zhai et al., 2022). Both sides' unit vectors lie in one space.
    """

    Config = CatalogueConfig

    def __init__(self, config: CatalogueConfig) -> None:
        super().__init__(config)
        self.modality = config.modality
        self.report: dict[str, Any] = {}
        self._tuned: TunedTowers | None = None
        self._heads: Path | None = None

    @classmethod
    def weights_info(cls, config: Settings) -> Mapping[str, str]:
        """Where both towers' weights come from."""
        assert isinstance(config, CatalogueConfig)
        towers = {"image": _image_weights(config).info(), "text": _text_weights(config).info()}
        keys = dict.fromkeys(key for described in towers.values() for key in described)
        return {
            key: "; ".join(f"{side}: {described.get(key, '')}" for side, described in towers.items()) for key in keys
        }

    def fit(self, data: FitData) -> None:
        """Learn the heads from the items that have both an image and a text. Interactions are not looked at."""
        from reasonrec_clip.tuning import tune_towers

        self._tuned = tune_towers(data, self.config, self._towers)
        self.report = self._tuned.report

    def encode(self, inputs: Sequence[Any]) -> Float32:
        """float32[n, d], unit length."""
        return self._ready.encode(self.modality, inputs)

    def fingerprint(self) -> str:
        """Changes with the towers' weights, the learned heads and the settings."""
        settings = self.config.model_dump(mode="json", include={"modality", "image_model", "max_length"})
        towers = [_image_weights(self.config).sha256, _text_weights(self.config).sha256]
        heads = self._tuned.digest if self._tuned else self._heads and sha256_of(self._heads)
        return content_hash(FORMAT, version("timm"), towers, heads, settings)

    def save(self, folder: Path) -> None:
        """Write the heads; the towers' weights stay where they are."""
        super().save(folder)
        if self._tuned is None and self._heads is None:
            raise self._unfitted()
        (folder / HEADS).write_bytes(self._ready.to_bytes())
        write_json(folder / REPORT, self.report)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote; the towers are loaded when something is encoded."""
        made = super().load(folder, catalog)
        made._heads, made.report = folder / HEADS, read_json(folder / REPORT)
        return made

    @property
    def _ready(self) -> TunedTowers:
        if self._tuned is None:
            if self._heads is None:
                raise self._unfitted()
            from reasonrec_clip.tuning import TunedTowers

            self._tuned = TunedTowers.from_bytes(self._heads.read_bytes(), self._towers, self.report)
        return self._tuned

    @cached_property
    def _towers(self) -> Towers:
        from reasonrec_clip.towers import build_towers

        return build_towers(_image_weights(self.config), _text_weights(self.config), self.config)

    def _unfitted(self) -> PluginError:
        return PluginError(
            "clip-catalogue learns from the catalogue, but was not fitted", fix="Call fit or load first."
        )


def _image_weights(config: CatalogueConfig) -> Weights:
    return find_timm_weights(config.image_model, config.image_checkpoint)


def _text_weights(config: CatalogueConfig) -> Weights:
    return find_model(config.text_model)

"""Towers with heads learned from a catalogue: how they are made, kept and used."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from reasonrec_clip.catalogue import CatalogueConfig
from reasonrec_clip.learning import Heads, draw_held_out, learn_heads, measure_recall, project
from reasonrec_clip.towers import Head, Towers
from reasonrec_core.components import Encoder, FitData, Settings
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.images import ImageRefused
from reasonrec_core.errors import DataError, WeightsError
from reasonrec_core.io import content_hash
from reasonrec_core.observe import observe_items
from reasonrec_core.observe.inputs import READERS, ImageInputs, TextInputs
from reasonrec_core.types import Bool, Float32, Progress, no_progress

Seen = tuple[dict[bytes, int], Float32]
MIN_PAIRS = 8
MIN_HELD_OUT = 20


@dataclass
class TunedTowers:
    """Towers with learned heads.

    Attributes:
        heads: by modality.
        report: how it was learned: pairs, recall on held-out items.
        seen: the trunk's features of inputs that were met while fitting, by digest and row.
    """

    towers: Towers
    heads: Heads
    logit_scale: torch.Tensor
    report: dict[str, Any]
    seen: dict[str, Seen] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of the learned tensors."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def encode(self, modality: str, inputs: Sequence[Any]) -> Float32:
        """float32[n, dim], unit length."""
        index, rows = self.seen.get(modality, ({}, np.empty((0, 0), np.float32)))
        at = [index.get(compute_digest(value), -1) for value in inputs]
        new = [i for i, row in enumerate(at) if row < 0]
        features = np.empty((len(inputs), sum(self.towers.blocks[modality])), np.float32)
        old = [i for i, row in enumerate(at) if row >= 0]
        if old:
            features[old] = rows[[at[i] for i in old]]
        if new:
            features[new] = self.towers.features(modality, [inputs[i] for i in new])
        return project(self.heads[modality], torch.from_numpy(features)).numpy()

    def clip_model(self) -> Any:
        """The whole as open_clip's `CustomTextCLIP`, heads in place: for use outside, or to be tuned further."""
        model = self.towers.model
        model.visual.head, model.text.proj = self.heads["image"], self.heads["text"]
        model.logit_scale.data.copy_(self.logit_scale)
        return model

    def to_bytes(self) -> bytes:
        """The learned tensors in safetensors format."""
        tensors = {f"{side}.{k}": v.contiguous() for side, h in self.heads.items() for k, v in h.state_dict().items()}
        return save(tensors | {"logit_scale": self.logit_scale.reshape(())})

    @classmethod
    def from_bytes(cls, data: bytes, towers: Towers, report: dict[str, Any]) -> TunedTowers:
        """Read what `to_bytes` gave; heads that do not fit the towers are a `WeightsError`."""
        tensors = load(data)
        scale = tensors.pop("logit_scale")
        heads: Heads = {}
        try:
            for side, blocks in towers.blocks.items():
                own = {k.removeprefix(f"{side}."): v for k, v in tensors.items() if k.startswith(f"{side}.")}
                heads[side] = Head(sum(blocks), len(own["2.weight"]), 0.0).eval()
                heads[side].load_state_dict(own)
        except (KeyError, RuntimeError) as error:
            raise WeightsError("the saved heads do not fit these towers", fix="Fit again.") from error
        return cls(towers, heads, scale, report)


_RECENT: dict[str, TunedTowers] = {}
"""The last catalogue that was learned, so that its image and its text encoder are learned once, and alike."""


def tune_towers(data: FitData, config: CatalogueConfig, towers: Towers) -> TunedTowers:
    """Learn the heads from a catalogue.

    Raises:
        DataError: fewer than eight items have both an image and a text.
    """
    images, texts = ImageInputs(data.catalog), TextInputs(data.catalog.texts(config.fields))
    settings = config.model_dump(mode="json", exclude={"modality", "device"})
    key = content_hash(settings, images.keys.tobytes(), texts.keys.tobytes(), data.seed, towers.digest)
    if key not in _RECENT:
        kept = data.cache or data.workdir
        features, both = compute_trunk_features(data.catalog, config, towers, kept, data.progress)
        tuned = _tuned(data, config, towers, features, both)
        read = [None if text is None else compute_digest(text) for text in texts.texts]
        tuned.seen = {"image": _index(_digests(images), features["image"]), "text": _index(read, features["text"])}
        _RECENT.clear()
        _RECENT[key] = tuned
    return _RECENT[key]


def compute_trunk_features(
    catalog: Catalog, config: CatalogueConfig, towers: Towers, cache: Path | None, progress: Progress = no_progress
) -> tuple[dict[str, Float32], Bool]:
    """What the frozen trunks make of all items, by modality, and bool[n_items]: which items have both."""
    with tempfile.TemporaryDirectory() as temporary:
        trunks = {"image": _Trunk(towers, "image"), "text": _Trunk(towers, "text", config.fields)}
        observed = observe_items(catalog, trunks, cache or Path(temporary), progress=progress)
        features = {side: values if cache else np.array(values) for side, values in observed.features.items()}
    return features, observed.present["image"] & observed.present["text"]


def _tuned(
    data: FitData, config: CatalogueConfig, towers: Towers, features: dict[str, Float32], both: Bool
) -> TunedTowers:
    rows = np.flatnonzero(both)
    if len(rows) < MIN_PAIRS:
        what = f"only {len(rows)} items have both an image and a text, but clip-catalogue needs at least {MIN_PAIRS}"
        raise DataError(what, fix="Use the encoders `timm` and `text`, which need no fitting.")
    pairs = {side: torch.from_numpy(np.asarray(values[rows])) for side, values in features.items()}
    held_out = draw_held_out([data.catalog.titles[row] for row in rows], config.held_out, data.seed)
    report: dict[str, Any] = {"pairs": len(rows), "held_out": int(held_out.sum())}
    if MIN_HELD_OUT <= held_out.sum() <= len(rows) - MIN_PAIRS:
        test = {side: values[held_out] for side, values in pairs.items()}
        heads, _ = learn_heads(
            {side: values[~held_out] for side, values in pairs.items()}, towers, config, data.seed, data.progress
        )
        report["recall"] = measure_recall(project(heads["image"], test["image"]), project(heads["text"], test["text"]))
    heads, scale = learn_heads(pairs, towers, config, data.seed, data.progress)
    return TunedTowers(towers, heads, scale, report)


def compute_digest(value: Any) -> bytes:
    """Of an input as encoders get it."""
    data = value.encode("utf-8", "replace") if isinstance(value, str) else b"%d %d " % value.size + value.tobytes()
    return hashlib.blake2b(data, digest_size=16).digest()


class _TrunkConfig(Settings):
    fields: tuple[str, ...] | None = None


class _Trunk(Encoder[_TrunkConfig]):
    """A frozen trunk as an encoder, so that the core batches, caches and resumes it."""

    def __init__(self, towers: Towers, modality: str, fields: tuple[str, ...] | None = None) -> None:
        super().__init__(_TrunkConfig(fields=fields))
        self.towers, self.modality = towers, modality

    def encode(self, inputs: Sequence[Any]) -> Float32:
        return self.towers.features(self.modality, inputs)

    def fingerprint(self) -> str:
        return self.towers.digest


def _digests(images: ImageInputs) -> list[bytes | None]:
    """Of all pictures as encoders get them; None where there is none to get."""

    def one(item: int) -> bytes | None:
        try:
            return compute_digest(images.load(item)) if images.keys[item] else None
        except ImageRefused:
            return None

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(one, range(len(images.keys))))


def _index(digests: Sequence[bytes | None], rows: Float32) -> Seen:
    return {digest: row for row, digest in enumerate(digests) if digest is not None}, rows

"""Two towers brought into one space on a catalogue: what is learned holds for items that were not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw
from reasonrec_clip.catalogue import CatalogueClip, CatalogueConfig

from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError, PluginError, WeightsError
from reasonrec_core.testing import EncoderConformance
from reasonrec_core.types import Interactions, Observation

COLOURS = {"red": (210, 30, 30), "green": (30, 160, 50), "blue": (40, 60, 210), "yellow": (230, 210, 40)}
SHAPES = ("disc", "square", "stripe")
FAST = {"dim": 16, "epochs": 3, "device": "cpu"}


def picture(colour: str, shape: str, random: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (48, 64), "white")
    draw = ImageDraw.Draw(image)
    x, y = random.integers(2, 14, 2)
    fill = tuple(int(np.clip(c + random.integers(-15, 16), 0, 255)) for c in COLOURS[colour])
    if shape == "disc":
        draw.ellipse((x, y, x + 30, y + 30), fill)
    elif shape == "square":
        draw.rectangle((x, y, x + 30, y + 30), fill)
    else:
        for k in range(4):
            draw.rectangle((x, y + 10 * k, x + 30, y + 10 * k + 4), fill)
    return image


def catalogue(folder: Path, count: int = 120, seed: int = 0) -> Catalog:
    """Items whose picture shows what their text says: colour, shape, and a serial number that no picture shows."""
    random = np.random.default_rng(seed)
    folder.mkdir()
    texts, images = [], []
    for number in range(count):
        colour, shape = random.choice(list(COLOURS)), random.choice(SHAPES)
        picture(colour, shape, random).save(folder / f"{number}.png")
        texts.append(f"{colour} {shape} {number}")
        images.append(f"{number}.png")
    ids = [f"i{n}" for n in range(count)]
    return Catalog(pa.table({"item_id": ids, "title": texts, "image": images}), folder)


def fit_data(catalog: Catalog, **more: Any) -> FitData:
    none = np.zeros(0, np.int32)
    train = Interactions(none, none, none.astype(np.int64))
    return FitData(catalog, 0, train, None, Observation({}, {}, np.zeros(0, np.float32)), **more)


def made(towers: dict[str, str], **settings: object) -> CatalogueClip:
    return CatalogueClip(CatalogueConfig.model_validate({**towers, **FAST, **settings}))


class Tiny(EncoderConformance):
    component = "clip-catalogue"
    modality: ClassVar[str]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _settings(cls, tiny_towers: dict[str, str]) -> None:
        cls.settings = {**tiny_towers, **FAST, "modality": cls.modality}


class TestImages(Tiny):
    modality = "image"


class TestTexts(Tiny):
    modality = "text"


def test_pictures_find_the_words_for_what_they_show_on_unseen_items(
    tiny_towers: dict[str, str], tmp_path: Path
) -> None:
    data = fit_data(catalogue(tmp_path / "images"))
    image, text = made(tiny_towers, held_out=0.3), made(tiny_towers, held_out=0.3, modality="text")
    image.fit(data)
    text.fit(data)
    random = np.random.default_rng(99)
    words = [(c, s) for c in COLOURS for s in SHAPES]
    seen = image.encode([picture(c, s, random) for c, s in words for _ in range(5)])
    read = text.encode([f"{c} {s}" for c, s in words])
    found = [words[i] for i in (seen @ read.T).argmax(axis=1)]
    right = np.mean([a == b for a, b in zip(found, [w for w in words for _ in range(5)], strict=True)])
    assert right > 0.9  # chance: 0.083
    assert image.report["pairs"] == 120
    assert image.report["recall"]["recall@10"] > 2 * 10 / image.report["held_out"]
    assert image.fingerprint() != text.fingerprint()


def test_shuffled_pairs_teach_nothing(tiny_towers: dict[str, str], tmp_path: Path) -> None:
    right = catalogue(tmp_path / "images")
    titles = np.random.default_rng(1).permutation(right.titles).tolist()
    wrong = Catalog(right.table.set_column(1, "title", pa.array(titles)), right.images)
    encoder = made(tiny_towers, held_out=0.3)
    encoder.fit(fit_data(wrong))
    assert encoder.report["recall"]["recall@10"] < 1.8 * 10 / encoder.report["held_out"]


def test_the_towers_run_once_per_item_and_both_sides_learn_once(
    tiny_towers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reasonrec_clip import tuning
    from reasonrec_clip.towers import Towers

    monkeypatch.setattr(tuning, "_RECENT", {})
    inputs: list[str] = []
    features = Towers.features

    def counted(self: Towers, modality: str, some: Any) -> Any:
        inputs.extend([modality] * len(some))
        return features(self, modality, some)

    monkeypatch.setattr(Towers, "features", counted)
    catalog = catalogue(tmp_path / "images", 30)
    data = fit_data(catalog, cache=tmp_path / "cache")
    image, text = made(tiny_towers), made(tiny_towers, modality="text")
    image.fit(data)
    text.fit(data)
    image.encode([Image.open(tmp_path / "images" / f"{n}.png").convert("RGB") for n in range(30)])
    text.encode([t for t in catalog.texts() if t])
    assert (inputs.count("image"), inputs.count("text")) == (30, 30)
    monkeypatch.setattr(tuning, "_RECENT", {})  # as in a later process
    made(tiny_towers).fit(data)
    assert len(inputs) == 60


def test_the_whole_is_an_open_clip_model(tiny_towers: dict[str, str], tmp_path: Path) -> None:
    import open_clip
    import torch

    image, text = made(tiny_towers), made(tiny_towers, modality="text")
    data = fit_data(catalogue(tmp_path / "images", 30))
    image.fit(data)
    text.fit(data)
    model, towers = image._ready.clip_model(), image._ready.towers
    assert isinstance(model, open_clip.CustomTextCLIP)
    random = np.random.default_rng(5)
    pictures = [picture("red", shape, random) for shape in SHAPES]
    words = ["red disc", "a much longer text than the others", "blue"]
    tokens = towers.tokenizer(words, padding=True, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        seen = model.encode_image(torch.stack([towers.transform(p) for p in pictures]), normalize=True).numpy()
        read = model.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(image.encode(pictures), seen, atol=1e-5)
    np.testing.assert_allclose(text.encode(words), read, atol=1e-5)


def test_it_must_be_fitted_and_needs_pairs(tiny_towers: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="was not fitted"):
        made(tiny_towers).encode(["x"])
    with pytest.raises(DataError, match="only 5 items have both"):
        made(tiny_towers).fit(fit_data(catalogue(tmp_path / "images", 5)))


def test_heads_of_other_towers_are_refused(tiny_towers: dict[str, str], tmp_path: Path) -> None:
    encoder = made(tiny_towers)
    catalog = catalogue(tmp_path / "images", 30)
    encoder.fit(fit_data(catalog))
    folder = tmp_path / "saved"
    folder.mkdir()
    encoder.save(folder)
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "heads.safetensors")
    tensors["image.2.weight"] = tensors["image.2.weight"][:, :-1].contiguous()
    save_file(tensors, folder / "heads.safetensors")
    loaded = CatalogueClip.load(folder, catalog)
    assert loaded.fingerprint() != encoder.fingerprint()
    with pytest.raises(WeightsError, match="do not fit these towers"):
        loaded.encode([Image.new("RGB", (8, 8))])

"""Hidden states of small real LLaVA models: what transformers gives, independent of batching and padding."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from reasonrec_llava.encoder import LlavaConfig, LlavaEncoder

from reasonrec_core.components import ItemInput
from reasonrec_core.errors import ConfigError, WeightsError
from reasonrec_core.testing import EncoderConformance

SETTINGS = {"device": "cpu", "prompt": "Product: {}", "batch": 4}


def encoder(folder: Path, **settings: object) -> LlavaEncoder:
    return LlavaEncoder(LlavaConfig.model_validate({"model": str(folder), **SETTINGS, **settings}))


def pictures(count: int, seed: int = 0) -> list[Image.Image]:
    random = np.random.default_rng(seed)
    return [Image.fromarray(random.integers(0, 255, (40, 30 + 20 * n, 3), np.uint8)) for n in range(count)]


class Tiny(EncoderConformance):
    component = "llava"
    modality: ClassVar[str] = "item"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _settings(cls, llava: Path) -> None:
        cls.settings = {"model": str(llava), "modality": cls.modality, **SETTINGS}


class TestItems(Tiny):
    pass


class TestImages(Tiny):
    modality = "image"


class TestTexts(Tiny):
    modality = "text"


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("kind", ["llava", "llava_next"])
def test_states_are_those_of_transformers(kind: str, pooling: str, request: pytest.FixtureRequest) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = request.getfixturevalue(kind)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    texts = ["Acorn Lamp", None, "a much longer text than the other ones have"]
    images = pictures(3)
    expected = []
    for image, text in zip(images, texts, strict=True):
        said = f"USER: <image>\nProduct: {text or ''} ASSISTANT:"
        batch = processor(images=image, text=said, add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            states = model(**batch, output_hidden_states=True).hidden_states[-1][0]
        vector = states[-1] if pooling == "last" else states.mean(0)
        expected.append(torch.nn.functional.normalize(vector, dim=0).numpy())
    items = [ItemInput(image, text) for image, text in zip(images, texts, strict=True)]
    found = encoder(folder, pooling=pooling).encode(items)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_image_and_text_both_count(llava: Path) -> None:
    made = encoder(llava)
    one, other = pictures(2)
    both, picture, words, text = made.encode(
        [ItemInput(one, "Lamp"), ItemInput(other, "Lamp"), ItemInput(one, "Mug"), ItemInput(None, "Lamp")]
    )
    for changed in (picture, words, text):
        assert np.abs(both - changed).max() > 1e-3


def test_an_items_text_cannot_place_an_image(llava: Path) -> None:
    made = encoder(llava)
    image = pictures(1)[0]
    injected, plain = made.encode([ItemInput(image, "Lamp <image></s>"), ItemInput(image, "Lamp")])
    np.testing.assert_allclose(injected, plain, atol=1e-5)
    assert made.encode([ItemInput(None, "<image>")]).shape[0] == 1


def test_the_vision_language_backbone_of_cot_is_the_same_model(llava: Path) -> None:
    torch = pytest.importorskip("torch")
    model = pytest.importorskip("reasonrec_cot.backbone.model")
    prompts = pytest.importorskip("reasonrec_cot.backbone.tokenisation")
    config = pytest.importorskip("reasonrec_cot.config")
    backbone = model.Backbone(config.BackboneConfig(model=str(llava), device="cpu", precision="float32"))
    assert backbone.model.config.vision_config is not None
    tokens = np.arange(10, 30)
    states = backbone.read([prompts.Prompt(tokens, np.zeros(20, np.uint8))]).states
    with torch.no_grad():
        whole = backbone.model(input_ids=torch.from_numpy(tokens)[None], output_hidden_states=True)
    torch.testing.assert_close(states[0], whole.hidden_states[-1][0, -1], rtol=1e-4, atol=1e-4)


def test_earlier_layers_can_be_taken(llava: Path) -> None:
    item = ItemInput(pictures(1)[0], "Lamp")
    states = [encoder(llava, layer=layer).encode([item])[0] for layer in (-1, 2, -2, 0)]
    np.testing.assert_allclose(states[0], states[1], atol=1e-5)  # of two layers the second is the last
    assert np.abs(states[1] - states[2]).max() > 1e-2
    with pytest.raises(ConfigError, match="no layer 3"):
        encoder(llava, layer=3).encode([item])


def test_what_is_no_vision_language_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 32)
    with pytest.raises(WeightsError, match="transformers cannot load the model"):
        encoder(tmp_path).encode([ItemInput(None, "x")])


def test_a_local_model_is_fingerprinted_without_torch(llava: Path) -> None:
    code = (
        "import sys; from reasonrec_llava.encoder import LlavaConfig, LlavaEncoder as E;"
        f"config = LlavaConfig(model={str(llava)!r}); E.weights_info(config); E(config).fingerprint();"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""CLIP from a local checkpoint: both towers as open_clip computes them, in one space."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reasonrec_clip.encoder import ClipConfig, ClipEncoder

from reasonrec_core.errors import ConfigError, WeightsError
from reasonrec_core.testing import EncoderConformance

TEXTS = ["a red dress", "blue jeans", "a red dress"]


def clip(model: Path | str, **settings: object) -> ClipEncoder:
    return ClipEncoder(ClipConfig.model_validate({"model": str(model), "device": "cpu", **settings}))


def pictures(count: int, seed: int = 0) -> list[Image.Image]:
    random = np.random.default_rng(seed)
    shapes = random.integers(20, 90, (count, 2))
    return [Image.fromarray(random.integers(0, 255, (h, w, 3), np.uint8)) for h, w in shapes]


class TinyClip(EncoderConformance):
    component = "clip"
    modality = "image"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _settings(cls, tiny_clip: Path) -> None:
        cls.settings = {"model": str(tiny_clip), "modality": cls.modality}


class TestImages(TinyClip):
    pass


class TestTexts(TinyClip):
    modality = "text"


def test_both_towers_equal_open_clip_called_directly(tiny_clip: Path) -> None:
    import open_clip
    import torch

    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{tiny_clip}")
    images = pictures(7)
    with torch.no_grad():
        seen = model.eval().encode_image(torch.stack([transform(i) for i in images]), normalize=True).numpy()
        read = model.encode_text(open_clip.tokenize(TEXTS, 16), normalize=True).numpy()
    np.testing.assert_allclose(clip(tiny_clip).encode(images), seen, atol=1e-5)
    np.testing.assert_allclose(clip(tiny_clip, modality="text").encode(TEXTS), read, atol=1e-5)
    assert seen.shape[1] == read.shape[1] == 16


def test_an_architecture_takes_a_checkpoint_of_its_own_and_no_other(tiny_clip: Path, tmp_path: Path) -> None:
    import open_clip

    config = json.loads((tiny_clip / "open_clip_config.json").read_text())["model_cfg"]
    other = {**config, "vision_cfg": {**config["vision_cfg"], "width": 48}}
    for name, made in (("test-tiny", config), ("test-other", other)):
        (tmp_path / f"{name}.json").write_text(json.dumps(made))
        open_clip.add_model_config(tmp_path / f"{name}.json")
    checkpoint = tiny_clip / "open_clip_model.safetensors"
    got = clip("test-tiny", pretrained=str(checkpoint), modality="text").encode(TEXTS)
    np.testing.assert_allclose(got, clip(tiny_clip, modality="text").encode(TEXTS), atol=1e-6)
    with pytest.raises(WeightsError, match="open_clip cannot load the model"):
        clip("test-other", pretrained=str(checkpoint)).encode(pictures(1))


def test_prompt_and_modality_change_the_fingerprint(tiny_clip: Path) -> None:
    made = [{}, {"modality": "text"}, {"modality": "text", "prompt": "a photo of {}"}]
    assert len({clip(tiny_clip, **settings).fingerprint() for settings in made}) == 3
    plain = clip(tiny_clip, modality="text").encode(["a photo of a red dress"])
    prompted = clip(tiny_clip, modality="text", prompt="a photo of {}").encode(["a red dress"])
    np.testing.assert_array_equal(plain, prompted)


def test_pickled_and_damaged_checkpoints_are_refused(tiny_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text((tiny_clip / "open_clip_config.json").read_text())
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(WeightsError, match=r"the folder has no \*\.safetensors"):
        clip(tmp_path).fingerprint()
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"\x00" * 32)
    with pytest.raises(WeightsError, match="open_clip cannot load the model"):
        clip(tmp_path).encode(pictures(1))


def test_unknown_architectures_and_tags_get_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"no architecture 'ViT-B32'\. Did you mean .*ViT-B-32"):
        clip("ViT-B32", pretrained="openai").fingerprint()
    with pytest.raises(ConfigError, match=r"no weights 'opnai' for ViT-B-32\. There are: .*openai"):
        clip("ViT-B-32", pretrained="opnai").fingerprint()


def test_a_pretrained_tag_is_sought_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="laion/CLIP-ViT-B-32-laion2B-s34B-b79K: the weights were not found"):
        clip("ViT-B-32", pretrained="laion2b_s34b_b79k").fingerprint()


def test_a_local_model_is_fingerprinted_without_torch(tiny_clip: Path) -> None:
    code = (
        "import sys; from reasonrec_clip.encoder import ClipConfig, ClipEncoder as C;"
        f"config = ClipConfig(model={str(tiny_clip)!r}); C.weights_info(config); C(config).fingerprint();"
        "assert not {'torch', 'open_clip', 'timm', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

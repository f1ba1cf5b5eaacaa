"""Finds a language model's files; nothing heavy is imported and nothing is loaded."""

from __future__ import annotations

from pathlib import Path

from reasonrec_core.errors import WeightsError
from reasonrec_core.observe.pretrained import Weights, find_weights
from reasonrec_cot.backbone.config import BackboneConfig

FILES = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors")
NEEDS = ("config.json", "*.safetensors")


def find_backbone(config: BackboneConfig) -> Weights:
    """A folder with safetensors (here, in the hub's cache, or on the hub), or a .gguf file (by path or packaged).

    Raises:
        WeightsError: there are none.
    """
    if config.model.endswith(".gguf"):
        return find_weights(str(Path(config.model).expanduser().absolute()), files=FILES)
    found = find_weights(config.model, files=FILES, needs=NEEDS, revision=config.revision)
    if found.path.is_file() and found.path.suffix != ".gguf":
        fix = "Give a folder with config.json and *.safetensors, a hub name, or a .gguf file."
        raise WeightsError("not a language model", where=str(found.path), fix=fix)
    return found

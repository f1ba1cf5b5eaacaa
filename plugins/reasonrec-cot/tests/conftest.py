"""Makes the modules beside the tests importable, and small models for all of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from reasonrec_cot.backbone.model import Backbone


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small Llama and its tokenizer."""
    from tiny_model import tiny_llama

    return tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def backbone(llama: Path) -> Backbone:
    """The small Llama, in float32 on the CPU."""
    from reasonrec_cot.backbone.model import Backbone
    from reasonrec_cot.config import BackboneConfig

    return Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32"))

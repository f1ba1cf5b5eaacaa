"""Makes the modules beside the tests importable, and small models for all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from local_server import LocalServer
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


@pytest.fixture(scope="module")
def no_waiting() -> Iterator[None]:
    """Attempts follow each other at once; how many there are stays as it is set."""
    import stamina

    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


@pytest.fixture
def server(backbone: Backbone) -> Iterator[LocalServer]:
    """One that states all likelihoods that are asked for."""
    from local_server import serving

    with serving(backbone) as local:
        yield local

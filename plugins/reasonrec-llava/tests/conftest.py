"""Makes the module beside the tests importable, and small real models for all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small LLaVA 1.5."""
    from tiny_llava import save_llava

    return save_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="session")
def llava_next(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small LLaVA-NeXT."""
    from tiny_llava import save_llava

    return save_llava(tmp_path_factory.mktemp("llava-next"), following=True)

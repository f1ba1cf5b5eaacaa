"""Makes the modules beside the tests importable, and a policy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reasonrec_chain.policy import Chain
from small import fitted, make_world

from reasonrec_core.testing.tiny import Tiny


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny dataset, divided."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def chain(world: Tiny) -> Chain:
    """The policy fitted on it; nobody may change it."""
    return fitted(world.fit)

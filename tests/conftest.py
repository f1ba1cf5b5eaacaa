"""Fixtures that all tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The folder of a real data set under ``REASONREC_DATA`` or beside the checkout; skips where it is absent."""

    def find(name: str) -> Path:
        root = Path(os.environ.get("REASONREC_DATA", BESIDE))
        if not (root / name).is_dir():
            pytest.skip(f"real data set {name!r} is not in {root} (set REASONREC_DATA)")
        return root / name

    return find

"""Progress of a benchmark on its log."""

from __future__ import annotations

import time
from collections.abc import Callable


def tell() -> Callable[[int, int, str], None]:
    """Tells a line at most every half minute."""
    last = [0.0]

    def progress(done: int, total: int, label: str) -> None:
        if time.monotonic() - last[0] > 30:
            last[0] = time.monotonic()
            print(f"  {label} {done}/{total}", flush=True)

    return progress

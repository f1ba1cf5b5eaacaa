"""The processor that something was measured on."""

from __future__ import annotations

import platform
from pathlib import Path

EARLIER = "AMD EPYC"
"""Of what was kept before its processor was."""


def name_processor() -> str:
    """As the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return " ".join(next(iter(names), platform.processor() or platform.machine()).replace("(R)", "").split())

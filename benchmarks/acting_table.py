"""Writes benchmarks/results/acting.md from what benchmarks/acting.py measured."""

from __future__ import annotations

from pathlib import Path


def write_table(work: Path) -> None:
    """To be written."""

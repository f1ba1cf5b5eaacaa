"""What the documentation says of splits and checks is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

from reasonrec_doctor import CHECKS

from reasonrec_core.components import Kind, SplitterSettings
from reasonrec_core.registry import Registry

OURS = {"reasonrec-core", "reasonrec-datasets"}
PAGE = (Path(__file__).parents[2] / "docs" / "splits.md").read_text(encoding="utf-8")


def first_cells(title: str) -> list[str]:
    """The names in the first column of the table under a heading."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([a-z-]+)`", section, re.MULTILINE)


def test_every_rule_and_check_is_described() -> None:
    splitters = [c for c in Registry.discover().components() if c.kind is Kind.SPLITTER]
    official = {c.spec.name for c in splitters if c.distribution in OURS}
    assert set(first_cells("Splits")) == official
    assert first_cells("The leakage doctor") == list(CHECKS)


def test_defaults_are_those_of_the_settings() -> None:
    fields = SplitterSettings.model_fields
    assert f"`min_history` ({fields['min_history'].default})" in PAGE
    assert f"`negatives` ({fields['negatives'].default})" in PAGE
    assert f'`repeats = "{fields["repeats"].default}"` (the\n  default)' in PAGE

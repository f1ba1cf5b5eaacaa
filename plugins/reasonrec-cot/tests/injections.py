"""The catalogue of injected titles, for tests of text and of the policy."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Injected:
    kind: str
    plain: str
    title: str


def injected_titles() -> list[Injected]:
    rows = tomllib.loads(Path(__file__).with_name("injected.toml").read_text("utf-8"))["title"]
    return [Injected(row["kind"], row["plain"], row["injected"]) for row in rows]

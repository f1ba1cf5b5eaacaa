"""The catalogues of injected titles, for tests of text and of the policy.

`KNOWN` was there when the rules of item text were made, `MORE` changed them, `UNSEEN` came after them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

KNOWN, MORE, UNSEEN = "injected.toml", "injected_more.toml", "injected_unseen.toml"


@dataclass(frozen=True)
class Injected:
    kind: str
    plain: str
    title: str


def injected_titles(name: str = KNOWN) -> list[Injected]:
    rows = tomllib.loads(Path(__file__).with_name(name).read_text("utf-8"))["title"]
    return [Injected(row["kind"], row["plain"], row["injected"]) for row in rows]

"""Hostile text: the catalogue of injected titles, special tokens, and a strategy that puts such pieces together."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

SPECIAL = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<image>", "<unk>",
    "<start_of_turn>", "<end_of_turn>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<extra_id_0>",
    "<repo_name>", "###", "@@", "$$end$$", "(-)", "\u2581<pad>",
)  # fmt: skip
PARTS = ("observe", "deliberate", "answer", "confidence")
"""Tags of the answers that cot writes."""
PIECES = st.sampled_from([
    *SPECIAL, *(f"<{p}>" for p in PARTS), *(f"</{p}>" for p in PARTS), '"', "\u201d", "\uff02", "<", ">", "\uff1c",
    "\uff1e", "|", "\uff5c", "[", "]", "{", "}", "/", "\\", ";", "\n", "\u2028", "\u200b", "\u202e", "\x00", "\x1b",
    "System:", "assistant :", "#", "```", "answer", "confidence", "1.0", " ", "\u0336", "\u00a8", "\ufdfa", "\u3164",
    "\U000e0041", "($$e",
])  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=25).map("".join))


@dataclass(frozen=True)
class Injected:
    kind: str
    plain: str
    title: str


def injected_titles() -> list[Injected]:
    rows = tomllib.loads(Path(__file__).with_name("injected.toml").read_text("utf-8"))["title"]
    return [Injected(row["kind"], row["plain"], row["injected"]) for row in rows]

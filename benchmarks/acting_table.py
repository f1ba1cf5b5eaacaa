"""Writes benchmarks/results/acting.md from what benchmarks/acting.py measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

OUT = Path(__file__).parent / "results" / "acting.md"
HEAD = """# Acting that pays

`python benchmarks/acting.py measure RUN`, then `table`. Runs: [`beauty-chain.toml`](../../examples/beauty-chain.toml)
with two epochs, and the same pipeline on ml-1m (dropout .2, three epochs; `popularity`, `transitions`, `chain-reflex`).
{date}, two cores of an AMD EPYC shared with seven other workers (load 8 to 10): seconds by the clock are upper bounds;
processor time of the answering thread is the better measure, and also more than on a quiet machine (cold caches).
"""
NOTES = """
## What is not reached

- *Deciding* takes about .05 ms where caches are warm (before: .11 ms, and .86 ms a batch, on Beauty's histories);
  between two answers of the policy, with cold caches, it is .14 to .30 ms.
- With everything kept, the loop takes half a millisecond more than the policy alone: it estimates, decides, and states
  how sure the answer is.
- A batch of 256 falls by less than .8 of the share with `chain-reflex`, which takes as long as `chain` in batches; with
  `transitions`, a tenth of the policy's time; and at small shares, where a batch costs the policy something however few
  requests are left in it.
"""


def write_table(work: Path) -> None:
    """All pieces that are there."""
    pieces = {path.stem: json.loads(path.read_text()) for path in sorted(work.glob("*.json"))}
    lines = [HEAD.format(date=max(piece["date"] for piece in pieces.values()))]
    for part, title, show in SECTIONS:
        lines.append(f"\n## {title}\n")
        for name, piece in pieces.items():
            run, _, what = name.rpartition(".")
            if what == part:
                lines += [f"\n{run}\n", *show(piece["found"])]
    OUT.write_text("\n".join([*lines, NOTES]).replace("\n\n\n", "\n\n"))


def decided(found: dict[str, Any]) -> Iterator[str]:
    """Milliseconds of deciding."""
    yield "| router, requests at once | again and again | between answers | the policy's answer | deciding is |"
    yield "|---|---|---|---|---|"
    for name, each in found.items():
        warm, cold, policy = (each[k] for k in ("again and again", "between answers", "policy"))
        yield f"| {name} | {warm:.3f} | {cold:.3f} | {policy:.2f} | {warm / policy:.2%}, {cold / policy:.2%} |"


def shared(found: dict[str, Any]) -> Iterator[str]:
    """Shares on test."""
    yield "| router, share wanted | placed on validation queries | placed on the next requests |"
    yield "|---|---|---|"
    for name, each in found.items():
        yield f"| {name} | {each['validation']:.3f} | {each['next']:.3f} |"


def promised(found: dict[str, Any]) -> Iterator[str]:
    """How often what was promised held."""
    rows = [row for row in found["rows"] if row["share"] > 0]
    shares = ", ".join(f"{row['share']:.2f}" for row in found["rows"])
    yield f"{found['kind']}, to {found['delegate']}, {len(found['rows'])} halvings of the users; shares: {shares}.\n"
    yield "| judged by | mean difference | lowest | below -1 % | interval wholly below -1 % |"
    yield "|---|---|---|---|---|"
    for name in ("others, validation", "others, test"):
        values = np.array([row[name]["value"] for row in rows])
        worse = sum(row[name]["high"] < -0.01 for row in rows)
        if len(values):
            low = (values < -0.01).sum()
            yield f"| {name} | {values.mean():+.2%} | {values.min():+.2%} | {low} of {len(values)} | {worse} |"


def took(found: dict[str, Any]) -> Iterator[str]:
    """Times of the routed loop against the policy's."""
    yield "| delegate, share wanted, at once | share | policy, ms | routed | change | over the share | by the clock |"
    yield "|---|---|---|---|---|---|---|"
    for name, each in found.items():
        work, clock, share = each["work"], each["clock"], each["share"]
        over = f"{-work['value'] / share:.2f}" if share else ""
        change, wall = (f"{v['value']:+.1%} ({v['low']:+.1%} to {v['high']:+.1%})" for v in (work, clock))
        yield f"| {name} | {share:.2f} | {work['policy']:.2f} | {work['routed']:.2f} | {change} | {over} | {wall} |"


SECTIONS = (
    ("decide", "Deciding: processor milliseconds, median", decided),
    ("share", "A share that comes out: the part of the test requests that is handed over", shared),
    ("promise", "The promise of `free`: not inferior by more than 1 %", promised),
    ("time", "Work saved is time saved: the routed loop and the policy alone, in turn", took),
)

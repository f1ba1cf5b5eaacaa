"""Writes what benchmarks/acting.py measured into its sections of benchmarks/results/acting.md; the rest stays.

A measurement may say what it is ``about``; else its section calls it by the name of its file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

OUT = Path(__file__).parent / "results" / "acting.md"


def write_table(work: Path) -> None:
    """Every section that something was measured for."""
    pieces = {path.stem: json.loads(path.read_text()) for path in sorted(work.glob("*.json"))}
    page = OUT.read_text()
    for part, title, show in SECTIONS:
        lines = []
        for name, piece in pieces.items():
            run, _, what = name.rpartition(".")
            if what == part:
                lines += [f"{piece.get('about', run)}, {piece['date']}\n", *show(piece["found"]), ""]
        if lines:
            page = replace_section(page, title, "\n".join(lines))
    OUT.write_text(page)


def replace_section(page: str, title: str, text: str) -> str:
    """The page with that section, in the place of the one of this title or before all others."""
    head, *sections = page.split("\n## ")
    made = f"{title}\n\n{text}"
    found = [i for i, section in enumerate(sections) if section.split("\n", 1)[0] == title]
    if found:
        sections[found[0]] = made
    else:
        sections.insert(0, made)
    return "\n## ".join([head, *sections])


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


def curves(found: dict[str, Any]) -> Iterator[str]:
    """Quality against milliseconds."""
    prices, points = found["prices"], found["points"]
    sizes = list(prices["deciding"])
    yield "Median ms of a request, processor (clock): " + "; ".join(
        f"{name} {each[sizes[0]]['work']:.2f} ({each[sizes[0]]['clock']:.2f}),"
        f" in batches of {sizes[1]} {each[sizes[1]]['work']:.3f} ({each[sizes[1]]['clock']:.3f})"
        for name, each in prices.items()
    )
    policy = next(name for name in prices if name not in points and name != "deciding")
    yield f"\n| to | share | random | learned | oracle | ms, one: processor (clock) | in batches of {sizes[1]} |"
    yield "|---|---|---|---|---|---|---|"
    for label, each in points.items():
        for point in each:
            share = point["share"]
            costs = []
            for size in sizes:
                for kind in ("work", "clock"):
                    alone, other, deciding = (prices[name][size][kind] for name in (policy, label, "deciding"))
                    costs.append(alone + share * (other - alone) + deciding)
            quality = " | ".join(f"{point[name]:.4f}" for name in ("random", "learned", "oracle"))
            one, batch = f"{costs[0]:.2f} ({costs[1]:.2f})", f"{costs[2]:.3f} ({costs[3]:.3f})"
            yield f"| {label} | {share:.2f} | {quality} | {one} | {batch} |"


def show_change(found: dict[str, Any], digits: int = 0) -> str:
    """A relative change in percent with its interval."""
    value, low, high = (f"{round(100 * found[name], digits) + 0:+.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} % ({low} to {high})"


def kept_promises(found: dict[str, Any]) -> Iterator[str]:
    """What ``free`` promised on validation and what test brought, run by run (benchmarks/acting_runs.py)."""
    yield (
        "| run | the student's NDCG@10 of the policy's: validation, test | handed over | NDCG@10 there: validation"
        " | test | time of one request: validation | test, where so many were handed over | of 32 at once: validation"
        " | test | of 256: validation |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name, row in found.items():
        student, batches = row["student"], row["batches"]
        ratios = ", ".join(
            f"{student[part]:.4f} of {row['policy'][part]:.4f} ({student[part] / row['policy'][part]:.2%})"
            for part in ("validation", "test")
        )
        quality = [show_change(row["quality"][part], 1) for part in ("validation", "test")]
        held = "confirmed" if row["quality"]["confirmed"] else "**not confirmed**"
        times = [show_change(row["one"][part]) for part in ("validation", "test")]
        several = [show_change(each) for each in (batches["validation"]["32"], batches["test"]["32"])]
        yield (
            f"| {name} | {ratios} | {row['share']['validation']:.0%}"
            f" | {quality[0]} | {quality[1]}: {held} | {times[0]} | {times[1]}, {row['timed share']:.1%}"
            f" | {several[0]} | {several[1]} | {show_change(batches['validation']['256'])} |"
        )


SECTIONS = (
    ("free", "What `free` promised, and what came of it", kept_promises),
    ("curve", "NDCG@10 on test against milliseconds", curves),
    ("decide", "Deciding: processor milliseconds, median", decided),
    ("share", "A share that comes out: the part of the test requests that is handed over", shared),
    ("promise", "The promise of `free`: not inferior by more than 1 %", promised),
    ("time", "Work saved is time saved: the routed loop and the policy alone, in turn", took),
)

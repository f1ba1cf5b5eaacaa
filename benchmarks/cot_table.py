"""The tables of benchmarks/results/cot.md, from the pieces that `benchmarks/cot.py` kept."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cot_clicks
import numpy as np

from reasonrec_core.evaluate import Scores, compare
from reasonrec_core.evaluate.significance import holm
from reasonrec_core.types import Task

RESULTS = Path(__file__).parent / "results" / "cot.md"
METRICS = ("HR@1", "HR@5", "NDCG@5", "HR@10", "NDCG@10")
NOTE = "note.md"
"""What else is to be known of the pieces, beside them."""
WRITTEN, SILENT = "with reasoning text", "trained on reasoning text, none written"
CROSSED = "decision, cross-fitted"
TABLES = (("sequential", "NDCG@10"), ("direct", "NDCG@10"), ("direct", "HR@1"))


@dataclass(frozen=True)
class Piece:
    """One form on one part of one task.

    Attributes:
        name: of the form.
        record: what `cot.py` kept of it.
        scores: per query.
    """

    name: str
    record: dict[str, Any]
    scores: Scores


def write_table(work: Path, dataset: str, seed: int) -> None:
    """All pieces of a data set with one seed."""
    folder = work / dataset
    days = sorted(json.loads(p.read_text())["date"] for p in folder.glob("*/*/result.json"))
    lines = [
        "# The cot policy",
        "",
        f"`python benchmarks/cot.py run {dataset} --variant V [--minutes M --name N] --parts valid test`, "
        f"`python benchmarks/cot.py baselines {dataset} --parts valid test`, "
        f"`python benchmarks/cot.py table {dataset}`; seed {seed}.",
        f"Python {platform.python_version()}, AMD EPYC, 24 GB, shared with other work, so seconds are upper bounds; "
        f"{days[0]} to {days[-1]}.",
        "",
        "*full* and *from implicit-als*: one tuning, `--minutes 60`, candidates from transitions or from implicit-als "
        "(`--weights-of full`); *no other sources*: head and implicit-als alone decide, "
        '`--set \'{"shortlist": {"delegate": "implicit-als", "sources": []}}\' --weights-of full`. '
        "*140 steps*: short tunings of equal steps and places per step, the head alone deciding: "
        '`--set \'{"shortlist": {"delegate": "implicit-als", "sources": []}, "tuning": {"steps": 140, "pairs": 0, '
        '"validations": 2, "ema": 0}}\' --name "140 steps: V"`. *untuned*: all layers; clicks: `--queries 400`.',
        "",
        (folder / NOTE).read_text().strip() if (folder / NOTE).exists() else "",
        "",
        "Leave-one-out. *Sequential*: all items ranked, history masked; the policy re-ranks the 20 best of its "
        "candidate generator. *Direct*: the target among 99 items that its user never touched. Ties count against the "
        "system. Differences are paired by query, over the queries that both answered, with 95 % intervals (10,000 "
        "bootstrap samples), p Holm-corrected within a table. Validation figures of forms with a decision (not the 140 "
        "steps) are too good: it was fitted to these queries; cross-fitted figures are in the last table.",
        "",
    ]
    for part, title in (("test", "Test"), ("valid", "Validation")):
        for task, metric in TABLES:
            lines += list(section(folder, seed, f"{task}-{part}", f"## {title}, {task}: {metric}", metric))
        lines += list(cot_clicks.section(folder, seed, part, reference))
    for task, metric in TABLES:
        lines += list(writing(folder, seed, task, metric))
    lines += list(decisions(folder, seed))
    RESULTS.write_text("\n".join(lines).rstrip() + "\n")
    print(RESULTS)


def section(folder: Path, seed: int, kind: str, title: str, metric: str) -> Iterator[str]:
    """One task on one part: all forms, each against the full one of its budget."""
    pieces = {p.name: p for p in (read(path, kind) for path in sorted(folder.glob(f"*/{seed}"))) if p is not None}
    if not pieces:
        return
    yield from (
        title,
        "",
        f"| system | queries | {' | '.join(METRICS)} | full minus this, {metric} | p | minus its generator | p |",
        "|---|---|" + "---|" * (len(METRICS) + 4),
    )
    ours = {name: reference(name) for name in pieces}
    versus = {n: difference(pieces[r], pieces[n], metric) for n, r in ours.items() if r in pieces and r != n}
    own = {n: difference(p, made, metric) for n, p in pieces.items() if (made := generator(p, pieces)) is not None}
    # A full form minus its generator is in both columns, and one comparison.
    both = {n: g for n, r in ours.items() if r == n and (g := of_generator(pieces[n])) in versus and ours[g] == n}
    once = {("full", n): found[3] for n, found in versus.items()}
    once |= {("own", n): found[3] for n, found in own.items() if n not in both}
    adjusted = dict(zip(once, holm(list(once.values())), strict=True))
    adjusted |= {("own", n): adjusted["full", g] for n, g in both.items()}
    for name, piece in sorted(pieces.items(), key=lambda each: -mean(each[1], metric)):
        cells = " | ".join(f"{mean(piece, each):.4f}" for each in METRICS)
        against = told(versus.get(name), adjusted.get(("full", name)))
        beyond = told(own.get(name), adjusted.get(("own", name)))
        yield f"| {name} | {len(piece.scores.users)} | {cells} | {against} | {beyond} |"
    yield ""


def writing(folder: Path, seed: int, task: str, metric: str) -> Iterator[str]:
    """Forms that write reasoning text, minus the same weights when they write none."""
    for path in sorted(folder.glob(f"*{WRITTEN}/{seed}")):
        silent = folder / (path.parent.name.removesuffix(WRITTEN) + SILENT) / str(seed)
        wrote, kept_still = (read(each, f"{task}-valid") for each in (path, silent))
        if wrote is None or kept_still is None:
            continue
        found, n = difference(wrote, kept_still, metric), len(wrote.scores.users)
        yield f"*{path.parent.name}*, validation, {task}, {n} queries: {metric} minus that of the same weights that"
        yield f"write nothing {told(found, found[3]).replace(' | ', ', p ')}."
        yield ""


def read(folder: Path, kind: str) -> Piece | None:
    """A form's answers, where there are any."""
    if not (folder / f"{kind}.npz").exists() or not (folder / "result.json").exists():
        return None
    with np.load(folder / f"{kind}.npz") as arrays:
        found = {name.partition("[")[0]: arrays[name] for name in arrays if name not in ("users", "seconds")}
        scores = Scores(Task.SEQUENTIAL, arrays["users"], found)
    return Piece(folder.parent.name, json.loads((folder / "result.json").read_text()), scores)


def reference(name: str) -> str:
    """What a form is compared with: the full one; ``140 steps: without pictures`` with ``140 steps: full``."""
    budget, colon, _ = name.rpartition(": ")
    return f"{budget}{colon}full"


def generator(piece: Piece, pieces: dict[str, Piece]) -> Piece | None:
    """The delegate that proposes a form's candidates."""
    return pieces.get(of_generator(piece))


def of_generator(piece: Piece) -> str:
    """Its name, "" for a delegate."""
    settings = piece.record.get("settings")
    return "" if settings is None else str(settings["shortlist"]["delegate"])


def difference(first: Piece, second: Piece, metric: str) -> tuple[float, float, float, float]:
    """Mean, low, high, p of the first minus the second, over the queries that both answered."""
    common = np.intersect1d(first.scores.users, second.scores.users)
    parts = []
    for piece in (first, second):
        rows = np.searchsorted(piece.scores.users, common)
        parts.append(Scores(Task.SEQUENTIAL, common, {metric: piece.scores.per_query[metric][rows]}))
    found = compare(parts[0], parts[1], [metric], seed=0)[0]
    return found.difference, found.low, found.high, found.p


def mean(piece: Piece, metric: str) -> float:
    return float(piece.scores.per_query[metric].mean())


def told(found: tuple[float, float, float, float] | None, p: float | None) -> str:
    if found is None or p is None:
        return " | "
    return f"{found[0]:+.4f} ({found[1]:+.4f} to {found[2]:+.4f}) | {p:.4f}"


def decisions(folder: Path, seed: int) -> Iterator[str]:
    """What each form learned from, what its decision rests on, and what went wrong."""
    yield from (
        "## What was learned, and what decides",
        "",
        "*Head*: validation NDCG@10 of the best state of the head over the whole catalogue, 500 queries. Then "
        "validation NDCG@10 among the candidates (*proposed* by the generator, or *listed* with the query): of each "
        "source alone, and of all together, cross-fitted. Invalid: answers that are no item, repeated, in the history, "
        "or not among the candidates. OutputFaults: parts of written text outside the grammar.",
        "",
        "| form | tuned s | threads | steps | next items | head | candidates | head | generator | together | decides "
        "| invalid | faults |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    )
    for path in sorted(folder.glob(f"*/{seed}/result.json")):
        record = json.loads(path.read_text())
        if "settings" in record:
            yield from rows_of(path.parent.parent.name, record)


def rows_of(name: str, record: dict[str, Any]) -> Iterator[str]:
    """A form: a line for each kind of candidates that something was fitted for, at least one."""
    training = record["report"].get("training")
    cells = ["", str(record["threads"]), "", "", ""]
    if training:
        seen = sum(each["targets"].get("recommendation", 0) for each in training["epochs"])
        cells = [f"{training['seconds']:.0f}", cells[1], str(training["steps"]), f"{seen:,}"]
        cells.append(f"{training['validation']:.4f}")
    faults = sum((record["faults"].get("faults") or {}).values())
    found = record["report"].get("decision")
    parts = {"proposed": found, "listed": found["listed"]} if found else {"": None}
    for label, part in parts.items():
        figures = part["figures"] if part else {}
        shown = [f"{figures[n]['NDCG@10']:.4f}" if n in figures else "" for n in ("head", "generator", CROSSED)]
        decides = part["decides"].replace(CROSSED, "together") if part else "head" if training else ""
        every = [name, *cells, label, *shown, decides, str(record["invalid"]), str(faults)]
        yield f"| {' | '.join(every)} |"

"""Measured delegates in pairs: differences query by query, averaged over the seeds that both have.

What is resampled is the user (`reasonrec_core.evaluate.compare`): every query here is another user's, and clicks are
drawn with all that their user has (`click_pairs`). The interval holds 95 % of the resampled differences, and ``p`` is
the two-sided p-value of the same paired bootstrap, 2 / 10,001 at least. Where one delegate is compared with several,
``Holm`` is that p-value after Holm's correction (1979) over these, for each metric and part by itself. Metrics that one
of the two lacks (groups that were not counted when it was measured) are left out of that pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from click_pairs import compare_clicks
from model_plan import Kept
from model_protocols import GROUPED, PARTS

from reasonrec_core.errors import ConfigError, RunError, did_you_mean
from reasonrec_core.evaluate import Comparison, Scores, compare, correct
from reasonrec_core.io import read_arrays
from reasonrec_core.types import Task

GROUPS = ("rare items", "less popular items", "few interactions", "among new items", "outside carts")
COMPARED = (
    "HR@10", "NDCG@10", "Recall@20", "NDCG@20", "HR@50", "NDCG@50", *(f"{m} {g}" for g in GROUPS for m in GROUPED),
)  # fmt: skip
Answer = Mapping[str, Any]
"""Of one fit and part: its clicks (`click_pairs.list_clicks`), or float64[B] by metric."""


@dataclass(frozen=True)
class Pair:
    """One metric of two delegates: the comparison, the seeds it averages, and the second's value (None of clicks)."""

    row: Comparison
    seeds: tuple[int, ...]
    base: float | None


def compare_kept(dataset: str, names: Sequence[str], kept: Kept, work: Path) -> list[str]:
    """Lines: the first of ``names`` less each of the others, by part and metric.

    Raises:
        ConfigError: something of that name was not measured.
        RunError: the first has no answers of the same seed as any other under ``work``.
    """
    known = {key.split(" | ")[1] for key in kept if key.startswith(f"{dataset} | ")}
    for name in names:
        if name not in known:
            raise ConfigError(f"{name!r} was not measured on {dataset}", fix=did_you_mean(name, known))
    answers = {part: {name: read_answers(dataset, name, part, kept, work) for name in names} for part in PARTS}
    if not any(some[names[0]].keys() & some[name].keys() for some in answers.values() for name in names[1:]):
        what = f"{names[0]} has no seed in common with {' or '.join(names[1:])} whose answers are kept"
        raise RunError(what, where=str(work), fix="Measure them with one --work, and give it here.")
    return [f"{part} {line}" for part, some in answers.items() for line in compare_answers(some)]


def read_answers(dataset: str, name: str, part: str, kept: Kept, work: Path) -> dict[int, Answer]:
    """What one delegate answered to a part, by seed, as far as it is under ``work``."""
    found: dict[int, Answer] = {}
    for key, row in kept.items():
        if key.rpartition(" | ")[0] == f"{dataset} | {name}":
            path = work / row["queries"] / f"{part}.npz"
            if path.is_file():
                found[int(key.rpartition(" | ")[2])] = read_arrays(path)
    return found


def compare_answers(answers: Mapping[str, Mapping[int, Answer]]) -> list[str]:
    """Lines by metric: the first less each of the others, whose answers are given by seed."""
    (first, ours), *others = answers.items()
    lines, pairs = [], dict[str, list[Pair]]()
    for other, theirs in others:
        seeds = sorted(ours.keys() & theirs.keys())
        if not seeds:
            lines.append(f"{first} - {other}: no seed that both have kept answers of")
            continue
        for pair in compare_pair((first, other), seeds, [ours[s] for s in seeds], [theirs[s] for s in seeds]):
            pairs.setdefault(pair.row.metric, []).append(pair)
    for family in pairs.values():
        rows = correct([pair.row for pair in family])
        lines += [show_pair(replace(each, row=row), len(others) > 1) for each, row in zip(family, rows, strict=True)]
    return lines


def compare_pair(
    names: tuple[str, str], seeds: Sequence[int], first: Sequence[Answer], other: Sequence[Answer]
) -> list[Pair]:
    """The metrics of two delegates that both have, from their answers by seed."""
    if all("probability" in each for each in [*first, *other]):
        return [Pair(replace(row, a=names[0], b=names[1]), tuple(seeds), None) for row in compare_clicks(first, other)]
    one, two = average_queries(first), average_queries(other)
    shared = [m for m in COMPARED if m in one.values and m in two.values and not np.isnan(two.values[m])]
    rows = [compare(one, two, [metric], names=names)[0] for metric in shared]
    return [Pair(row, tuple(seeds), two.values[row.metric]) for row in rows]


def average_queries(answers: Sequence[Answer]) -> Scores:
    """The metrics that all of some answers have, averaged query by query; every query is another user's."""
    names = [m for m in COMPARED if all(m in each for each in answers)]
    means = {m: np.mean([np.asarray(each[m], np.float64) for each in answers], axis=0) for m in names}
    count = len(next(iter(answers[0].values())))
    return Scores(Task.SEQUENTIAL, np.arange(count, dtype=np.int32), means)


def show_pair(pair: Pair, several: bool) -> str:
    """A line; ``several``: with the p-value after Holm's correction."""
    row, found = pair.row, f"{pair.row.difference:+.4f} ({pair.row.low:+.4f} to {pair.row.high:+.4f})"
    if pair.base is not None:
        found += f", {row.difference / pair.base:+.1%}" if pair.base else ", of nothing"
    seeds = f"{'seeds' if len(pair.seeds) > 1 else 'seed'} {' '.join(map(str, pair.seeds))}"
    holm = f", Holm {row.p_corrected:.4f}" if several else ""
    return f"{row.metric} {row.a} - {row.b}, {seeds}: {found}, p = {row.p:.4f}{holm}"

"""The tables of benchmarks/results/chain.md, from the pieces that `benchmarks/chain.py` kept."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.evaluate.significance import holm
from reasonrec_core.types import Float64

METRICS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
MAIN = "NDCG@10"
RESULTS = Path(__file__).parent / "results" / "chain.md"


@dataclass(frozen=True)
class System:
    """One form with all its seeds.

    Attributes:
        name: of the form.
        seeds: in the order of what follows.
        records: per seed.
        test: float64[seeds, queries] by metric, where the test queries were answered.
        valid: float64[seeds, queries] NDCG@10.
        unseen: float64[seeds, pairs] NDCG@10 of validation pairs that the gates were not fitted on.
        horizon: float64[queries] of the test queries.
        before: float64[queries] horizon of the validation queries.
    """

    name: str
    seeds: tuple[int, ...]
    records: tuple[dict[str, Any], ...]
    test: dict[str, Float64]
    valid: Float64
    unseen: Float64 | None
    horizon: Float64 | None
    before: Float64


def write_table(work: Path) -> None:
    """All data sets that have a piece."""
    days = sorted(json.loads(p.read_text())["date"] for p in work.glob("*/*/*/result.json"))
    lines = [
        "# The chain policy",
        "",
        "`python benchmarks/chain.py baselines DATA`, `python benchmarks/chain.py run DATA --seed S --variant V"
        " [--test]`,"
        " `python benchmarks/chain.py table`.",
        f"Python {platform.python_version()}, two cores of an AMD EPYC, 24 GB, shared with other work, so seconds are"
        " upper bounds.",
        "",
        f"Run from {days[0]} to {days[-1]}. *shuffled-ids*: `--ids 1 --name shuffled-ids`.",
        "",
        "Leave-one-out, fitted on the training part, validation for early stopping and gates, full ranking, history"
        " masked, ties against the system. Means over the policy's seeds; ± is their standard deviation. Differences"
        " are paired by query, and by seed where both are forms of the policy, 10,000 bootstrap samples, p"
        " Holm-corrected within a table.",
        "",
    ]
    for folder in sorted(p for p in work.iterdir() if p.is_dir()):
        lines += list(dataset(folder))
    RESULTS.write_text("\n".join(lines).rstrip() + "\n")
    print(RESULTS)


def dataset(folder: Path) -> Iterator[str]:
    """One data set: the test table, the table of validation pairs, and the coldest quarter."""
    systems = {p.name: s for p in sorted(folder.iterdir()) if (s := read(p)) is not None}
    yield from (f"## {folder.name}", "")
    full = systems.get("full")
    if full is not None and full.test:
        yield from test_table(full, [s for s in systems.values() if s.test])
    if full is not None and full.unseen is not None:
        yield from unseen_table(full, [s for s in systems.values() if s.unseen is not None])


def read(folder: Path) -> System | None:
    """All seeds of a form."""
    seeds = [p for p in sorted(folder.iterdir()) if (p / "result.json").exists()]
    if not seeds:
        return None
    tests = [np.load(p / "test.npz") for p in seeds if (p / "test.npz").exists()]
    unseen = [np.load(p / "unseen.npz")["gains"] for p in seeds if (p / "unseen.npz").exists()]
    return System(
        folder.name,
        tuple(int(p.name) for p in seeds),
        tuple(json.loads((p / "result.json").read_text()) for p in seeds),
        {m: np.stack([t[m] for t in tests]) for m in METRICS} if tests else {},
        np.stack([np.load(p / "valid.npz")[MAIN] for p in seeds]),
        np.stack([np.where(g >= 1 / np.log2(11) - 1e-12, g, 0.0) for g in unseen]) if unseen else None,
        tests[0]["horizon"].astype(np.float64) if tests else None,
        np.load(seeds[0] / "valid.npz")["horizon"].astype(np.float64),
    )


def test_table(full: System, systems: list[System]) -> Iterator[str]:
    """Every system on the test queries."""
    cold = full.horizon >= np.quantile(full.horizon, 0.75) if full.horizon is not None else None
    yield from (
        "Test. The last column: the coldest quarter of the users, by evidence horizon.",
        "",
        f"| system | seeds | fit s | {' | '.join(METRICS)} | full minus this, {MAIN} | p | {MAIN}, cold |",
        "|---|---|---|---|---|---|---|---|---|---|",
    )
    others = [s for s in systems if s is not full]
    compared = {s.name: difference(alike(full, s, full.test[MAIN]), s.test[MAIN].mean(0)) for s in others}
    corrected = dict(zip(compared, holm([c[3] for c in compared.values()]), strict=True)) if compared else {}
    for s in [full, *sorted(others, key=lambda s: -float(s.test[MAIN].mean()))]:
        cells = " | ".join(spread(s.test[m].mean(axis=1)) for m in METRICS)
        seconds = f"{np.mean([r['fit seconds'] for r in s.records]):.0f}"
        versus = " | " if s is full else told(compared[s.name], corrected[s.name])
        frozen = spread(s.test[MAIN][:, cold].mean(axis=1)) if cold is not None else ""
        yield f"| {s.name} | {len(s.test[MAIN])} | {seconds} | {cells} | {versus} | {frozen} |"
    yield ""


def unseen_table(full: System, systems: list[System]) -> Iterator[str]:
    """Every form of the policy on validation pairs that its gates were not fitted on."""
    assert full.unseen is not None
    yield from (
        "Validation pairs, each judged by gates that were fitted on the others: what choices were made on. *Sequence*:"
        " the network alone, best epoch. The last columns: the coldest quarter of the users, by evidence horizon.",
        "",
        f"| form | seeds | fit s | sequence {MAIN} | {MAIN} | full minus this | p | cold | full minus this, cold |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    one_each = len(full.before) == full.unseen.shape[1]  # several targets of a query are several pairs
    cold = (full.before >= np.quantile(full.before, 0.75)) if one_each else None
    others = [
        s for s in systems if s is not full and s.unseen is not None and s.unseen.shape[1] == full.unseen.shape[1]
    ]
    compared = {
        s.name: difference(alike(full, s, full.unseen), s.unseen.mean(0)) for s in others if s.unseen is not None
    }
    corrected = dict(zip(compared, holm([c[3] for c in compared.values()]), strict=True)) if compared else {}
    for s in [full, *sorted(others, key=lambda s: -float(s.unseen.mean()) if s.unseen is not None else 0.0)]:
        assert s.unseen is not None
        alone = [np.mean([n["validation"] for n in r["report"]["training"]]) for r in s.records]
        seconds = f"{np.mean([r['fit seconds'] for r in s.records]):.0f}"
        versus = " | " if s is full else told(compared[s.name], corrected[s.name])
        own = f"{spread(np.array(alone))} | {spread(s.unseen.mean(axis=1))}"
        frozen = " | "
        if cold is not None:
            gap = "" if s is full else interval(difference(alike(full, s, full.unseen)[cold], s.unseen.mean(0)[cold]))
            frozen = f"{spread(s.unseen[:, cold].mean(axis=1))} | {gap}"
        yield f"| {s.name} | {len(s.records)} | {seconds} | {own} | {versus} | {frozen} |"
    yield ""


def alike(full: System, other: System, values: Float64) -> Float64:
    """float64[queries]: mean of float64[seeds, queries] of ``full`` over the seeds of a form of it; all for others."""
    shared = [i for i, seed in enumerate(full.seeds[: len(values)]) if seed in other.seeds]
    of_chain = other.unseen is not None and len(shared) == len(other.seeds)
    return np.asarray(values[shared].mean(0) if of_chain else values.mean(0))


def difference(a: Float64, b: Float64, samples: int = 10_000) -> tuple[float, float, float, float]:
    """Mean of ``a - b``, its 95 % interval and two-sided p, by the paired bootstrap over queries."""
    gap, rng = a - b, np.random.default_rng(0)
    values, times = np.unique(gap, return_counts=True)  # resampled by value: a few hundred differ
    drawn = rng.multinomial(len(gap), times / len(gap), size=samples) @ values / len(gap)
    low, high = np.quantile(drawn, [0.025, 0.975])
    p = 2 * min((drawn <= 0).mean(), (drawn >= 0).mean())
    return float(gap.mean()), float(low), float(high), float(min(1.0, max(p, 1 / samples)))


def told(found: tuple[float, float, float, float], p: float) -> str:
    return f"{interval(found)} | {p:.4f}"


def interval(found: tuple[float, float, float, float]) -> str:
    return f"{found[0]:+.4f} ({found[1]:+.4f} to {found[2]:+.4f})"


def spread(values: Float64) -> str:
    return f"{values.mean():.4f}" + (f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else "")

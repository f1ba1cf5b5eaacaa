"""The tables of benchmarks/estimators.py: what is made of the pieces that its ``run`` keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from reasonrec_report.measure.risk_coverage import risk_coverage

from reasonrec_core.routing import CalibrationQuality, choose_recalibration

RESULTS = Path(__file__).parent / "results"
RESAMPLES = 200
DATASETS = ("ml-100k", "ml-1m", "amazon-beauty", "hm-week", "synth")
FACTS = ("hit", "quality", "horizon")
ONLY_SETS = ("conformal, not rehearsed", "conformal, one group", "conformal, LAC")
"""Forms whose coverage is told, not their AURC."""
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"


@dataclass(frozen=True)
class Piece:
    """A policy on a data set."""

    dataset: str
    policy: str
    record: dict[str, Any]
    valid: dict[str, np.ndarray]
    test: dict[str, np.ndarray]

    @property
    def name(self) -> str:
        return f"{self.dataset}, {self.policy}"

    @property
    def signals(self) -> list[str]:
        return [s for s in self.test if s not in FACTS and not s.startswith(ONLY_SETS)]


def pieces(work: Path) -> list[Piece]:
    """All that were kept."""
    found = []
    for path in sorted(work.glob("*/*/result.json")):
        arrays = [dict(np.load(path.parent / f"{part}.npz", allow_pickle=False)) for part in ("valid", "test")]
        found.append(Piece(path.parent.parent.name, path.parent.name, json.loads(path.read_text()), *arrays))
    return sorted(found, key=lambda p: (p.policy != "profile", p.policy, DATASETS.index(p.dataset)))


def aurc(signal: np.ndarray, loss: np.ndarray) -> float:
    return risk_coverage(-signal.astype(np.float64), loss).aurc


def aurc_table(every: list[Piece]) -> Iterator[str]:
    """A row per signal, a column per piece; those that are not told from the best of their column are marked."""
    names = list(dict.fromkeys(s for piece in every for s in piece.signals))
    cells: dict[str, dict[str, str]] = {name: {} for name in names}
    gained: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    lines: dict[str, list[str]] = {"*random*": [], "*oracle*": []}
    for piece in every:
        loss = 1 - piece.test["quality"]
        area = {name: aurc(piece.test[name], loss) for name in piece.signals}
        ideal = risk_coverage(-loss, loss).aurc
        lines["*random*"].append(f"{loss.mean():.4f}")
        lines["*oracle*"].append(f"{ideal:.4f}")
        best = min(area, key=area.__getitem__)
        for name, value in area.items():
            mark = "**" if name == best or not worse(piece, name, best, loss) else ""
            cells[name][piece.name] = f"{mark}{value:.4f}{mark}"
            way = (loss.mean() - value) / (loss.mean() - ideal)
            gained[name].setdefault(piece.policy, []).append(float(way))
    policies = list(dict.fromkeys(piece.policy for piece in every))
    ways = " | ".join(f"of the way to the oracle, {policy}" for policy in policies)
    yield f"| estimator | {' | '.join(p.name for p in every)} | {ways} |"
    yield "|---" * (len(every) + len(policies) + 1) + "|"
    yield f"| *oracle* | {' | '.join(lines['*oracle*'])} | {' | '.join('100 %' for _ in policies)} |"
    for name in sorted(names, key=lambda name: -float(np.mean(gained[name][policies[-1]]))):
        row = " | ".join(cells[name].get(p.name, "") for p in every)
        means = [f"{100 * np.mean(gained[name][p]):.1f} %" if p in gained[name] else "" for p in policies]
        yield f"| {name} | {row} | {' | '.join(means)} |"
    yield f"| *random* | {' | '.join(lines['*random*'])} | {' | '.join('0 %' for _ in policies)} |"


def worse(piece: Piece, name: str, best: str, loss: np.ndarray) -> bool:
    """Whether the paired bootstrap over queries tells ``name`` from ``best`` (95 %)."""
    rng, gaps = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        some = rng.integers(0, len(loss), len(loss))
        gaps.append(aurc(piece.test[name][some], loss[some]) - aurc(piece.test[best][some], loss[some]))
    return bool(np.quantile(gaps, 0.025) > 0)


def coverage_table(every: list[Piece]) -> Iterator[str]:
    """Every form of sets: over all queries with the 95 % interval of its sampling, and per group of the horizon."""
    yield "| sets | data, policy | level | coverage | 95 % | groups, most history first | mean size |"
    yield "|---" * 7 + "|"
    for label in dict.fromkeys(name for piece in every for name in piece.record["coverage"]):
        for piece in every:
            found = piece.record["coverage"].get(label)
            if found is None:
                continue
            whole, *groups = found["table"]
            wide = 1.96 * np.sqrt(0.09 * (1 / whole["queries"] + 1 / piece.record["queries"]["valid"][0]))
            held = " ".join(f"{row['coverage']:.3f}" for row in groups)
            yield (
                f"| {label} | {piece.name} | {found['level']:.4f} | {whole['coverage']:.4f} "
                f"| ± {wide:.4f} | {held} | {whole['mean_size']:.0f} |"
            )


def calibration_table(every: list[Piece]) -> Iterator[str]:
    """1 - total as P(target in the ten best): as stated, and after the map that validation chose."""
    yield "| estimator | data, policy | map | ECE stated | ECE mapped | ECE[mass] mapped | Brier mapped |"
    yield "|---" * 7 + "|"
    for piece in every:
        for name in piece.signals:
            if ":" in name or name not in piece.valid:
                continue
            before, after = (1 - part[name].astype(np.float64) for part in (piece.valid, piece.test))
            chosen = choose_recalibration(before, piece.valid["hit"], seed=0)
            raw, mapped = (CalibrationQuality.of(values, piece.test["hit"]) for values in (after, chosen(after)))
            yield (
                f"| {name} | {piece.name} | {chosen.kind} | {raw.ece:.4f} | {mapped.ece:.4f} "
                f"| {mapped.ece_mass:.4f} | {mapped.brier:.4f} |"
            )


def cost_table(every: list[Piece]) -> Iterator[str]:
    """Milliseconds per query that an estimator takes beside the policy, in batches of 256."""
    names = list(dict.fromkeys(s for piece in every for s in piece.record["seconds"] if s not in ONLY_SETS))
    yield f"| ms per query | {' | '.join(p.name for p in every)} |"
    yield "|---" * (len(every) + 1) + "|"
    for name in sorted(names, key=lambda n: n != "policy"):
        cells = []
        for piece in every:
            seconds = piece.record["seconds"].get(name)
            cells.append("" if seconds is None else f"{1000 * seconds / piece.record['queries']['test'][0]:.3f}")
        yield f"| {name} | {' | '.join(cells)} |"


def write_table(work: Path) -> None:
    """Put the tables into benchmarks/results/estimators.md, between its two marks."""
    every = pieces(work)
    tables = {
        "AURC": aurc_table,
        "Conformal coverage": coverage_table,
        "Calibration": calibration_table,
        "Cost": cost_table,
    }
    lines = [line for title, table in tables.items() for line in (f"### {title}", "", *table(every), "")]
    path = RESULTS / "estimators.md"
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text:
        text += f"\n{BEGIN}\n{END}\n"
    head, rest = text.split(BEGIN)
    made = "\n".join([BEGIN, "", *lines, END])
    path.write_text(head + made + rest.split(END)[1], encoding="utf-8")
    print("\n".join(lines))

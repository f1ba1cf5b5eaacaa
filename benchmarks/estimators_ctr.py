"""What `lightgbm-ctr` knows of its own certainty: log loss against evidential losses, on CoLLM's split of MovieLens 1M.

    python benchmarks/estimators_ctr.py --data PATH/ctr-ml-1m

Each loss is trained on the training file, stopped by the validation file, and scored once on the test file. AURC: rows
are kept in the order of a signal, the loss of a row is 1 where the likelier label is wrong. Vacuity is also shown by
how often the row's user and item were seen in training. Needs reasonrec-lightgbm, -evidential and -text. Writes
benchmarks/results/estimators_ctr.md.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ctr import observed
from reasonrec_lightgbm.ctr import CTRConfig, LightGBMCTR
from reasonrec_report.measure.risk_coverage import risk_coverage
from scipy.special import digamma

from reasonrec_core.components import FitData
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.evaluate import score_ctr, summarise
from reasonrec_core.types import Cases, Task

RESULTS = Path(__file__).parent / "results" / "estimators_ctr.md"
METRICS = ("AUC", "UAUC", "LogLoss", "Brier", "ECE")
LOSSES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("log loss", {}),
    ("dirichlet-mse, divergence 0.01", {"evidence": "dirichlet-mse", "divergence": 0.01}),
    ("dirichlet-digamma, divergence 0.01", {"evidence": "dirichlet-digamma", "divergence": 0.01}),
)
EDGES = (0, 1, 10, 50, 200)


def signals(delegate: LightGBMCTR, cases: Cases, fit: FitData) -> dict[str, np.ndarray]:
    """float64[rows] of the real candidates, larger = less sure."""
    batch = cases.queries
    assert batch.candidates is not None
    real = batch.candidates >= 0
    p = delegate.score(batch, fit.observation)[real].astype(np.float64)
    safe = np.clip(p, 1e-9, 1 - 1e-9)
    found = {"entropy of P(click)": -(safe * np.log(safe) + (1 - safe) * np.log(1 - safe)) / np.log(2)}
    if delegate.config.evidence:
        alpha = delegate.evidence(batch, fit.observation)[real].astype(np.float64) + 1
        whole = alpha.sum(axis=1)
        mean = alpha / whole[:, None]
        expected = digamma(whole + 1) - (mean * digamma(alpha + 1)).sum(axis=1)
        found |= {
            "expected entropy (aleatoric)": expected / np.log(2),
            "mutual information (epistemic)": found["entropy of P(click)"] - expected / np.log(2),
            "vacuity (epistemic)": 2 / whole,
        }
    return found


def measure(label: str, settings: dict[str, Any], fit: FitData, test: Cases) -> Iterator[str]:
    """The lines of one loss: quality, AURC, vacuity by what was seen."""
    delegate, started = LightGBMCTR(CTRConfig(**settings)), time.perf_counter()
    delegate.fit(fit)
    seconds = time.perf_counter() - started
    quality = summarise(score_ctr(delegate.score(test.queries, fit.observation), test), seed=fit.seed, resamples=500)
    cells = " | ".join(f"{quality[m]['value']:.4f}" for m in METRICS)
    low, high = (quality["AUC"][end] for end in ("low", "high"))
    yield f"| {label} | {cells} | {low:.4f} to {high:.4f} | {seconds:.0f} |"
    batch = test.queries
    assert batch.candidates is not None
    assert test.labels is not None
    real = batch.candidates >= 0
    p, y = delegate.score(batch, fit.observation)[real], test.labels[real] > 0.5
    wrong = ((p > 0.5) != y).astype(np.float64)
    told = signals(delegate, test, fit)
    ideal = risk_coverage(-wrong, wrong).aurc
    areas = {name: risk_coverage(-value, wrong).aurc for name, value in told.items()}
    said = ", ".join(f"{name} {area:.4f}" for name, area in sorted(areas.items(), key=lambda pair: pair[1]))
    yield f"- {label}: {said}; random {wrong.mean():.4f}, oracle {ideal:.4f}."
    if "vacuity (epistemic)" in told:
        counts = {
            "user": np.bincount(fit.train.users, minlength=fit.n_users)[np.repeat(batch.users, real.sum(axis=1))],
            "item": np.bincount(fit.train.items, minlength=len(fit.catalog))[batch.candidates[real]],
        }
        for what, seen in counts.items():
            group = np.searchsorted(EDGES, seen, side="right") - 1
            for part in ("vacuity (epistemic)", "expected entropy (aleatoric)"):
                means = [told[part][group == g].mean() if (group == g).any() else np.nan for g in range(len(EDGES))]
                yield f"= {label} | {what} | {part} | {' | '.join(f'{m:.3f}' for m in means)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/reasonrec/bench").expanduser())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bags", type=int, default=5)
    options = parser.parse_args()
    dataset = open_or_import(options.data, options.cache, seed=options.seed)
    split = make_split(dataset, SplitConfig(kind="predefined", seed=options.seed))
    nothing: Any = None
    bare = FitData(
        dataset.catalog, dataset.n_users, split.train, split.valid, nothing, task=Task.CTR, seed=options.seed
    )
    fit, lines = observed(bare, options.cache), list[str]()
    for label, settings in LOSSES:
        found = list(measure(label, {**settings, "bags": options.bags, "threads": 1}, fit, split.test))
        print("\n".join(found), flush=True)
        lines += found
    groups = [f"{low} to {high - 1}" for low, high in pairwise(EDGES)] + [f"{EDGES[-1]} on"]
    text = [
        "# Evidence of the click model",
        "",
        f"`python benchmarks/estimators_ctr.py --seed {options.seed} --bags {options.bags}` on {options.data.name}, "
        f"{date.today()}, Python {platform.python_version()}, one thread, shared with other work (seconds are upper "
        f"bounds). {len(split.train)} training rows, {len(split.test)} test rows.",
        "",
        f"| loss | {' | '.join(METRICS)} | AUC, 95 % | fit, s |",
        "|---" * (len(METRICS) + 3) + "|",
        *(line for line in lines if line.startswith("|")),
        "",
        "AURC of wrong labels by signal, best first:",
        "",
        *(line for line in lines if line.startswith("-")),
        "",
        "Means by how many training rows the user or the item has:",
        "",
        f"| loss | rows of the | mean | {' | '.join(groups)} |",
        "|---" * (len(groups) + 3) + "|",
        *(f"|{line[1:]}" for line in lines if line.startswith("=")),
        "",
    ]
    RESULTS.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()

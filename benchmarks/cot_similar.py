"""What users with similar choices add to `cot` on click labels, and what asking them takes.

    python benchmarks/cot_exit.py --data ../shared/data/ctr-ml-1m
    python benchmarks/cot_similar.py --data ../shared/data/ctr-ml-1m

CoLLM's time split of MovieLens 1M. The tuned model's log odds of yes are those that benchmarks/cot_exit.py left under
``--work``. Weighed with them are how often an item was clicked in training and, or not, how many of the N users whose
training clicks are most like the request's history clicked it (cosines of lightgcn's vectors, fitted to the training
clicks, its start at the graph's singular vectors or learned from nothing). N and the vectors are chosen by the AUC of
the cross-fitted decision on 2,000 validation rows; the test file is scored once. Differences are paired by row, users
resampled. Needs reasonrec-cot, -text and -graph. Writes benchmarks/results/cot_similar.md.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from cot_ctr import some
from ctr import observed
from reasonrec_cot.answers.fit_fusion import CROSSED
from reasonrec_cot.items.click_counts import ClickCounts
from reasonrec_cot.items.similar_users import SimilarUsers, gather_evidence
from reasonrec_cot.similar_config import SimilarUsersConfig
from reasonrec_cot.tuning.fusion import fit_click_fusion
from scipy.special import expit
from threadpoolctl import threadpool_limits

from reasonrec_core.components import FitData
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.evaluate import compare_all, score_ctr, summarise
from reasonrec_core.types import Cases, Float32, Task

RESULTS = Path(__file__).parent / "results" / "cot_similar.md"
COUNTS = (3, 10, 30)
WAYS: dict[str, dict[str, Any]] = {"learned": {}, "singular vectors": {"start": "spectral"}}
METRICS = ("AUC", "UAUC", "LogLoss")
WITH, WITHOUT = "with similar users", "without"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ctr-ml-1m"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "cot-exit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Fit, choose, score, time, write."""
    dataset = open_or_import(options.data, options.cache / "bench", seed=options.seed)
    split = make_split(dataset, SplitConfig(kind="predefined", seed=options.seed))
    nothing: Any = None
    fit = observed(
        FitData(dataset.catalog, dataset.n_users, split.train, split.valid, nothing, task=Task.CTR, seed=options.seed),
        options.cache / "bench",
    )
    odds = {part: np.load(options.work / f"{part}.npy")[:, -1].astype(np.float32) for part in ("valid", "test")}
    valid, test = some(split.valid, len(odds["valid"])), some(split.test, len(odds["test"]))
    counts = ClickCounts.of(fit.train, len(fit.catalog))
    tried: dict[tuple[str, int], tuple[SimilarUsers, float, float]] = {}
    for way, settings in WAYS.items():
        started = time.process_time()
        config = SimilarUsersConfig(settings=settings, count=max(COUNTS))
        found = SimilarUsers.fit(config, fit)
        seconds = time.process_time() - started
        for count in COUNTS:
            fewer = replace(found, config=config.model_copy(update={"count": count}))
            tried[way, count] = (fewer, auc_of(odds["valid"], valid, counts, fewer, fit), seconds)
            print(way, count, tried[way, count][1:], flush=True)
    base = auc_of(odds["valid"], valid, counts, None, fit)
    best = max(tried, key=lambda each: tried[each][1])
    chosen = tried[best][0]
    answers = {
        name: weigh(odds, valid, test, counts, similar, fit) for name, similar in ((WITHOUT, None), (WITH, chosen))
    }
    write(
        options,
        tried,
        best,
        base,
        {name: score_ctr(each, test) for name, each in answers.items()},
        fetch(chosen, test, fit),
    )


def auc_of(odds: Float32, valid: Cases, counts: ClickCounts, similar: SimilarUsers | None, fit: FitData) -> float:
    """Of the cross-fitted decision."""
    found = fit_click_fusion(odds, valid, gather_evidence(valid, counts, similar, fit), fit).report["figures"]
    return float(found[CROSSED]["AUC"])


def weigh(
    odds: dict[str, Float32], valid: Cases, test: Cases, counts: ClickCounts, similar: SimilarUsers | None, fit: FitData
) -> Float32:
    """P(click) of the test rows."""
    fitted = fit_click_fusion(odds["valid"], valid, gather_evidence(valid, counts, similar, fit), fit).decision
    assert fitted is not None
    said = {"yes": expit(odds["test"])[:, None].clip(1e-6, 1 - 1e-6).astype(np.float32)}
    said |= gather_evidence(test, counts, similar, fit)
    return fitted(said, np.full(len(test), 0.5, np.float32))


def fetch(similar: SimilarUsers, test: Cases, fit: FitData) -> float:
    """Milliseconds of the processor for one request alone, the median of 200."""
    spent = []
    seen = replace(fit.observation, horizon=np.full(1, 0.5, np.float32))
    for row in range(200):
        single = test.queries.slice(row, row + 1)
        started = time.process_time()
        similar.look_up(single, seen)
        spent.append(1000 * (time.process_time() - started))
    return float(np.median(spent))


def write(
    options: argparse.Namespace,
    tried: dict[tuple[str, int], tuple[SimilarUsers, float, float]],
    best: tuple[str, int],
    base: float,
    scores: dict[str, Any],
    milliseconds: float,
) -> None:
    """The results page."""
    lines = [
        "# Similar users beside the cot policy: clicks",
        "",
        f"`python benchmarks/cot_similar.py --threads {options.threads} --seed {options.seed}`, {date.today()}, Python "
        f"{platform.python_version()}, one of two cores of an AMD EPYC, 24 GB, shared with other work.",
        "",
        " ".join(__doc__.split("\n\n")[2].split("Needs")[0].split()),
        "",
        f"Validation, AUC of the cross-fitted decision; without similar users {base:.4f}:",
        "",
        "| vectors | N | AUC | fitted in |",
        "|---|---|---|---|",
    ]
    for each, (_, auc, seconds) in tried.items():
        mark = "**" if each == best else ""
        lines.append(f"| {mark}{each[0]}{mark} | {each[1]} | {auc:.4f} | {seconds:.0f} s |")
    lines += ["", f"Test; one request alone takes {milliseconds:.2f} ms more:", ""]
    lines += [f"| | {' | '.join(METRICS)} |", "|---|" + "---|" * len(METRICS)]
    for name, score in scores.items():
        values = summarise(score, seed=options.seed, resamples=1000)
        cells = [f"{values[m]['value']:.4f} ({values[m]['low']:.3f} to {values[m]['high']:.3f})" for m in METRICS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    made = compare_all(scores, WITHOUT, METRICS, seed=options.seed)
    cells = [f"{d.difference:+.4f} ({d.low:+.4f} to {d.high:+.4f}), p {d.p:.4f}" for d in made]
    lines += [f"| {WITH} minus {WITHOUT} | {' | '.join(cells)} |", ""]
    RESULTS.write_text("\n".join(lines))
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()

"""`lightgbm-rank` against the delegates whose candidates it ranks.

    python benchmarks/lightgbm_rank.py amazon-beauty ml-100k hm-week --data PATH

Leave-one-out, full ranking, history masked, ties counted against the system. Everything is fitted on the training
part; validation stops the trees and fits the parameters of `transitions`, so only test figures compare systems.
p: paired bootstrap against lightgbm-rank, Holm-corrected within the dataset. Item content: the fields, without
sentence vectors. ``NDCG@10[uni99]``: the target among 99 random items, by the same fitted systems.
Needs reasonrec-lightgbm and reasonrec-implicit. Writes benchmarks/results/lightgbm_rank.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from reasonrec_lightgbm.rank import LightGBMRank, RankConfig

from reasonrec_core.components import Delegate, FitData, Kind
from reasonrec_core.data import SplitConfig, draw_candidates, make_split, open_or_import
from reasonrec_core.evaluate import Scores, compare_all, evaluate_ranking, summarise
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.registry import Registry
from reasonrec_core.types import Observation, QueryBatch, Ranking

RESULTS = Path(__file__).parent / "results" / "lightgbm_rank.md"
METRICS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")


def fresh(name: str) -> Delegate[Any]:
    delegate = Registry.discover().create(Kind.DELEGATE, name, {})
    assert isinstance(delegate, Delegate)
    return delegate


def measure(name: str, data: Path, cache: Path, candidates: tuple[str, ...], seed: int) -> list[str]:
    dataset = open_or_import(data / name, cache, seed=seed)
    split = make_split(dataset, SplitConfig(kind="leave-one-out", seed=seed))
    lists = draw_candidates(split.test, dataset, 99, seed)
    horizon = EvidenceHorizonScale.fit(np.bincount(split.train.users, minlength=dataset.n_users).astype(np.int64))
    seen = Observation({}, {}, horizon(split.valid.queries))
    fit = FitData(
        dataset.catalog, dataset.n_users, split.train, split.valid, seen, seed=seed, delegate=fresh, horizon=horizon
    )
    ranker = LightGBMRank(RankConfig(candidates=candidates))
    started = time.perf_counter()
    ranker.fit(fit)
    seconds = time.perf_counter() - started
    systems: dict[str, Delegate[Any]] = {"lightgbm-rank": ranker, **ranker.delegates}
    lines, tests = [], {}
    for label, system in systems.items():

        def answer(batch: QueryBatch, system: Delegate[Any] = system) -> Ranking:
            return system.recommend(batch, replace(seen, horizon=horizon(batch)))

        scores: dict[str, Scores] = {
            part: evaluate_ranking(answer, cases, (5, 10), n_items=dataset.n_items)
            for part, cases in (("valid", split.valid), ("test", split.test))
        }
        given = evaluate_ranking(answer, lists, (10,), n_items=dataset.n_items)
        sampled = summarise(given, seed=seed, resamples=500)["NDCG@10[uni99]"]["value"]
        tests[label] = scores["test"]
        for part, found in scores.items():
            summary = summarise(found, seed=seed, resamples=500)
            cells = " | ".join(f"{summary[m]['value']:.4f}" for m in METRICS)
            direct = f"{sampled:.4f}" if part == "test" else ""
            lines.append(f"| {label} | {part} | {cells} | {direct} | {found.seconds:.1f} |")
            print(lines[-1], flush=True)
    against = compare_all(tests, "lightgbm-rank", ["NDCG@10"], seed=seed)
    gains = sorted(ranker.importance().items(), key=lambda pair: -pair[1])[:8]
    total = sum(ranker.importance().values())
    return [
        f"## {name}",
        "",
        f"{dataset.n_users} users, {dataset.n_items} items, {len(split.train)} training interactions, "
        f"{len(split.test)} test queries; fit {seconds:.0f} s with everything inside.",
        "",
        f"| system | part | {' | '.join(METRICS)} | NDCG@10[uni99] | seconds |",
        "|---|---|---|---|---|---|---|---|",
        *lines,
        "",
        *[f"- {c.a} against {c.b}, test {c.metric}: {c.difference:+.4f}, p = {c.p_corrected:.4f}" for c in against],
        "- gain: " + ", ".join(f"{n} {g / total:.0%}" for n, g in gains) + ".",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/reasonrec/bench").expanduser())
    parser.add_argument("--candidates", default="transitions,implicit-als")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    candidates = tuple(options.candidates.split(","))
    found = [line for n in options.names for line in measure(n, options.data, options.cache, candidates, options.seed)]
    RESULTS.write_text(
        "\n".join(
            [
                "# LambdaRank over delegates",
                "",
                f"`python benchmarks/lightgbm_rank.py {' '.join(options.names)} --candidates {options.candidates} "
                f"--seed {options.seed}`, {date.today()}, Python {platform.python_version()}, {os.cpu_count()} cores "
                "of an AMD EPYC, 24 GB, shared with other work (so seconds are upper bounds).",
                "",
                " ".join(__doc__.split("\n\n")[2].split("Needs")[0].split()),
                "",
                *found,
            ]
        )
    )


if __name__ == "__main__":
    main()

"""Every delegate under one protocol: quality, seconds of the fit, milliseconds of a request, memory.

    python benchmarks/models.py run amazon-beauty --models sasrec lightgcn --seeds 0 1 2 --data ../shared/data
    python benchmarks/models.py run ml-1m --models sasrec --set '{"dropout": 0.2}' --name "sasrec, dropout .2"
    python benchmarks/models.py table

Leave-one-out, full ranking, history masked, ties counted against the system; fitted on the training part, settings and
epochs chosen on validation. The test part is answered only where ``--test`` is given. Each fit is a process of its own
(so that its memory is its own) with ``--threads`` threads, is kept in benchmarks/results/models.json with the
per-query results beside ``--work`` (so that any two can be compared), and is not done twice; a killed one goes on where
its training stood. ``table`` writes benchmarks/results/models.md, from which docs/models.md takes its figures.
Needs the packages of the delegates, reasonrec-text and reasonrec-timm.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from profile_policy import METRICS, Bench, observing, prepare
from progress import tell
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, Kind
from reasonrec_core.io import content_hash, write_json, write_text
from reasonrec_core.registry import Registry

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / "models.json"
REQUESTS = 60
EVERY = (
    "popularity", "transitions", "ease", "slim", "user-knn", "content-knn", "implicit-als", "implicit-bpr",
    "implicit-itemknn", "lightgbm-rank", "lightgcn", "sgl", "alpharec", "sasrec", "bsarec", "lightsans", "convformer",
    "gru",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "one", "table"])
    parser.add_argument("dataset", nargs="?")
    parser.add_argument("--models", nargs="+", default=list(EVERY))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--set", type=json.loads, default={}, help="settings of the model, as JSON")
    parser.add_argument("--name", help="call it something else (with --set)")
    parser.add_argument("--test", action="store_true", help="also answer the test queries")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path("runs/models"))
    options = parser.parse_args()
    if options.what == "table":
        write_text(RESULTS / "models.md", make_table(read_kept()))
    elif options.what == "one":
        measure(options)
    else:
        for model in options.models:
            for seed in options.seeds:
                start(options, model, seed)


def read_kept() -> dict[str, Any]:
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}


def identify(options: argparse.Namespace, model: str, seed: int) -> str:
    return f"{options.dataset} | {options.name or model} | {seed}"


def start(options: argparse.Namespace, model: str, seed: int) -> None:
    """Fit in a process of its own, unless that is done."""
    found = read_kept().get(identify(options, model, seed))
    if found is not None and found["settings"] == options.set and ("test" in found or not options.test):
        return
    given = [str(Path(__file__)), "one", options.dataset, "--models", model, "--seeds", str(seed)]
    given += ["--set", json.dumps(options.set), "--threads", str(options.threads), "--data", str(options.data)]
    given += ["--cache", str(options.cache), "--work", str(options.work), *(["--test"] if options.test else [])]
    given += ["--name", options.name] if options.name else []
    if subprocess.run([sys.executable, *given], check=False).returncode:
        print(f"{identify(options, model, seed)}: failed", flush=True)


def measure(options: argparse.Namespace) -> None:
    """One model with one seed."""
    (model,), (seed,) = options.models, options.seeds
    with threadpool_limits(options.threads):
        limit_torch(options.threads)
        bench = prepare(options.dataset, options.data, options.cache, 0)
        key = content_hash(options.dataset, model, seed, options.set)
        folder = options.work / key
        fit = replace(bench.fit, seed=seed, workdir=folder, progress=tell(), delegate=None)
        delegate = Registry.discover().create(Kind.DELEGATE, model, options.set)
        assert isinstance(delegate, Delegate)
        made = Registry.discover()
        fit = replace(fit, delegate=lambda name: made.create(Kind.DELEGATE, name, {}))
        before = time.perf_counter()
        delegate.fit(fit)
        found: dict[str, Any] = {
            "settings": options.set, "fit_seconds": round(time.perf_counter() - before, 1), "threads": options.threads,
            "python": platform.python_version(), "date": str(date.today()), "queries": key,
        }  # fmt: skip
        for part in ("valid", "test") if options.test else ("valid",):
            scores = bench.score(observing(delegate.recommend, bench), part)
            found[part] = {name: round(float(scores.values[name]), 4) for name in METRICS}
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{part}.npy", np.asarray(scores.per_query["NDCG@10"]))
        found["request_ms"] = round(time_requests(delegate, bench), 2)
        found["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    kept = read_kept()
    kept[identify(options, model, seed)] = found
    write_json(KEPT, dict(sorted(kept.items())))
    print(identify(options, model, seed), json.dumps(found), flush=True)


def limit_torch(threads: int) -> None:
    try:
        import torch
    except ModuleNotFoundError:
        return
    torch.set_num_threads(threads)


def time_requests(delegate: Delegate[Any], bench: Bench) -> float:
    """Median milliseconds of a request of one, warm."""
    queries, spent = bench.split.valid.queries, []
    for row in range(min(REQUESTS, len(queries))):
        batch = queries.slice(row, row + 1)
        seen = bench.observe(batch)
        before = time.perf_counter()
        delegate.recommend(batch, seen)
        spent.append(time.perf_counter() - before)
    return 1000 * float(np.median(spent[len(spent) // 3 :]))


def make_table(kept: dict[str, Any]) -> str:
    """A section per data set; means over seeds, best first by validation."""
    lines = ["# Delegates under one protocol", "", " ".join((__doc__ or "").split("\n\n")[2].split()), ""]
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, found in kept.items():
        dataset, model, _ = name.split(" | ")
        groups.setdefault(dataset, {}).setdefault(model, []).append(found)
    for dataset, models in groups.items():
        lines += [f"## {dataset}", "", "| delegate | seeds | validation HR@10 | NDCG@10 | test HR@10 | NDCG@10 "]
        lines[-1] += "| fit, s | request, ms | peak, MB |"
        lines.append("|---|---|---|---|---|---|---|---|---|")
        for model in sorted(models, key=lambda m: -mean_of(models[m], "valid", "NDCG@10")):
            runs = models[model]
            cells = [f"{mean_of(runs, part, name):.4f}" for part in ("valid", "test") for name in ("HR@10", "NDCG@10")]
            more = [f"{np.mean([r[key] for r in runs]):.{d}f}" for key, d in (("fit_seconds", 0), ("request_ms", 2))]
            more.append(f"{max(r['peak_mb'] for r in runs)}")
            lines.append(f"| {model} | {len(runs)} | {' | '.join(cells + more).replace('nan', '')} |")
        lines.append("")
    return "\n".join(lines)


def mean_of(runs: list[dict[str, Any]], part: str, name: str) -> float:
    values = [r[part][name] for r in runs if part in r]
    return float(np.mean(values)) if values else float("nan")


if __name__ == "__main__":
    main()

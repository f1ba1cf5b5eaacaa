"""Every delegate under one protocol: quality, seconds of the fit, milliseconds of a request, memory.

    python benchmarks/models.py run amazon-beauty --models sasrec lightgcn --seeds 0 1 2 --data ../shared/data
    python benchmarks/models.py run ml-1m --models sasrec --set '{"dropout": 0.2}' --name "sasrec, dropout .2"
    python benchmarks/models.py compare amazon-beauty sasrec bsarec
    python docs/generate.py

Protocols: see `model_protocols`. Settings and epochs are chosen on validation; the test part is answered only where
``--test`` is given. Each fit is a process of its own (so that its memory is its own) with ``--threads`` threads, is
kept in benchmarks/results/models.json with the result of each query under ``--work`` (so that any two can be
compared; of clicks the probabilities, see `click_pairs`), and is not done twice; a killed one goes on where its
training stood, and then its seconds are not known.
docs/models.md is made from the results by ``docs/generate.py``.
Needs the packages of the delegates, and reasonrec-text and reasonrec-timm for those that look at content.
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
from click_pairs import compare_clicks, list_clicks
from model_protocols import GROUPED, Bench, prepare, reads_content
from progress import tell
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, Kind
from reasonrec_core.evaluate import Scores
from reasonrec_core.io import content_hash, read_arrays, write_arrays, write_json
from reasonrec_core.registry import Registry

KEPT = Path(__file__).parent / "results" / "models.json"
REQUESTS, DRAWS = 60, 2000
GROUPS = ("rare items", "less popular items", "few interactions", "among new items", "outside carts")
COMPARED = (
    "HR@10", "NDCG@10", "Recall@20", "NDCG@20", "HR@50", "NDCG@50", *(f"{m} {g}" for g in GROUPS for m in GROUPED),
)  # fmt: skip
EVERY = (
    "popularity", "transitions", "ease", "slim", "user-knn", "content-knn", "implicit-als", "implicit-bpr",
    "implicit-itemknn", "lightgbm-rank", "lightgcn", "sgl", "gcm", "alpharec", "recgoat", "ssr", "sasrec", "bsarec",
    "lightsans", "convformer", "gru", "ada-retrieval",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "one", "compare"])
    parser.add_argument("dataset")
    parser.add_argument("names", nargs="*", help="of two results to compare")
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
    if options.what == "one":
        measure(options)
    elif options.what == "compare":
        compare(options)
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
        bench = prepare(options.dataset, options.data, options.cache, reads_content(model, options.set))
        key = content_hash(options.dataset, model, seed, options.set)
        folder = options.work / key
        resumed = any(folder.rglob("*.safetensors"))
        made = Registry.discover()
        delegate = made.create(Kind.DELEGATE, model, options.set)
        assert isinstance(delegate, Delegate)
        fit = replace(bench.fit, seed=seed, workdir=folder, progress=tell())
        fit = replace(fit, delegate=lambda name: made.create(Kind.DELEGATE, name, {}))
        before, used = time.perf_counter(), time.process_time()
        delegate.fit(fit)
        seconds: tuple[float | None, float | None]
        seconds = (round(time.perf_counter() - before, 1), round(time.process_time() - used, 1))
        known: dict[str, Any] = {}
        if resumed:  # a training that was finished is found again, and what it took is what was measured then
            earlier = read_kept().get(identify(options, model, seed), {})
            known = earlier if earlier.get("queries") == key else {}
            seconds = (known.get("fit_seconds"), known.get("fit_processor_seconds"))
        found: dict[str, Any] = {
            "model": model, "distribution": made.spec(Kind.DELEGATE, model).distribution, "protocol": bench.protocol,
            "settings": options.set, "fit_seconds": seconds[0], "fit_processor_seconds": seconds[1],
            "threads": options.threads, "request_ms": round(time_requests(delegate, bench), 2),
            "python": platform.python_version(), "date": str(date.today()), "queries": key,
        }  # fmt: skip
        for part in ("valid", "test") if options.test else ("valid",):
            scores = bench.score(bench.finish(delegate) if part == "test" else delegate, part)
            found[part] = {name: round(float(scores.values[name]), 4) for name in bench.metrics}
            folder.mkdir(parents=True, exist_ok=True)
            write_arrays(folder / f"{part}.npz", list_results(scores))
        peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        found["peak_mb"] = max(peak, known.get("peak_mb") or 0)
    kept = read_kept()
    kept[identify(options, model, seed)] = found
    write_json(KEPT, dict(sorted(kept.items())))
    print(identify(options, model, seed), json.dumps(found), flush=True)


def list_results(scores: Scores) -> dict[str, Any]:
    """What two delegates are compared by: rankings' metrics of each query, clicks themselves."""
    if scores.clicks is not None:
        return list_clicks(scores)
    return {name: np.asarray(values) for name, values in scores.per_query.items() if "@" in name}


def limit_torch(threads: int) -> None:
    try:
        import torch
    except ModuleNotFoundError:
        return
    torch.set_num_threads(threads)


def time_requests(delegate: Delegate[Any], bench: Bench) -> float:
    """Median milliseconds of processor time of a request of one, warm."""
    queries, spent = bench.split.valid.queries, []
    for row in range(min(REQUESTS, len(queries))):
        batch = queries.slice(row, row + 1)
        seen = bench.observe(batch)
        before = time.process_time()
        if bench.protocol == "clicks":
            delegate.score(batch, seen)
        else:
            delegate.recommend(batch, seen)
        spent.append(time.process_time() - before)
    return 1000 * float(np.median(spent[len(spent) // 3 :]))


def compare(options: argparse.Namespace) -> None:
    """The difference of two, query by query, averaged over the seeds that both have; its 95 % by resampled users."""
    kept, (first, other) = read_kept(), options.names
    for part in ("valid", "test"):
        means: list[dict[str, Any]] = []
        clicks: list[list[dict[str, Any]]] = []
        seeds = [s for s in range(99) if all(f"{options.dataset} | {n} | {s}" in kept for n in options.names)]
        files = {
            (n, s): options.work / kept[f"{options.dataset} | {n} | {s}"]["queries"] / f"{part}.npz"
            for n in options.names
            for s in seeds
        }
        seeds = [s for s in seeds if all(files[n, s].is_file() for n in options.names)]
        for name in (first, other):
            found = [read_arrays(files[name, s]) for s in seeds]
            clicks.append([each for each in found if "probability" in each])
            means.append({m: np.mean([f[m] for f in found], axis=0) for m in found[0]} if found else {})
        if all(clicks):
            for line in compare_clicks(*clicks):
                print(f"{part} {line.replace('|', f'{first} - {other}')}")
            continue
        for metric in [m for m in COMPARED if all(m in x for x in means)]:
            asked = ~np.isnan(means[0][metric])
            if not asked.any():  # a group that nobody here is in
                continue
            gap, base = (means[0][metric] - means[1][metric])[asked], means[1][metric][asked].mean()
            rng = np.random.default_rng(0)
            drawn = [gap[rng.integers(0, len(gap), len(gap))].mean() for _ in range(DRAWS)]
            low, high = np.quantile(drawn, (0.025, 0.975))
            share = f"{gap.mean() / base:+.1%}" if base else "of nothing"
            print(f"{part} {metric} {first} - {other}: {gap.mean():+.4f} ({low:+.4f} to {high:+.4f}), {share}")


if __name__ == "__main__":
    main()

"""Every delegate under one protocol: quality, seconds of the fit, milliseconds of a request, memory.

    python benchmarks/models.py plan
    python benchmarks/models.py run --data ../shared/data
    python benchmarks/models.py compare amazon-beauty sasrec bsarec convformer
    python docs/generate.py

What is measured stands in models.toml: ``plan`` shows how much of it is, ``run`` measures the rest, of one data set
where one is named. Anything else is measured by naming it:

    python benchmarks/models.py run ml-1m --models sasrec --set '{"dropout": 0.2}' --name "sasrec, dropout .2"

Protocols: see `model_protocols`. Settings and epochs are chosen on validation; the test part is answered only where
the plan or ``--test`` says so. Each fit is a process of its own (so that its memory is its own) with ``--threads``
threads, is kept in benchmarks/results/models.json with the result of each query under ``--work`` (so that any two can
be compared, see `model_pairs`), and is not done twice; a killed one goes on where its training stood, and then its
seconds are not known.
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
from click_pairs import list_clicks
from machine import name_processor
from model_pairs import compare_kept
from model_plan import KEPT, PLAN, Fit, check_settings, choose_fits, read_kept, read_plan, show_plan
from model_protocols import Bench, prepare, reads_content
from progress import tell
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, Kind
from reasonrec_core.errors import ReasonRecError
from reasonrec_core.evaluate import Scores
from reasonrec_core.io import content_hash, write_arrays, write_json
from reasonrec_core.registry import Registry

REQUESTS = 60


def main() -> None:
    options = parse_options()
    try:
        if options.what == "one":
            measure(options)
        elif options.what == "compare":
            print("\n".join(compare_kept(options.dataset, options.names, read_kept(options.kept), options.work)))
        elif options.what == "plan":
            plan = choose_fits(read_plan(Registry.discover(), options.plan), options.dataset)
            kept = {k: v for k, v in read_kept(options.kept).items() if options.dataset in (None, k.split(" | ")[0])}
            print("\n".join(show_plan(plan, kept)))
        else:
            run(options)
    except ReasonRecError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["plan", "run", "compare", "one"], help="one: a single fit, in this process")
    parser.add_argument("dataset", nargs="?", help="all of the plan's where it is left out (plan, run)")
    parser.add_argument("names", nargs="*", help="compare: results, the first with each of the others")
    parser.add_argument("--models", nargs="+", help="run: these delegates, planned or not")
    parser.add_argument("--seeds", nargs="+", type=int, help="with --models; 0 where they are left out")
    parser.add_argument("--set", type=read_json_text, help="with --models: their settings, as JSON")
    parser.add_argument("--name", help="with --models: call it something else (with --set)")
    parser.add_argument("--test", action="store_true", help="with --models: also answer the test queries")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path("runs/models"), help="answers and trainings")
    parser.add_argument("--plan", type=Path, default=PLAN, help="what to measure")
    parser.add_argument("--kept", type=Path, default=KEPT, help="what was measured")
    options = parser.parse_args()
    if options.what == "compare" and len(options.names) < 2:
        parser.error("compare needs a data set and two names or more")
    if options.what != "compare" and options.names:
        parser.error(f"{options.what} takes one data set, not also {' '.join(options.names)}")
    if options.models and not options.dataset:
        parser.error("--models needs a data set")
    if not options.models and (options.what == "one" or options.seeds or options.set or options.name or options.test):
        parser.error("--seeds, --set, --name and --test go with --models; what else is measured stands in models.toml")
    if options.name and len(options.models) > 1:
        parser.error("--name is the name of one model")
    options.seeds, options.set = options.seeds or [0], options.set or {}
    return options


def read_json_text(text: str) -> dict[str, Any]:
    """Settings from the command line."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no table of settings, like '{{\"layers\": 2}}'")
    return found


def run(options: argparse.Namespace) -> None:
    """Every fit that is asked for and not kept, one after another."""
    registry = Registry.discover()
    if options.models:
        asked = [
            Fit(options.dataset, model, options.name or model, options.set, seed, options.test)
            for model in options.models
            for seed in options.seeds
        ]
    else:
        asked = choose_fits(read_plan(registry, options.plan), options.dataset)
    kept = read_kept(options.kept)
    missing = [fit for fit in asked if not fit.is_kept(kept)]
    check_settings(missing, registry)
    print(f"{len(asked) - len(missing)} of {len(asked)} fits are kept, {len(missing)} to go", flush=True)
    failed = [fit.key for fit in missing if not start(options, fit)]
    if failed:
        raise SystemExit(f"{len(failed)} of {len(missing)} fits failed: {'; '.join(failed)}")


def start(options: argparse.Namespace, fit: Fit) -> bool:
    """Fit in a process of its own, unless another command has done it by now; whether that went well."""
    if fit.is_kept(read_kept(options.kept)):
        return True
    given = [str(Path(__file__)), "one", fit.dataset, "--models", fit.model, "--seeds", str(fit.seed)]
    given += ["--set", json.dumps(fit.settings), "--threads", str(options.threads), "--data", str(options.data)]
    given += ["--cache", str(options.cache), "--work", str(options.work), *(["--test"] if fit.test else [])]
    given += ["--name", fit.name, "--kept", str(options.kept)]
    done = subprocess.run([sys.executable, *given], check=False).returncode == 0
    if not done:
        print(f"{fit.key}: failed", flush=True)
    return done


def measure(options: argparse.Namespace) -> None:
    """One model with one seed."""
    (model,), (seed,) = options.models, options.seeds
    name = Fit(options.dataset, model, options.name or model, options.set, seed, options.test).key
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
        bench = replace(bench, fit=fit)  # a fit on all rows has the same seed
        before, used = time.perf_counter(), time.process_time()
        delegate.fit(fit)
        seconds: tuple[float | None, float | None]
        seconds = (round(time.perf_counter() - before, 1), round(time.process_time() - used, 1))
        known: dict[str, Any] = {}
        if resumed:  # a training that was finished is found again, and what it took is what was measured then
            earlier = read_kept(options.kept).get(name, {})
            known = earlier if earlier.get("queries") == key else {}
            seconds = (known.get("fit_seconds"), known.get("fit_processor_seconds"))
        found: dict[str, Any] = {
            "model": model, "distribution": made.spec(Kind.DELEGATE, model).distribution, "protocol": bench.protocol,
            "settings": options.set, "fit_seconds": seconds[0], "fit_processor_seconds": seconds[1],
            "threads": options.threads, "request_ms": round(time_requests(delegate, bench), 2),
            "python": platform.python_version(), "date": str(date.today()), "queries": key,
            "processor": name_processor(),
        }  # fmt: skip
        for part in ("valid", "test") if options.test else ("valid",):
            scores = bench.score(bench.finish(delegate) if part == "test" else delegate, part)
            values = {name: float(scores.values[name]) for name in bench.metrics}  # NaN: a group that nobody is in
            found[part] = {name: round(value, 4) for name, value in values.items() if not np.isnan(value)}
            folder.mkdir(parents=True, exist_ok=True)
            write_arrays(folder / f"{part}.npz", list_results(scores))
        peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        found["peak_mb"] = max(peak, known.get("peak_mb") or 0)
    kept = read_kept(options.kept)
    kept[name] = found
    write_json(options.kept, dict(sorted(kept.items())))
    print(name, json.dumps(found), flush=True)


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


if __name__ == "__main__":
    main()

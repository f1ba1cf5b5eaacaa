"""The `cot` policy: tuned and untuned, against its candidate generator and delegates, in parts; a piece at a time.

    python benchmarks/cot.py run ml-100k --seed 0 --data ../shared/data
    python benchmarks/cot.py run ml-100k --variant "without pictures"
    python benchmarks/cot.py baselines ml-100k
    python benchmarks/cot.py table ml-100k

``run`` fits one form (see `VARIANTS`) with one seed, and answers the validation queries of the sequential task (all
items ranked: the policy re-ranks the best 20 of its generator) and of the direct one (1 + 99); the test queries only
where ``--test`` is given. ``baselines`` does the same with delegates. Each piece is kept under ``--work`` (per-query
results too, so that any two can be compared), is not done twice, and a killed tuning goes on. ``table`` compares all
pieces with the full form, paired by query. ``--minutes`` bounds a tuning. Needs reasonrec-cot, -text, -timm and
-implicit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from profile_policy import Bench, prepare
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, Kind, ReasoningPolicy
from reasonrec_core.data.splits import direct_split
from reasonrec_core.evaluate import Scores, compare, evaluate_ranking
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, QueryBatch, Ranking, Task

K = (1, 5, 10)
METRICS = ("HR@1", "HR@5", "NDCG@5", "HR@10", "NDCG@10")
DELEGATES = ("popularity", "transitions", "implicit-als", "implicit-itemknn")
TUNED: dict[str, Any] = {
    "answer": "head",
    "prompt": {"history": 50, "history_text": "none"},
    "shortlist": {"delegate": "transitions", "size": 20},
    "tuning": {"steps": 20_000},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "untuned, labels": {"answer": "label", "tuning": None, "prompt": {"history": 10, "history_text": "line"}},
    "untuned, titles": {"answer": "title", "tuning": None, "prompt": {"history": 10, "history_text": "line"}},
    "tuned, labels": {"answer": "label", "tuning": {"shares": {"sequential": 0.3, "direct": 1.0}}},
    "with reasoning text": {"tuning": {"thoughts": 0.5}, "thought": {"observe": 48, "deliberate": 96}},
    "trained on reasoning text, none written": {"tuning": {"thoughts": 0.5}},
    "with titles in the history": {"prompt": {"history": 20, "history_text": "title"}},
    "without pictures": {},
    "without features of text and pictures": {},
    "without curriculum": {"tuning": {"curriculum": {"kind": "none"}}},
    "shortened histories": {"tuning": {"curriculum": {"kind": "truncation"}}},
    "without collaborative vectors": {"tuning": {"collaborative": 0}},
    "without adapters": {"tuning": {"lora": {"rank": 0}}},
    "head alone": {"tuning": {"pairs": 0}},
}
"""What differs from `TUNED`."""
WITHOUT = {"without pictures": ("image",), "without features of text and pictures": ("image", "text")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "baselines", "table"])
    parser.add_argument("dataset")
    parser.add_argument("--variant", default="full", choices=list(VARIANTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="bound of a tuning")
    parser.add_argument("--test", action="store_true", help="also answer the test queries")
    parser.add_argument("--set", type=json.loads, default={}, help="further settings of the policy, as JSON")
    parser.add_argument("--name", help="call this form something else (with --set)")
    parser.add_argument("--queries", type=int, help="answer only so many queries of each kind")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "cot-benchmark")
    given = parser.parse_args()
    with threadpool_limits(given.threads):
        {"run": run, "baselines": baselines, "table": table}[given.what](given)


def run(given: argparse.Namespace) -> None:
    """One form of the policy with one seed."""
    import torch

    torch.set_num_threads(given.threads)
    name = given.name or given.variant
    folder = given.work / given.dataset / name / str(given.seed)
    (folder / "work").mkdir(parents=True, exist_ok=True)
    bench = prepare(given.dataset, given.data, given.cache, 0).without(*WITHOUT.get(given.variant, ()))
    settings = merged(merged(TUNED, VARIANTS[given.variant]), given.set)
    if settings["tuning"] is not None:
        settings["tuning"] = {**settings["tuning"], "minutes": given.minutes}
    registry = Registry.discover()
    policy = registry.create(Kind.POLICY, "cot", settings)
    assert isinstance(policy, ReasoningPolicy)
    if (folder / "fitted" / "cot.json").exists():
        policy = type(policy).load(folder / "fitted", bench.dataset.catalog)
        seconds = json.loads((folder / "fit.json").read_text())["seconds"]
    else:
        started = time.perf_counter()
        data = replace(bench.fit, seed=given.seed, workdir=folder / "work", progress=tell(), delegate=fresh(registry))
        policy.fit(data)
        seconds = time.perf_counter() - started
        (folder / "fitted").mkdir(exist_ok=True)
        policy.save(folder / "fitted")
        (folder / "fit.json").write_text(json.dumps({"seconds": seconds, "threads": given.threads}))

    def answer(batch: QueryBatch) -> Ranking:
        ranking = policy.deliberate(batch, bench.observe(batch)).ranking
        assert ranking is not None
        return ranking

    found = scored(given, bench, answer, folder)
    report = getattr(policy, "report", {})
    record = {"settings": settings, "seed": given.seed, "fit seconds": seconds, "report": report, **found}
    keep(folder / "result.json", record)
    print(given.dataset, name, given.seed, json.dumps(found), f"{seconds:.0f} s", flush=True)


def baselines(given: argparse.Namespace) -> None:
    """The delegates, once."""
    bench = prepare(given.dataset, given.data, given.cache, 0)
    registry = Registry.discover()
    for name in DELEGATES:
        folder = given.work / given.dataset / name / "0"
        folder.mkdir(parents=True, exist_ok=True)
        delegate = registry.create(Kind.DELEGATE, name, {})
        assert isinstance(delegate, Delegate)
        started = time.perf_counter()
        delegate.fit(replace(bench.fit, seed=0, delegate=fresh(registry)))
        seconds = time.perf_counter() - started
        found = scored(given, bench, lambda q, d=delegate: d.recommend(q, bench.observe(q)), folder)
        keep(folder / "result.json", {"fit seconds": seconds, **found})
        print(given.dataset, name, json.dumps(found), f"{seconds:.1f} s", flush=True)


def fresh(registry: Registry) -> Callable[[str], Delegate[Any]]:
    """Makes the unfitted delegate that proposes candidates."""
    return lambda label: registry.create(Kind.DELEGATE, label, {})  # type: ignore[return-value]


def scored(
    given: argparse.Namespace, bench: Bench, answer: Callable[[QueryBatch], Ranking], folder: Path
) -> dict[str, Any]:
    """Means of the metrics per task and part; every query's go to ``folder``; what is there already is read."""
    found: dict[str, Any] = {}
    direct = direct_split(bench.split, bench.dataset, negatives=99, seed=0)
    for part in ("valid", "test") if given.test else ("valid",):
        for task, split in (("sequential", bench.split), ("direct", direct)):
            kept = folder / f"{task}-{part}.npz"
            cases = some(getattr(split, part), given.queries)
            if not kept.exists():
                scores = evaluate_ranking(answer, cases, K, n_items=bench.dataset.n_items, chunk=64, threads=1)
                shown = {n: v for n, v in scores.per_query.items() if n.partition("[")[0] in METRICS}
                np.savez(kept, users=scores.users, seconds=scores.seconds, **shown)
            with np.load(kept) as arrays:
                found[f"{task} {part}"] = {name: float(arrays[name].mean()) for name in arrays if name != "users"}
    return found


def some(cases: Cases, most: int | None) -> Cases:
    """The first so many of a fixed order."""
    if most is None or len(cases) <= most:
        return cases
    return cases.take(np.sort(np.random.default_rng(0).permutation(len(cases))[:most]))


def table(given: argparse.Namespace) -> None:
    """All pieces, and each against the full form with the same seed, paired by query."""
    place = given.work / given.dataset
    for kind in sorted({path.name for path in place.glob("*/*/*.npz")}):
        print(f"\n{given.dataset}, {kind.removesuffix('.npz')}")
        ours = place / "full" / str(given.seed) / kind
        for path in sorted(place.glob(f"*/*/{kind}")):
            with np.load(path) as arrays:
                metrics = [name for name in arrays if name not in ("users", "seconds")]
                cells = "  ".join(f"{name} {arrays[name].mean():.4f}" for name in metrics)
            versus = against(path, ours, metrics) if ours.exists() and path != ours else ""
            print(f"  {path.parent.parent.name:42}{path.parent.name:>3}  {cells}  {versus}")


def against(path: Path, ours: Path, metrics: list[str]) -> str:
    """The full form minus this one: NDCG@10 with its 95 % interval."""
    name = next(metric for metric in metrics if metric.startswith("NDCG@10"))
    with np.load(ours) as mine, np.load(path) as theirs:
        if len(mine["users"]) != len(theirs["users"]) or (mine["users"] != theirs["users"]).any():
            return "(other queries)"
        full, other = (Scores(Task.SEQUENTIAL, a["users"], {name: a[name]}) for a in (mine, theirs))
    found = compare(full, other, [name], seed=0)[0]
    return f"full is {found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f}), p {found.p:.4f}"


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of two levels, the second's before the first's; None takes a table away."""
    both = dict(first)
    for key, value in second.items():
        old = both.get(key)
        both[key] = {**old, **value} if isinstance(value, dict) and isinstance(old, dict) else value
    return both


def keep(path: Path, record: dict[str, Any]) -> None:
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps({"date": date.today().isoformat(), **record}, indent=1) + "\n")
    aside.replace(path)


def tell() -> Callable[[int, int, str], None]:
    """Progress, a line at most every half minute."""
    last = [0.0]

    def progress(done: int, total: int, label: str) -> None:
        if time.monotonic() - last[0] > 30:
            last[0] = time.monotonic()
            print(f"  {label} {done}/{total}", flush=True)

    return progress


if __name__ == "__main__":
    main()

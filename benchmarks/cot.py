"""The `cot` policy: tuned and untuned, against its candidate generator and delegates, in parts; a piece at a time.

    python benchmarks/cot.py run ml-100k --seed 0 --data ../shared/data [--parts valid test]
    python benchmarks/cot.py run ml-100k --variant "without pictures" --minutes 7 --name "without pictures, 7 min"
    python benchmarks/cot.py baselines ml-100k
    python benchmarks/cot.py table ml-100k

``run`` fits one form (see `VARIANTS`) with one seed, and answers the validation queries of the sequential task (all
items ranked: the policy re-ranks the best 20 of its generator) and of the direct one (1 + 99); the test queries where
``--parts`` names them; click probabilities where ``--tasks`` names ctr (cot_clicks.py). ``baselines`` does the same
with delegates. Each piece is kept under ``--work`` (per-query results too, so that any two can be compared), is not
done twice, and a killed tuning goes on. A form that differs from another in nothing that is trained takes its network
over (``--weights-of``). ``table`` writes benchmarks/results/cot.md. ``--minutes`` bounds a tuning. Needs
reasonrec-cot, -text, -timm and -implicit.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import cot_clicks
import numpy as np
from cot_table import write_table
from profile_policy import Bench, observing, prepare
from progress import tell
from reasonrec_cot.policy import Cot
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, Kind
from reasonrec_core.data import draw_direct_split
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.registry import Registry
from reasonrec_core.types import QueryBatch, Ranking

K = (1, 5, 10)
TASKS = ("sequential", "direct", "ctr")
METRICS = ("HR@1", "HR@5", "NDCG@5", "HR@10", "NDCG@10")
DELEGATES = ("popularity", "transitions", "implicit-als", "implicit-bpr", "implicit-itemknn")
SOURCES = ("implicit-als", "implicit-bpr", "implicit-itemknn", "popularity")
TUNED: dict[str, Any] = {
    "answer": "head",
    "backbone": {"layers": 4},
    "prompt": {"history": 50, "history_text": "none"},
    "soft": {"per_item": 1},
    "shortlist": {"delegate": "transitions", "size": 20, "sources": SOURCES},
    "tuning": {
        "steps": 20_000,
        "batch_tokens": 1536,
        "learning_rate": 1e-3,
        "head_rate": 4e-3,
        "dropout": 0.2,
        "ema": 0.99,
        "weights": {"answer": 0.0},
        "shares": {"direct": 0.0, "ctr": 0.0},
        "curriculum": {"kind": "none"},
        "queries": 500,
    },
}
WHOLE: dict[str, Any] = {
    "tuning": None,
    "backbone": {"layers": None},
    "prompt": {"history": 5, "history_text": "title"},
    "items": {"fields": ()},
}
REASONING: dict[str, Any] = {"tuning": {"thoughts": 0.5}}
VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "from implicit-als": {
        "shortlist": {
            "delegate": "implicit-als",
            "sources": ("transitions", "implicit-bpr", "implicit-itemknn", "popularity"),
        }
    },
    "untuned, labels": {**WHOLE, "answer": "label"},
    "untuned, titles": {**WHOLE, "answer": "title"},
    "with reasoning text": {**REASONING, "thought": {"observe": 48, "deliberate": 96}},
    "trained on reasoning text, none written": REASONING,
    "with titles in the history": {"prompt": {"history": 20, "history_text": "title"}},
    "without pictures": {},
    "without features of text and pictures": {},
    "three-phase curriculum": {"tuning": {"curriculum": {"kind": "three-phase"}}},
    "shortened histories": {"tuning": {"curriculum": {"kind": "truncation"}}},
    "without collaborative vectors": {"tuning": {"collaborative": 0}},
    "without adapters": {"tuning": {"lora": {"rank": 0}}},
    "eight layers": {"backbone": {"layers": 8}},
    "all layers": {"backbone": {"layers": None}},
    "head alone": {"shortlist": {"sources": ()}, "tuning": {"pairs": 0}},
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
    parser.add_argument("--parts", nargs="*", default=["valid"], choices=["valid", "test"], help="queries to answer")
    parser.add_argument("--tasks", nargs="*", default=["sequential", "direct"], choices=TASKS)
    parser.add_argument("--weights-of", help="a form whose tuned network this one takes over")
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
    if given.weights_of:
        shutil.copytree(
            given.work / given.dataset / given.weights_of / str(given.seed) / "work",
            folder / "work",
            dirs_exist_ok=True,
        )
    bench = prepare(given.dataset, given.data, given.cache, 0).without(*WITHOUT.get(given.variant, ()))
    settings = merged(merged(TUNED, VARIANTS[given.variant]), given.set)
    if settings["tuning"] is not None:
        settings["tuning"] = {**settings["tuning"], "minutes": given.minutes}
    registry = Registry.discover()
    policy = registry.create(Kind.POLICY, "cot", settings)
    assert isinstance(policy, Cot)
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

    invalid = [0]

    def answer(batch: QueryBatch) -> Ranking:
        ranking = policy.deliberate(batch, bench.observe(batch)).ranking
        assert ranking is not None
        invalid[0] += wrong(ranking, batch, bench.dataset.n_items)
        return ranking

    found = scored(given, bench, answer, folder)
    if "ctr" in given.tasks:
        chance, states = cot_clicks.of_policy(policy, bench)
        found |= clicks(given, bench, chance, folder, states=states)
    record = {
        "settings": settings,
        "seed": given.seed,
        "minutes": given.minutes if settings["tuning"] else 0,
        "threads": given.threads,
        "fit seconds": seconds,
        "report": getattr(policy, "report", {}),
        "invalid": invalid[0],
        "faults": {"texts": policy.faults.texts, "faults": dict(policy.faults.faults)},
        **found,
    }
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
        found = scored(given, bench, observing(delegate.recommend, bench), folder)
        if "ctr" in given.tasks:
            found |= clicks(given, bench, cot_clicks.of_delegate(delegate, bench), folder, states=False)
        keep(folder / "result.json", {"fit seconds": seconds, **found})
        print(given.dataset, name, json.dumps(found), f"{seconds:.1f} s", flush=True)


def fresh(registry: Registry) -> Callable[[str], Delegate[Any]]:
    """Makes the unfitted delegate that proposes candidates."""
    return lambda label: registry.create(Kind.DELEGATE, label, {})


def scored(
    given: argparse.Namespace, bench: Bench, answer: Callable[[QueryBatch], Ranking], folder: Path
) -> dict[str, Any]:
    """Means of the metrics per task and part; every query's go to ``folder``; what is there already is read."""
    found: dict[str, Any] = {}
    direct = draw_direct_split(bench.split, bench.dataset, negatives=99, seed=0)
    for part in given.parts:
        for task in (each for each in given.tasks if each != "ctr"):
            split = direct if task == "direct" else bench.split
            kept = folder / f"{task}-{part}.npz"
            cases = cot_clicks.some(getattr(split, part), given.queries)
            if not kept.exists():
                scores = evaluate_ranking(answer, cases, K, n_items=bench.dataset.n_items, chunk=64, threads=1)
                shown: dict[str, Any] = {n: v for n, v in scores.per_query.items() if n.partition("[")[0] in METRICS}
                np.savez(kept, users=scores.users, seconds=scores.seconds, **shown)
            with np.load(kept) as arrays:
                found[f"{task} {part}"] = {name: float(arrays[name].mean()) for name in arrays if name != "users"}
    return found


def clicks(
    given: argparse.Namespace, bench: Bench, chance: cot_clicks.Chance, folder: Path, *, states: bool
) -> dict[str, Any]:
    """Metrics of click probabilities per part; answers go to ``folder``; what is there already is read."""
    found = {}
    # A decision that states probabilities was fitted on the validation pairs.
    for part in (each for each in given.parts if not (states and each == "valid")):
        kept = folder / f"ctr-{part}.npz"
        if not kept.exists():
            cot_clicks.clicked(bench, chance, part, kept, given.queries, states=states)
        found[f"ctr {part}"] = cot_clicks.means(kept)
    return found


def wrong(ranking: Ranking, batch: QueryBatch, n_items: int) -> int:
    """Answers that are no item, repeated, already in the history, or not among the candidates."""
    count = 0
    for row in range(len(batch)):
        items = ranking.items[row][ranking.items[row] >= 0]
        allowed = np.arange(n_items) if batch.candidates is None else batch.candidates[row]
        if batch.candidates is None:
            allowed = np.setdiff1d(allowed, batch.history.row(row))
        count += len(items) - len(np.unique(items)) + int((~np.isin(items, allowed)).sum())
    return count


def table(given: argparse.Namespace) -> None:
    """Write benchmarks/results/cot.md from all pieces."""
    write_table(given.work, given.dataset, given.seed)


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


if __name__ == "__main__":
    main()

"""The `chain` policy: against delegates and `profile`, in parts, and trained in other ways; a piece at a time.

    python benchmarks/chain.py run amazon-beauty --seed 0 --data ../shared/data
    python benchmarks/chain.py run hm-week --seed 0 --variant "without text"
    python benchmarks/chain.py baselines amazon-beauty
    python benchmarks/chain.py run hm-week --split cold-item
    python benchmarks/chain.py run ml-100k --ids 1 --name "ids shuffled anew"
    python benchmarks/chain.py table

``run`` fits one form (see chain_variants.py) with one seed, and ranks all items for every validation query; the test
queries only where ``--test`` is given. ``baselines`` fits the delegates and `profile`. Each piece is kept under
``--work`` (per-query results too, so that any two can be compared), is not done twice, and a killed one goes on.
Forms that differ from ``full`` after training alone take its network over, where that piece is kept.
``table`` writes benchmarks/results/chain.md from all pieces. Data, split and item order are those of seed 0; ``--seed``
is the policy's; ``--ids`` gives items and users other numbers. Needs reasonrec-chain, -text, -timm, -implicit and
-lightgbm.
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

import numpy as np
from chain_table import write_table
from chain_variants import SAME_NETWORK, VARIANTS, WITHOUT
from profile_policy import Bench, alone, observing, prepare
from progress import tell
from reasonrec_profile.api import Profile
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, Kind, ReasoningPolicy
from reasonrec_core.registry import Registry
from reasonrec_core.types import Observation, QueryBatch, Ranking

METRICS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
DELEGATES = ("popularity", "transitions", "implicit-als", "implicit-itemknn", "lightgbm-rank")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "baselines", "table"])
    parser.add_argument("dataset", nargs="?")
    parser.add_argument("--variant", default="full", choices=[*VARIANTS, *WITHOUT])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="leave-one-out", choices=["leave-one-out", "cold-item"])
    parser.add_argument("--test", action="store_true", help="also answer the test queries")
    parser.add_argument("--set", type=json.loads, default={}, help="further settings of the policy, as JSON")
    parser.add_argument("--name", help="call this form something else (with --set)")
    parser.add_argument("--ids", type=int, default=0, help="seed of the shuffle that numbers items and users")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "chain-benchmark")
    given = parser.parse_args()
    with threadpool_limits(given.threads):
        if given.what == "table":
            write_table(given.work)
        elif given.what == "run":
            run(given)
        else:
            baselines(given)


def run(given: argparse.Namespace) -> None:
    """One form of the policy with one seed."""
    import torch

    torch.set_num_threads(given.threads)
    name = given.name or given.variant
    folder = place(given) / name / str(given.seed)
    bench = prepare(given.dataset, given.data, given.cache, given.ids, given.split)
    gone = WITHOUT.get(given.variant, ())
    settings = merged(VARIANTS.get(given.variant, {}), given.set)
    if gone:
        bench = bench.without(*gone)
    if "text" in gone:
        settings = merged(settings, {"counted": {"fields": []}})
    if "experts" in settings:
        there = {*bench.fit.observation.features, "sequence", "transitions", "affinity", "popularity"}
        settings["experts"] = [e for e in settings["experts"] if e in there]
    policy = Registry.discover().create(Kind.POLICY, "chain", settings)
    assert isinstance(policy, ReasoningPolicy)
    started = time.perf_counter()
    if (folder / "fitted" / "chain.json").exists():
        policy = type(policy).load(folder / "fitted", bench.dataset.catalog)
        seconds = json.loads((folder / "fit.json").read_text())["seconds"]
    else:
        trained = place(given) / "full" / str(given.seed) / "work"
        if name in SAME_NETWORK and name != "full" and trained.exists():
            shutil.copytree(trained, folder / "work", dirs_exist_ok=True)
        (folder / "work").mkdir(parents=True, exist_ok=True)
        policy.fit(replace(bench.fit, seed=given.seed, workdir=folder / "work", progress=tell()))
        seconds = time.perf_counter() - started
        (folder / "fitted").mkdir(exist_ok=True)
        policy.save(folder / "fitted")
        (folder / "fit.json").write_text(json.dumps({"seconds": seconds, "threads": given.threads}))
        unseen = policy.model.unseen  # type: ignore[attr-defined]
        if unseen is not None:
            np.savez(folder / "unseen.npz", gains=unseen)
    answer = answering(policy.deliberate, bench)
    found = scored(bench, answer, folder, ("valid", "test") if given.test else ("valid",))
    if given.ids:
        renumbered(given, bench, folder)
    record = {"settings": settings, "seed": given.seed, "fit seconds": seconds, "report": policy.report, **found}  # type: ignore[attr-defined]
    keep(folder / "result.json", record)
    print(given.dataset, name, given.seed, json.dumps(found), f"{seconds:.0f} s", flush=True)


def baselines(given: argparse.Namespace) -> None:
    """The delegates and `profile`, once."""
    bench = prepare(given.dataset, given.data, given.cache, 0, given.split)
    registry = Registry.discover()
    for name in (*DELEGATES, "profile"):
        folder = place(given) / name / "0"
        if (folder / "result.json").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        part = registry.create(Kind.POLICY if name == "profile" else Kind.DELEGATE, name, {})
        started = time.perf_counter()
        make = fresh(registry)
        part.fit(replace(bench.fit, seed=0, delegate=make))
        seconds = time.perf_counter() - started
        if isinstance(part, Delegate):
            found = scored(bench, observing(part.recommend, bench), folder, ("valid", "test"))
        else:
            assert isinstance(part, ReasoningPolicy)
            found = scored(bench, answering(part.deliberate, bench), folder, ("valid", "test"))
            if given.split == "cold-item":
                neighbours(part, bench, place(given))
        keep(folder / "result.json", {"fit seconds": seconds, **found})
        print(given.dataset, name, json.dumps(found), f"{seconds:.0f} s", flush=True)


def neighbours(profile: ReasoningPolicy[Any], bench: Bench, place: Path) -> None:
    """Content nearest neighbours: over the whole catalogue, and among items without training interactions only."""
    assert isinstance(profile, Profile)
    cold = np.bincount(bench.split.train.items, minlength=bench.dataset.n_items) == 0
    for modality in bench.fit.observation.features:
        deliberate = alone(profile, modality).deliberate

        def among_cold(batch: QueryBatch, ask: Any = deliberate) -> Ranking:
            wide = answering(ask, bench)(replace(batch, k=bench.dataset.n_items))
            there = (wide.items >= 0) & cold[wide.items]
            order = np.argsort(~there, axis=1, kind="stable")[:, : batch.k]
            kept = np.take_along_axis(there, order, axis=1)
            items = np.where(kept, np.take_along_axis(wide.items, order, axis=1), -1)
            scores = np.where(kept, np.take_along_axis(wide.scores, order, axis=1), -np.inf)
            return Ranking(items.astype(np.int32), scores.astype(np.float32))

        for name, answer in {
            f"{modality} neighbours": answering(deliberate, bench),
            f"{modality}, cold": among_cold,
        }.items():
            folder = place / name / "0"
            folder.mkdir(parents=True, exist_ok=True)
            keep(folder / "result.json", {"fit seconds": 0.0, **scored(bench, answer, folder, ("valid", "test"))})


def place(given: argparse.Namespace) -> Path:
    """Where the pieces of a data set are kept."""
    path: Path = given.work / (given.dataset + ("" if given.split == "leave-one-out" else f" {given.split}"))
    return path


def fresh(registry: Registry) -> Callable[[str], Delegate[Any]]:
    """Makes unfitted delegates for those that learn on top of others."""
    return lambda label: registry.create(Kind.DELEGATE, label, {})


def answering(deliberate: Callable[[QueryBatch, Observation], Any], bench: Bench) -> Callable[[QueryBatch], Ranking]:
    """Answers without their steps."""
    return lambda batch: deliberate(batch, bench.observe(batch)).ranking


def scored(
    bench: Bench, answer: Callable[[QueryBatch], Ranking], folder: Path, parts: tuple[str, ...]
) -> dict[str, Any]:
    """Means of the metrics per part; every query's go to ``folder``."""
    found: dict[str, Any] = {}
    for part in parts:
        scores = bench.score(answer, part)
        found[part] = {m: scores.values[m] for m in METRICS} | {"seconds": scores.seconds}
        cases = getattr(bench.split, part)
        per_query: dict[str, Any] = {m: scores.per_query[m] for m in METRICS}
        np.savez(
            folder / f"{part}.npz",
            **per_query,
            users=scores.users,
            horizon=bench.horizon(cases.queries),
        )
    return found


def renumbered(given: argparse.Namespace, bench: Bench, folder: Path) -> None:
    """Put what was kept for each query into the order of the numbers that users have by default."""
    usual = prepare(given.dataset, given.data, given.cache, 0, given.split).dataset.users["user_id"].to_pylist()
    place_of = {user: i for i, user in enumerate(usual)}
    there = np.array([place_of[user] for user in bench.dataset.users["user_id"].to_pylist()])
    order = np.argsort(there[np.load(folder / "valid.npz")["users"]])
    for name in ("valid", "unseen", "test"):
        if (folder / f"{name}.npz").exists():
            kept = dict(np.load(folder / f"{name}.npz"))
            turn = order if name != "test" else np.argsort(there[kept["users"]])
            np.savez(folder / f"{name}.npz", **{key: values[turn] for key, values in kept.items()})


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of two levels, the second's before the first's."""
    both = dict(first)
    for key, value in second.items():
        both[key] = {**both.get(key, {}), **value} if isinstance(value, dict) else value
    return both


def keep(path: Path, record: dict[str, Any]) -> None:
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps({"date": date.today().isoformat(), **record}, indent=1) + "\n")
    aside.replace(path)


if __name__ == "__main__":
    main()

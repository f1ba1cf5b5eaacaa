"""Every uncertainty estimator on every data set: AURC, calibration, conformal coverage; a piece at a time.

    python benchmarks/estimators.py run ml-100k ml-1m amazon-beauty hm-week --data ../shared/data
    python benchmarks/estimators.py run amazon-beauty --policy chain --fitted WORK/amazon-beauty/full/0/fitted
    python benchmarks/estimators.py table

``run`` fits `profile`, or loads a `chain` that benchmarks/chain.py fitted with the same seed and data, fits every
estimator to validation, and keeps what each says of validation and test queries under ``--work``. ``table`` writes
benchmarks/results/estimators.md from all pieces. Leave-one-out, full ranking, history masked; the loss is
1 - NDCG@10. Of more than ``--queries`` queries of a part as many are drawn, and limits are fitted to as many. Needs
reasonrec-conformal, -evidential, -text and -timm; for `chain` also reasonrec-chain and -mc-dropout.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from estimators_table import ONLY_SETS, write_table
from profile_policy import Bench, prepare
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Kind, ReasoningPolicy, UncertaintyEstimator
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases

TOP, CHUNK = 10, 256
SIMPLE = ("evidence-horizon", "stated-confidence", "entropy", "margin", "evidential")
SETS: dict[str, dict[str, Any]] = {
    "conformal": {},
    "conformal, not rehearsed": {"rehearse": False},
    "conformal, one group": {"groups": 1},
    "conformal, LAC": {"score": "lac"},
}
FORMS = ("conformal, one group", "conformal, LAC")
PASSES = {"passes": 10}
EVIDENCE = {"loss": "dirichlet-mse", "divergence": 0.01}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("datasets", nargs="*")
    parser.add_argument("--policy", default="profile", choices=["profile", "chain"])
    parser.add_argument("--name", help="call this form of the policy something else in the table")
    parser.add_argument("--fitted", type=Path, help="the policy, saved, of the same data set and seed")
    parser.add_argument("--queries", type=int, default=4000)
    parser.add_argument("--forms", action="store_true", help="also other forms of conformal sets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "estimators-benchmark")
    given = parser.parse_args()
    with threadpool_limits(given.threads):
        if given.what == "table":
            write_table(given.work)
        else:
            for name in given.datasets:
                run(given, name)


def run(given: argparse.Namespace, name: str) -> None:
    """One policy on one data set."""
    bench, registry = prepare(name, given.data, given.cache, given.seed), Registry.discover()
    policy = policy_of(given, bench, registry)
    folder = given.work / name / (given.name or given.policy)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {part: getattr(bench.split, part).sample(given.queries, given.seed) for part in ("valid", "test")}
    estimators, seconds = dict(made(bench, policy, registry, given)), {}
    for part, cases in parts.items():
        asked = {k: e for k, e in estimators.items() if k not in ONLY_SETS and (part == "test" or k != "mc-dropout")}
        stated, seconds[part] = ask(bench, policy, asked, cases)
        arrays: dict[str, Any] = dict(stated)
        np.savez(folder / f"{part}.npz", **arrays)
    seen = bench.observe(parts["test"].queries)
    sets = {
        label: {"level": each.level, "table": each.coverage(parts["test"], seen).table()}
        for label, each in estimators.items()
        if label in SETS
    }
    record = {
        "date": date.today().isoformat(),
        "seed": given.seed,
        "queries": {part: [len(cases), len(getattr(bench.split, part))] for part, cases in parts.items()},
        "coverage": sets,
        "seconds": seconds["test"],
        "settings": policy.config.model_dump(mode="json"),
    }
    (folder / "result.json").write_text(json.dumps(record, indent=1) + "\n")
    print(name, folder.name, json.dumps({label: found["table"][0] for label, found in sets.items()}), flush=True)


def policy_of(given: argparse.Namespace, bench: Bench, registry: Registry) -> ReasoningPolicy[Any]:
    """`profile`, fitted here, or a loaded `chain` whose masses are fitted here where they were not."""
    if given.fitted is not None:
        policy = registry.load(Kind.POLICY, given.policy).load(given.fitted, bench.dataset.catalog)
        if given.policy == "chain":
            policy.config = type(policy.config).model_validate({**policy.config.model_dump(), "evidence": EVIDENCE})
            policy.fit_masses(bench.fit)
    elif given.policy == "chain":
        raise SystemExit("--fitted: where the chain is that benchmarks/chain.py saved")
    else:
        policy = registry.create(Kind.POLICY, "profile", {})
        policy.fit(bench.fit)
    assert isinstance(policy, ReasoningPolicy)
    return policy


def made(
    bench: Bench, policy: ReasoningPolicy[Any], registry: Registry, given: argparse.Namespace
) -> Iterator[tuple[str, Any]]:
    """The estimators that this policy can have, fitted."""
    wanted: list[tuple[str, str, dict[str, Any]]] = [(name, name, {}) for name in SIMPLE]
    sets = {label: {**settings, "queries": given.queries} for label, settings in SETS.items()}
    wanted += [(label, "conformal", sets[label]) for label in SETS if given.forms or label not in FORMS]
    if given.policy == "chain":
        wanted.append(("mc-dropout", "mc-dropout", PASSES))
        wanted.append(("evidential, trained in chain", "evidential", {"source": "policy"}))
    for label, name, settings in wanted:
        estimator = registry.create(Kind.UNCERTAINTY, name, settings)
        assert isinstance(estimator, UncertaintyEstimator)
        started = time.perf_counter()
        estimator.attach(policy)
        estimator.fit(bench.fit)
        print(f"  {bench.name}: {label} fitted, {time.perf_counter() - started:.0f} s", flush=True)
        yield label, estimator


def ask(
    bench: Bench, policy: ReasoningPolicy[Any], estimators: dict[str, Any], cases: Cases
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """What the estimators say, each part by name; ``hit``, ``quality``, ``horizon``; and seconds that each took."""
    found: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, float] = dict.fromkeys((*estimators, "policy"), 0.0)
    for start, batch in replace(cases.queries, k=TOP).chunks(CHUNK):
        seen, began = bench.observe(batch), time.perf_counter()
        answer = policy.deliberate(batch, seen)
        seconds["policy"] += time.perf_counter() - began
        assert answer.ranking is not None
        same = answer.ranking.items == cases.targets[start : start + len(batch), None]
        quality = (same / np.log2(np.arange(2, TOP + 2))).sum(axis=1)
        said = {"hit": same.any(axis=1), "quality": quality, "horizon": seen.horizon}
        for label, estimator in estimators.items():
            began = time.perf_counter()
            told = estimator.estimate(batch, seen, None if estimator.stage == "before" else answer)
            seconds[label] += time.perf_counter() - began
            parts = {"": told.total, ": epistemic": told.epistemic, ": aleatoric": told.aleatoric}
            said |= {f"{label}{which}": values for which, values in parts.items() if values is not None}
        for key, values in said.items():
            found.setdefault(key, []).append(values)
    return {key: np.concatenate(values) for key, values in found.items()}, seconds


if __name__ == "__main__":
    main()

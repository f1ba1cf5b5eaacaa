"""Delegates as experts of a fitted `chain`: what each adds to its ranking, and what an answer costs then.

    python benchmarks/chain_experts.py RUN --name amazon-beauty --experts ease sasrec --seeds 0 --work WORK [--test]
    python benchmarks/chain_experts.py table

RUN is a finished run with the policy chain. Its network and its counted experts stay; only the gates are fitted again:
once with the delegates beside them, and once, to the same validation pairs, without. Delegates have their defaults and
are fitted twice, each with a half of the validation users, and are kept under WORK. On validation a pair is judged by
gates and delegates that have not seen it. Differences are paired by query, bootstrap; seeds are those of the delegates
and the gates. Time is the processor time of the answering thread: median of requests of one, and of batches of 256,
systems in turn.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from distil import answer_with_policy, compare, load, score, time_answers
from machine import EARLIER, name_processor
from progress import tell
from reasonrec_chain.delegate_experts import (
    GateFold,
    draw_unseen_targets,
    fit_folds,
    load_delegates,
    save_delegates,
)
from reasonrec_chain.fit_gating import FittedGates
from reasonrec_chain.fit_masses import fit_masses
from reasonrec_chain.fitting import weigh_beliefs
from reasonrec_chain.model import make_experts
from reasonrec_chain.new_items import GrowingChain
from reasonrec_chain.policy import Chain
from reasonrec_profile.api import cut_gains

from reasonrec_core.components import FitData, Kind
from reasonrec_core.config import load_config
from reasonrec_core.io import write_json, write_text
from reasonrec_core.pipeline.prepare import prepare
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry
from reasonrec_core.types import Task

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / "chain_experts.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="the run's folder, or: table")
    parser.add_argument("--name", help="of the data set")
    parser.add_argument("--experts", nargs="+", default=[], help="delegates")
    parser.add_argument("--set", type=json.loads, default={}, help="settings of the delegates by name, as JSON")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--test", action="store_true", help="also answer the test part")
    parser.add_argument("--work", type=Path, help="a folder for what was fitted")
    options = parser.parse_args()
    if options.run != "table":
        found = measure(options)
        kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
        kept.setdefault(options.name, {})[" + ".join(options.experts) + write_settings(found["settings"])] = found
        write_json(KEPT, kept)
        print(json.dumps(found, indent=1))
    write_text(RESULTS / "chain_experts.md", make_table(json.loads(KEPT.read_text(encoding="utf-8"))))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    registry, folder = Registry.discover(), RunFolder.open(Path(options.run))
    config = load_config(folder.path / "config.toml")
    prepared = prepare(config, registry, folder, tell())
    assert config.policy is not None
    policy = load(prepared, Kind.POLICY, config.policy.label, config.policy.name)
    assert isinstance(policy, Chain)
    systems: dict[str, list[Chain]] = {"alone": [], "with delegates": []}
    unseen: dict[str, list[Any]] = {"alone": [], "with delegates": []}
    for seed in options.seeds:
        data = replace(
            prepared.fit_data("benchmark-experts"),
            seed=seed,
            workdir=None,
            delegate=lambda name: registry.create(Kind.DELEGATE, name, options.set.get(name, {})),
        )
        folds = find_folds(options, data, policy)
        for name, some in (("alone", [replace(fold, delegates=()) for fold in folds]), ("with delegates", folds)):
            made, fitted = weigh(policy, data, some)
            systems[name].append(made)
            unseen[name].append({"NDCG@10": cut_gains(fitted.unseen, 10)})
    found: dict[str, Any] = {"valid": describe(unseen["with delegates"], unseen["alone"])}
    if options.test:
        cases = prepared.cases(Task.SEQUENTIAL, "test")
        scored = {n: [score(answer_with_policy(c, prepared), cases, prepared) for c in s] for n, s in systems.items()}
        found["test"] = describe(scored["with delegates"], scored["alone"])
        answers = {name: answer_with_policy(chains[0], prepared) for name, chains in systems.items()}
        found["times"] = time_answers(answers, cases.queries)
    settings = {name: options.set[name] for name in options.experts if name in options.set}
    about = {"python": platform.python_version(), "date": str(date.today()), "processor": name_processor()}
    return found | {"seeds": options.seeds, "settings": settings} | about


def find_folds(options: argparse.Namespace, data: FitData, policy: Chain) -> list[GateFold]:
    """The two folds with all delegates, each delegate fitted at most once."""
    most, parts = policy.config.gates.pairs, []
    for name in options.experts:
        settings = json.dumps(options.set.get(name, {}), sort_keys=True)
        place = options.work / options.name / f"{name}-{data.seed}" / settings.replace("/", "_")[:100]
        if not (place / "notes.json").is_file():
            for part, fold in enumerate(fit_folds([name], data, most)):
                (place / str(part)).mkdir(parents=True, exist_ok=True)
                write_json(place / f"{part}.json", save_delegates(fold.delegates, place / str(part)))
            write_json(place / "notes.json", {"settings": settings})
        parts.append(
            [
                load_delegates(json.loads((place / f"{part}.json").read_text()), place / str(part), data.catalog)
                for part in (0, 1)
            ]
        )
    return [
        GateFold(tuple(d for each in parts for d in each[part]), draw_unseen_targets(data, most, part))
        for part in (0, 1)
    ]


def weigh(policy: Chain, data: FitData, folds: Sequence[GateFold]) -> tuple[Chain, FittedGates]:
    """The policy with these experts, and its gates fitted to them."""
    before, config = policy.model, policy.config
    experts = make_experts(
        config, before.counted, before.experts.sequence, before.experts.trust, tuple(folds[0].delegates)
    )
    experts, fitted = weigh_beliefs(config, data, experts, folds)
    model = replace(before, experts=experts, gates=fitted.gates.to_arrays(), unseen=fitted.unseen)
    made = Chain(config)
    made._growing = GrowingChain(config, fit_masses(model, config, data, folds[0].targets), data.catalog)
    return made, fitted


def describe(mine: list[Any], others: list[Any]) -> dict[str, Any]:
    """Means of both, and their relative difference."""
    metrics = mine[0].keys()
    means = {
        name: {m: round(float(np.mean([each[m].mean() for each in scores])), 4) for m in metrics}
        for name, scores in (("alone", others), ("with delegates", mine))
    }
    return means | {"difference": {m: compare(mine, others, m) for m in metrics}}


def make_table(kept: dict[str, Any]) -> str:
    """The page."""
    lines = ["# Delegates as experts of `chain`", "", " ".join((__doc__ or "").split("\n\n")[2].split()), ""]
    lines += ["`python benchmarks/chain_experts.py RUN --name NAME --experts A B --seeds 0 --work WORK --test`.", ""]
    for name, variants in kept.items():
        head = ("experts", "part", "alone", "with them", "NDCG@10", "a request, ms", "a batch of 256, ms", "seeds")
        lines += [f"## {name}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for variant, found in variants.items():
            for part in ("valid", "test"):
                if part in found:
                    lines.append(make_row(variant, part, found))
        dates = sorted({found["date"] for found in variants.values()})
        cores = " and ".join(sorted({found.get("processor", EARLIER) for found in variants.values()}))
        lines += ["", f"{', '.join(dates)}, Python {platform.python_version()}, two cores of {cores}, shared.", ""]
    return "\n".join(lines)


def write_settings(settings: dict[str, Any]) -> str:
    """What tells two measurements with the same delegates apart."""
    return f" {json.dumps(settings)}" if settings else ""


def make_row(variant: str, part: str, found: dict[str, Any]) -> str:
    own, spent = found[part], found.get("times") if part == "test" else None
    change = "{change:+.1%} ({low:+.1%} to {high:+.1%})".format(**own["difference"]["NDCG@10"])
    times = ["", ""]
    if spent:
        times = [f"{spent['alone'][k]:.2f} -> {spent['with delegates'][k]:.2f}" for k in ("one_ms", "batch_ms")]
    values = [f"{own[s]['NDCG@10']:.4f}" for s in ("alone", "with delegates")]
    label = "validation" if part == "valid" else part
    return f"| {variant} | {label} | {' | '.join(values)} | {change} | {' | '.join(times)} | {found['seeds']} |"


if __name__ == "__main__":
    main()

"""Does the synthetic shop tell whether pictures are used? Nearest neighbours by real embeddings against the oracle.

    python benchmarks/synthetic_content.py --seeds 0 1 2 --out benchmarks/results/synthetic_content.md

Needs the plugins reasonrec-text and reasonrec-timm with their default weights. For every seed a shop is made at the
default size; a second one differs in one thing: its customers do not care for what only the pictures show. Nothing is
fitted: content neighbours score by the cosine of centred embeddings, summed over the history; "both" adds the two
standardised scores.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from reasonrec_datasets import build_dataset, import_path
from reasonrec_datasets.synth import SynthConfig, make_catalogue, oracle_ceiling, oracle_scores
from scipy import sparse

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.data import SplitConfig, make_split
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.evaluate import compare_all, evaluate_ranking, summarise
from reasonrec_core.observe import observe_items
from reasonrec_core.ranking import rank
from reasonrec_core.registry import Registry
from reasonrec_core.types import Observation, QueryBatch, Ranking

METRIC = "NDCG@10"
Answer = Callable[[QueryBatch], Ranking]


def neighbours(features: dict[str, np.ndarray]) -> Answer:
    """Rank by the standardised sum of cosines to the history, over the given modalities."""
    similar = []
    for values in features.values():
        centred = values - values.mean(axis=0)
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        similar.append(unit @ unit.T)

    def answer(batch: QueryBatch) -> Ranking:
        history, n = batch.history, len(similar[0])
        weights = sparse.csr_matrix((np.ones(len(history.items)), (history.rows, history.items)), shape=(len(batch), n))
        scores = np.zeros((len(batch), n), np.float32)
        for matrix in similar:
            one = weights @ matrix
            scores += (one - one.mean(axis=1, keepdims=True)) / one.std(axis=1, keepdims=True)
        return rank(scores, batch)

    return answer


def systems(folder: Path, dataset: Dataset, cache: Path, registry: Registry, seed: int) -> dict[str, Answer]:
    """The oracle, two delegates, and content neighbours."""
    split = make_split(dataset, SplitConfig())
    encoders = {name: registry.create("encoder", name) for name in ("text", "timm")}
    seen = observe_items(dataset.catalog, encoders, cache)
    features = {"text": np.array(seen.features["text"]), "image": np.array(seen.features["timm"])}
    nothing = Observation({}, {}, np.zeros(0, np.float32))
    data = FitData(dataset.catalog, dataset.n_users, split.train, split.valid, nothing, seed=seed)
    made: dict[str, Answer] = {
        "oracle": lambda batch: rank(oracle_scores(folder, dataset, batch), batch),
        "text": neighbours({"text": features["text"]}),
        "image": neighbours({"image": features["image"]}),
        "both": neighbours(features),
    }
    for name in ("popularity", "transitions"):
        delegate = registry.create("delegate", name)
        delegate.fit(data)
        assert isinstance(delegate, Delegate)
        made[name] = partial(delegate.recommend, observation=nothing)
    return made


def measure(config: SynthConfig, cache: Path, registry: Registry) -> dict[str, Any]:
    """Make a shop, run every system on its test part."""
    with tempfile.TemporaryDirectory() as name:
        folder, started = Path(name) / "shop", (time.perf_counter(), time.process_time())
        make_catalogue(folder, config)
        seconds = time.perf_counter() - started[0], time.process_time() - started[1]
        dataset = build_dataset(import_path(folder), Path(name) / "dataset")
        cases = make_split(dataset, SplitConfig()).test
        scores = {
            system: evaluate_ranking(answer, cases, (5, 10), n_items=dataset.n_items, threads=1)
            for system, answer in systems(folder, dataset, cache, registry, config.seed).items()
        }
        compared = compare_all({s: scores[s] for s in ("text", "image", "both")}, "both", [METRIC])
        return {
            "seconds": {"wall": round(seconds[0], 1), "processor": round(seconds[1], 1)},
            "interactions": len(dataset),
            "ceiling": oracle_ceiling(folder, dataset, cases),
            "systems": {system: summarise(s, metrics=["HR@10", METRIC]) for system, s in scores.items()},
            "p": {c.a if c.a != "both" else c.b: c.p_corrected for c in compared},
        }


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """One row per shop."""
    names = ("oracle", "both", "text", "image", "transitions", "popularity")
    lines = [
        f"| shop | ceiling | {' | '.join(names)} | p: both = text | p: both = image | made in s (processor) |",
        "|---" * (len(names) + 5) + "|",
    ]
    for shop, r in results.items():
        cells = []
        for name in names:
            value = r["systems"][name][METRIC]
            cells.append(f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]")
        seconds = f"{r['seconds']['wall']} ({r['seconds']['processor']})"
        row = [shop, f"{r['ceiling'][METRIC]:.4f}", *cells, f"{r['p']['text']:.4f}", f"{r['p']['image']:.4f}", seconds]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--machine", default=platform.machine(), help="what to call this machine in the table's head")
    options = parser.parse_args()
    registry, results = Registry.discover(), {}
    with tempfile.TemporaryDirectory() as cache:
        for seed in options.seeds:
            results[f"seed {seed}"] = measure(SynthConfig(seed=seed), Path(cache), registry)
            blind = SynthConfig(seed=seed, image_weight=0.0)
            results[f"seed {seed}, tastes blind to pictures"] = measure(blind, Path(cache), registry)
    command = f"python benchmarks/synthetic_content.py --seeds {' '.join(map(str, options.seeds))}"
    head = [
        "# The synthetic shop: what content tells",
        "",
        f"`{command}`, {date.today()}, {options.machine}, Python {platform.python_version()}. {METRIC} under "
        "leave-one-out, full ranking, history masked, with 95 % bootstrap intervals over users; p-values of the paired "
        "bootstrap, Holm-corrected. The ceiling is the expected value of ranking by the true probabilities. Wall-clock "
        "seconds are those of the machine as it was, busy or not; processor seconds tell the work.",
        "",
    ]
    print("\n".join(table(results)))
    if options.out:
        options.out.write_text("\n".join([*head, *table(results)]) + "\n", encoding="utf-8")
        options.out.with_suffix(".json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Trees that put a policy's 50 best into another order: what they add to its ranking, and what a request costs then.

    python benchmarks/rerank.py RUN --name amazon-beauty [--test]
    python benchmarks/rerank.py table

RUN is a finished run with a policy that states probabilities and with delegates. LambdaMART (LightGBM's lambdarank)
starts from the logarithm of the policy's probability and learns what its rank, each delegate's score (less the
request's mean, in its standard deviations), the item's popularity and the length of the history say besides. It learns
from validation requests whose target is among the 50; those of a fifth are answered by trees that were fitted to the
other four, and the number of trees is chosen inside those. Test requests are answered by trees fitted to all of
validation. Differences are paired by request, bootstrap. Time is the processor time of the answering thread: median of
requests of one, and of batches of 256, both ways in turn. One thread.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from distil import METRICS, Answer, answer_with_policy, compare, load, observe, score, time_answers
from machine import name_processor
from progress import tell
from threadpoolctl import threadpool_limits

from reasonrec_core.components import Delegate, Kind
from reasonrec_core.config import load_config
from reasonrec_core.io import write_json, write_text
from reasonrec_core.pipeline.prepare import Prepared, prepare
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.ranking import compute_gain
from reasonrec_core.registry import Registry
from reasonrec_core.types import Bool, Cases, Float32, Int32, QueryBatch, Ranking, Task

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / "rerank.json"
WIDTH, FOLDS, TREES, CHUNK = 50, 5, 300, 256
SETTINGS: dict[str, Any] = {
    "objective": "lambdarank", "lambdarank_truncation_level": 15, "learning_rate": 0.03, "num_leaves": 15,
    "min_data_in_leaf": 200, "lambda_l2": 10.0, "feature_fraction": 0.8, "metric": "ndcg", "eval_at": [10],
    "num_threads": 1, "verbosity": -1, "deterministic": True,
}  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What is known of the best items of some requests.

    Attributes:
        items: int32[B, WIDTH], the policy's best first; -1 pads.
        start: float32[B, WIDTH], logarithms of its probabilities.
        columns: float32[B, WIDTH, F].
    """

    items: Int32
    start: Float32
    columns: Float32

    def take(self, rows: Any) -> Facts:
        return Facts(self.items[rows], self.start[rows], self.columns[rows])


class Reranker:
    """A policy, delegates that tell of its best, and trees."""

    def __init__(self, prepared: Prepared, policy: Any, delegates: Sequence[Delegate[Any]]) -> None:
        self.prepared, self.policy, self.delegates = prepared, policy, delegates
        counts = np.bincount(prepared.fit_data("rerank").train.items, minlength=prepared.dataset.n_items)
        self.popularity = np.log1p(counts).astype(np.float32)

    def look(self, queries: QueryBatch) -> Facts:
        """Facts of each request."""
        pieces = [self._look(piece) for _, piece in replace(queries, k=WIDTH).chunks(CHUNK)]
        return Facts(*(np.concatenate([getattr(p, name) for p in pieces]) for name in ("items", "start", "columns")))

    def _look(self, batch: QueryBatch) -> Facts:
        observation = observe(self.prepared, batch)
        found = self.policy.deliberate(batch, observation)
        assert found.ranking is not None
        assert found.mass is not None
        items = found.ranking.items
        there = items >= 0
        start = np.where(there, np.log(np.maximum(found.mass, 1e-12)), -30).astype(np.float32)
        asked = replace(batch, candidates=np.where(there, items, -1), k=items.shape[1])
        columns = [start, np.broadcast_to(np.arange(items.shape[1], dtype=np.float32), items.shape)]
        columns += [standardise(delegate.score(asked, observation), there) for delegate in self.delegates]
        columns += [self.popularity[items], np.repeat(np.log1p(batch.history.lengths)[:, None], items.shape[1], 1)]
        return Facts(items, start, np.stack(columns, axis=2).astype(np.float32))

    def answer_with(self, trees: lightgbm.Booster) -> Answer:
        """The policy's best by the trees' order."""

        def answer(batch: QueryBatch) -> Ranking:
            facts = self.look(batch)
            order, scores = sort_facts(trees, facts)
            items, fewer = np.take_along_axis(facts.items, order, 1), max(batch.k - WIDTH, 0)
            items = np.pad(items, ((0, 0), (0, fewer)), constant_values=-1)[:, : batch.k]
            return Ranking(items, np.pad(scores, ((0, 0), (0, fewer)), constant_values=-np.inf)[:, : batch.k])

        return answer


def standardise(scores: Float32, there: Bool) -> Float32:
    """Each row less its mean, in standard deviations, over what is finite; elsewhere NaN, which trees know."""
    known = np.where(there & np.isfinite(scores), scores, np.nan)
    with np.errstate(all="ignore"):
        mean, spread = np.nanmean(known, axis=1, keepdims=True), np.nanstd(known, axis=1, keepdims=True)
    found: Float32 = ((known - mean) / np.where(spread > 0, spread, 1)).astype(np.float32)
    return found


def sort_facts(trees: lightgbm.Booster, facts: Facts) -> tuple[Any, Float32]:
    """The order of each row's items, best first, and their scores in it."""
    flat = facts.columns.reshape(-1, facts.columns.shape[2])
    scores = facts.start + np.asarray(trees.predict(flat), np.float32).reshape(facts.start.shape)
    scores = np.where(facts.items < 0, np.float32(-np.inf), scores)
    order = np.argsort(-scores, axis=1, kind="stable")
    return order, np.take_along_axis(scores, order, 1)


def fit_trees(facts: Facts, targets: Int32, seed: int) -> lightgbm.Booster:
    """Fitted to requests whose target is there; the number of trees is chosen on a fifth, then all are learned from."""
    hit = facts.items == targets[:, None]
    rows = np.flatnonzero(hit.any(axis=1))
    fold = np.random.default_rng(seed).permutation(len(rows)) % FOLDS

    def pack(some: Any) -> lightgbm.Dataset:
        own = facts.take(some)
        flat = own.columns.reshape(-1, own.columns.shape[2])
        sizes = np.full(len(some), own.items.shape[1])
        return lightgbm.Dataset(flat, hit[some].reshape(-1), group=sizes, init_score=own.start.reshape(-1))

    settings, judged = {**SETTINGS, "seed": seed}, pack(rows[fold == 0])
    stop = lightgbm.early_stopping(30, verbose=False)
    tried = lightgbm.train(settings, pack(rows[fold != 0]), TREES, valid_sets=[judged], callbacks=[stop])
    return lightgbm.train(settings, pack(rows), max(tried.best_iteration, 1))


def gain(items: Int32, targets: Int32) -> Any:
    """float64[B]: NDCG@10 with one target."""
    hit = items[:, :10] == targets[:, None]
    return np.where(hit.any(axis=1), compute_gain(1 + np.argmax(hit, axis=1)), 0.0)


def cross_fit(facts: Facts, targets: Int32, seed: int) -> Int32:
    """int32[B, WIDTH]: each request's items in the order of trees that have not seen it."""
    found, fold = facts.items.copy(), np.random.default_rng(seed).permutation(len(targets)) % FOLDS
    for number in range(FOLDS):
        trees, own = fit_trees(facts.take(fold != number), targets[fold != number], seed), facts.take(fold == number)
        found[fold == number] = np.take_along_axis(own.items, sort_facts(trees, own)[0], 1)
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    registry, run = Registry.discover(), RunFolder.open(Path(options.run))
    config = load_config(run.path / "config.toml")
    prepared = prepare(config, registry, run, tell())
    assert config.policy is not None
    policy = load(prepared, Kind.POLICY, config.policy.label, config.policy.name)
    delegates = {each.label: load(prepared, Kind.DELEGATE, each.label, each.name) for each in config.delegates}
    reranker = Reranker(prepared, policy, list(delegates.values()))
    cases: Cases = prepared.cases(Task.SEQUENTIAL, "valid")
    facts, targets = reranker.look(cases.queries), cases.targets[cases.target_indptr[:-1]]
    mine = {"NDCG@10": gain(cross_fit(facts, targets, config.seed), targets)}
    own = {"NDCG@10": gain(facts.items, targets)}
    trees = fit_trees(facts, targets, config.seed)
    names = ["log p", "rank", *delegates, "popularity", "history"]
    weight = trees.feature_importance("gain")
    found: dict[str, Any] = {
        "valid": describe([mine], [own], ("NDCG@10",)),
        "trees": trees.num_trees(),
        "gain": {name: round(float(part), 3) for name, part in zip(names, weight / weight.sum(), strict=True)},
    }
    if options.test:
        last = prepared.cases(Task.SEQUENTIAL, "test")
        answers = {"policy": answer_with_policy(policy, prepared), "reranked": reranker.answer_with(trees)}
        scored = {name: score(answer, last, prepared) for name, answer in answers.items()}
        found["test"] = describe([scored["reranked"]], [scored["policy"]], METRICS[:1])
        found["times"] = time_answers(answers, last.queries)
    about = {"python": platform.python_version(), "date": str(date.today()), "processor": name_processor()}
    return found | {"seed": config.seed} | about


def describe(mine: list[Any], others: list[Any], metrics: Sequence[str]) -> dict[str, Any]:
    """Means of both, and their relative difference."""
    means = {"policy": others[0], "reranked": mine[0]}
    return {
        **{name: {m: round(float(values[m].mean()), 4) for m in metrics} for name, values in means.items()},
        "difference": {m: compare(mine, others, m) for m in metrics},
    }


def make_table(kept: dict[str, Any]) -> str:
    """The page."""
    lines = ["# A re-ranker over the policy's 50 best", "", " ".join((__doc__ or "").split("\n\n")[2].split()), ""]
    lines += ["`python benchmarks/rerank.py RUN --name NAME --test`.", ""]
    head = ("run", "part", "policy", "re-ranked", "NDCG@10", "a request, ms", "a batch of 256, ms", "trees")
    lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, found in kept.items():
        for part, label in (("valid", "validation"), ("test", "test")):
            if part not in found:
                continue
            change = "{change:+.1%} ({low:+.1%} to {high:+.1%})".format(**found[part]["difference"]["NDCG@10"])
            values = " | ".join(f"{found[part][way]['NDCG@10']:.4f}" for way in ("policy", "reranked"))
            times = found["times"] if part == "test" else None
            spent = [
                f"{times['policy'][size]:.2f} -> {times['reranked'][size]:.2f}" if times else ""
                for size in ("one_ms", "batch_ms")
            ]
            lines.append(f"| {name} | {label} | {values} | {change} | {' | '.join(spent)} | {found['trees']} |")
    for name, found in kept.items():
        parts = ", ".join(f"{what} {part:.0%}" for what, part in found["gain"].items())
        lines += ["", f"{name}: of what the trees gain, {parts}. {found['date']}, Python "
                  f"{found['python']}, two cores of an {found['processor']}, shared."]  # fmt: skip
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="the run's folder, or: table")
    parser.add_argument("--name", help="of the run, on the page")
    parser.add_argument("--test", action="store_true", help="also answer the test part")
    options = parser.parse_args()
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    if options.run != "table":
        with threadpool_limits(1):
            kept[options.name] = measure(options)
        write_json(KEPT, kept)
        print(json.dumps(kept[options.name], indent=1))
    write_text(RESULTS / "rerank.md", make_table(kept))


if __name__ == "__main__":
    main()

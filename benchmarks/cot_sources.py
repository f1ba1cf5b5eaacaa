"""What the tuned network of `cot` adds to delegates that are weighed in the same way, and what each source does alone.

    python benchmarks/cot_sources.py ml-100k --fitted FOLDER

``FOLDER`` is a fitted policy (`benchmarks/cot.py` keeps one per form, in ``fitted``). All sources score the whole
catalogue for the validation and test queries; the decision is fitted on validation pairs as tuning fits it, once with
the network among the sources and once without, and both are scored on the test queries: 20 candidates of the generator,
lists of 100, clicks. Writes benchmarks/results/cot_sources.md.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import cot_clicks
import numpy as np
from profile_policy import Bench, prepare
from reasonrec_cot.answers.fit_ctr_fusion import fit_ctr_fusion
from reasonrec_cot.answers.fit_fusion import CROSSED, fit_score_fusion
from reasonrec_cot.answers.score_sources import GENERATOR, HEAD
from reasonrec_cot.policy import Cot
from reasonrec_cot.tuning.fusion import UNCLICKED, WIDE, draw_candidates
from threadpoolctl import threadpool_limits

from reasonrec_core.data import draw_click_split, draw_direct_split
from reasonrec_core.evaluate import Scores, compare, score_ctr, score_ranking
from reasonrec_core.ranking import percentile_rank, rank
from reasonrec_core.types import Cases, Float32, Int32, QueryBatch

RESULTS = Path(__file__).parent / "results" / "cot_sources.md"
Said = Mapping[str, Float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--fitted", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    given = parser.parse_args()
    with threadpool_limits(1):
        measure(given)


def measure(given: argparse.Namespace) -> None:
    """Score all sources, decide with and without the network, compare."""
    bench = prepare(given.dataset, given.data, given.cache, 0)
    policy = Cot.load(given.fitted, bench.dataset.catalog)
    first = bench.split.valid.queries.slice(0, 1)
    policy.deliberate(first, bench.observe(first))
    every = {part: score_sources(policy, bench, getattr(bench.split, part).queries) for part in ("valid", "test")}
    names = list(every["valid"])
    rows, lines = {}, list[str]()
    for kind in ("sequential", "direct", "clicks"):
        for label, heard in (("with the network", names), ("delegates alone", names[1:])):
            said = {part: {name: every[part][name] for name in heard} for part in every}
            rows[kind, label], chosen, crossed = decided(kind, bench, said)
            metric = "AUC" if kind == "clicks" else "NDCG@10"
            found = rows[kind, label].values
            value = next(v for name, v in found.items() if name.partition("[")[0] == metric)
            lines.append(f"| {kind} | {label} | {', '.join(chosen)} | {crossed:.4f} | {metric} {value:.4f} |")
            print(lines[-1], flush=True)
    between = []
    for kind in ("sequential", "direct", "clicks"):
        pair = rows[kind, "with the network"], rows[kind, "delegates alone"]
        metrics = ["AUC"] if kind == "clicks" else [n for n in pair[0].per_query if n.startswith("NDCG@10")]
        for each in compare(*pair, metrics, seed=0):
            made = f"{each.difference:+.4f} ({each.low:+.4f} to {each.high:+.4f}) | {each.p:.4f}"
            between.append(f"| {kind} | {each.metric} | {made} |")
            print(between[-1], flush=True)
    write(given, lines, between)


def score_sources(policy: Cot, bench: Bench, queries: QueryBatch) -> Said:
    """Per source float32[B, n_items], the network's first."""
    retriever = policy.retriever
    assert retriever is not None
    asked = cot_clicks.ranked(queries)
    seen = bench.observe(asked)
    head = np.concatenate([policy.engine.rank(piece).answer.scores for _, piece in asked.chunks(64)])
    others = {GENERATOR: retriever.delegate, **retriever.sources}
    return {HEAD: head, **{name: each.score(asked, seen).astype(np.float32) for name, each in others.items()}}


def decided(kind: str, bench: Bench, said: Mapping[str, Said]) -> tuple[Scores, tuple[str, ...], float]:
    """The test queries' scores, who is heard, and the cross-fitted figure on validation pairs."""
    valid, seed, n_items = bench.split.valid, 0, bench.dataset.n_items
    targets, horizon = valid.targets[valid.target_indptr[:-1]], bench.horizon(valid.queries)
    if kind == "clicks":
        asked = replace(
            valid.queries, candidates=draw_candidates(targets, valid.queries, n_items, seed + 1, 1 + UNCLICKED)
        )
        stood = {name: percentile_rank(values, asked) for name, values in said["valid"].items()}
        made = fit_ctr_fusion(stood, np.asarray(asked.candidates == targets[:, None], np.bool_), horizon, seed)
        assert made.decision is not None
        test = draw_click_split(bench.split, bench.dataset, seed=0).test
        there = {name: percentile_rank(values, test.queries) for name, values in said["test"].items()}
        chance = made.decision(there, bench.horizon(test.queries))
        return score_ctr(chance, test), made.decision.sources, made.report["figures"][CROSSED]["AUC"]
    if kind == "direct":
        shown, wide = draw_candidates(targets, valid.queries, n_items, seed), None
        test = draw_direct_split(bench.split, bench.dataset, negatives=99, seed=0).test
        listed = test.queries.candidates
        assert listed is not None
    else:
        shown, longer = proposed(said["valid"], valid.queries, 20), proposed(said["valid"], valid.queries, WIDE)
        wide = taken(said["valid"], longer), longer
        test = bench.split.test
        listed = proposed(said["test"], test.queries, 20)
    fitted = fit_score_fusion(taken(said["valid"], shown), shown, targets, horizon, seed, wide)
    assert fitted.decision is not None
    scores = fitted.decision(taken(said["test"], listed), bench.horizon(test.queries))
    return ranked(scores, listed, test, n_items), fitted.decision.sources, fitted.report["figures"][CROSSED]["NDCG@10"]


def proposed(said: Said, queries: QueryBatch, size: int) -> Int32:
    """int32[B, size]: the generator's best, the history left out."""
    scores = said[GENERATOR].copy()
    return rank(scores, replace(cot_clicks.ranked(queries), k=size)).items


def taken(said: Said, items: Int32) -> dict[str, Float32]:
    """The scores of some items; -inf for padding."""
    found = {}
    for name, values in said.items():
        own = np.take_along_axis(values, np.maximum(items, 0), 1)
        found[name] = np.where(items >= 0, own, np.float32(-np.inf)).astype(np.float32)
    return found


def ranked(scores: Float32, items: Int32, test: Cases, n_items: int) -> Scores:
    """Metrics of candidates in the order of these scores."""
    batch = replace(test.queries, candidates=items, k=items.shape[1])
    return score_ranking(rank(scores, batch), test, (10,), n_items=n_items)


def write(given: argparse.Namespace, lines: list[str], between: list[str]) -> None:
    """The results page."""
    page = [
        "# What the network of `cot` adds to its delegates",
        "",
        f"`python benchmarks/cot_sources.py {given.dataset} --fitted FOLDER`, FOLDER that of the form *full* of cot.md;"
        f" {date.today()}, Python {platform.python_version()}, AMD EPYC.",
        "",
        " ".join(__doc__.split("\n\n")[2].split("Writes")[0].split()),
        "",
        "| | sources | heard | validation, cross-fitted | test |",
        "|---|---|---|---|---|",
        *lines,
        "",
        "With the network minus delegates alone, paired by query, 95 % intervals (10,000 bootstrap samples):",
        "",
        "| | metric | difference | p |",
        "|---|---|---|---|",
        *between,
        "",
    ]
    RESULTS.write_text("\n".join(page))


if __name__ == "__main__":
    main()

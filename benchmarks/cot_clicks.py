"""Clicks beside rankings, for `benchmarks/cot.py`: each target against one item that its user never touched.

What a system that only ranks says of an item is where it stands among its scores of the whole catalogue; that, and
yes against no of an untuned model, becomes a probability by Platt's method, fitted on validation rows. A tuned policy
with a decision states one itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from profile_policy import Bench
from reasonrec_cot.policy import Cot

from reasonrec_core.components import Delegate
from reasonrec_core.data import draw_click_split
from reasonrec_core.evaluate import Scores, compare, score_ctr, summarise
from reasonrec_core.evaluate.significance import holm
from reasonrec_core.ranking import percentile_rank
from reasonrec_core.routing import fit_monotone_platt
from reasonrec_core.types import Cases, Float32, History, QueryBatch, Task

METRICS = ("AUC", "UAUC", "LogLoss", "ECE")
Chance = Callable[[QueryBatch], Float32]


def clicked(bench: Bench, chance: Chance, part: str, path: Path, queries: int | None, *, states: bool) -> None:
    """Ask about so many queries' items and keep the answers; ``states``: they are probabilities as they are."""
    split = draw_click_split(bench.split, bench.dataset, seed=0)
    cases = some(getattr(split, part), queries)
    found = asked(chance, cases)
    if not states and part == "valid":
        found = crossed(found, cases)
    elif not states:
        valid = some(split.valid, queries)
        found = platt(asked(chance, valid), valid)(found)
    asks, labels = cases.queries, cases.labels
    assert asks.candidates is not None
    assert labels is not None
    np.savez(path, users=asks.users, candidates=asks.candidates, labels=labels, probability=found)


def asked(chance: Chance, cases: Cases) -> Float32:
    return np.concatenate([chance(piece) for _, piece in cases.queries.chunks(64)])


def platt(said: Float32, cases: Cases) -> Callable[[Float32], Float32]:
    """The map from what is said to a probability, fitted to these cases."""
    assert cases.labels is not None
    made = fit_monotone_platt(said.ravel().astype(np.float64), cases.labels.ravel() > 0)
    return lambda values: made(values.ravel()).reshape(values.shape).astype(np.float32)


def crossed(said: Float32, cases: Cases, folds: int = 5) -> Float32:
    """Each query's probabilities by a map that was fitted to others."""
    fold, found = np.random.default_rng(0).permutation(len(cases)) % folds, said.copy()
    for number in range(folds):
        others = np.flatnonzero(fold != number)
        found[fold == number] = platt(said[others], cases.take(others))(said[fold == number])
    return found


def some(cases: Cases, most: int | None) -> Cases:
    """The first so many of a fixed order."""
    if most is None or len(cases) <= most:
        return cases
    return cases.take(np.sort(np.random.default_rng(0).permutation(len(cases))[:most]))


def of_policy(policy: Cot, bench: Bench) -> tuple[Chance, bool]:
    """How a policy is asked, and whether what it says is a probability that was fitted on validation pairs."""
    first = bench.split.valid.queries.slice(0, 1)
    policy.deliberate(first, bench.observe(first))
    decision = policy.engine.decision
    if policy.config.answer == "head" and (decision is None or decision.clicks is None):
        return lambda batch: percentile_rank(policy.engine.rank(ranked(batch)).answer.scores, batch), False

    def states(batch: QueryBatch) -> Float32:
        found = policy.deliberate(batch, bench.observe(batch)).probability
        assert found is not None
        return found

    return states, policy.config.answer == "head"


def of_delegate(delegate: Delegate, bench: Bench) -> Chance:  # type: ignore[type-arg]
    return lambda batch: percentile_rank(delegate.score(ranked(batch), bench.observe(batch)).astype(np.float32), batch)


def ranked(batch: QueryBatch) -> QueryBatch:
    """The same queries for the whole catalogue."""
    return replace(batch, task=Task.SEQUENTIAL, candidates=None)


def read(path: Path, users: np.ndarray | None = None) -> Scores:
    """Kept answers, of some users."""
    with np.load(path) as arrays:
        held = {name: arrays[name] for name in arrays}
    rows = np.arange(len(held["users"])) if users is None else np.searchsorted(held["users"], users)
    batch = QueryBatch(
        Task.CTR, held["users"][rows], History.of([[] for _ in rows]), candidates=held["candidates"][rows]
    )
    cases = Cases(batch, np.zeros(len(rows) + 1, np.int64), np.zeros(0, np.int32), held["labels"][rows])
    return score_ctr(held["probability"][rows], cases)


def means(path: Path) -> dict[str, float]:
    return {name: read(path).values[name] for name in METRICS}


def section(folder: Path, seed: int, part: str, reference: Callable[[str], str]) -> Iterator[str]:
    """All forms, each against the full one of its budget."""
    kept = {path.parent.parent.name: path for path in sorted(folder.glob(f"*/{seed}/ctr-{part}.npz"))}
    if not kept:
        return
    title = {"test": "Test", "valid": "Validation"}[part]
    yield from (
        f"## {title}, clicks",
        "",
        "Each target against one item that its user never touched; half of all rows are clicks. Systems that only "
        "rank, and the untuned model's yes against no, are made probabilities on validation rows (Platt; a temperature "
        "where that would turn their order round).",
        "",
        "| system | queries | AUC | UAUC | LogLoss | ECE | full minus this, AUC | p | LogLoss | p |",
        "|---|---|---|---|---|---|---|---|---|---|",
    )
    found = {}
    for name, path in kept.items():
        other = kept.get(reference(name))
        if other is None or reference(name) == name:
            continue
        common = np.intersect1d(read(path).users, read(other).users)
        pair = read(other, common), read(path, common)
        found[name] = {each.metric: each for each in compare(*pair, ["AUC", "LogLoss"], seed=0)}
    flat = [(name, metric) for name, made in found.items() for metric in made]
    adjusted = dict(zip(flat, holm([found[n][m].p for n, m in flat]), strict=True))
    for name in sorted(kept, key=lambda each: -read(kept[each]).values["AUC"]):
        scores = read(kept[name])
        area = summarise(scores, seed=0, resamples=1000, metrics=["AUC"])["AUC"]
        cells = [f"{area['value']:.4f} ({area['low']:.3f} to {area['high']:.3f})"]
        cells += [f"{scores.values[metric]:.4f}" for metric in METRICS[1:]]
        for metric in ("AUC", "LogLoss"):
            made = found.get(name, {}).get(metric)
            told = f"{made.difference:+.4f} ({made.low:+.4f} to {made.high:+.4f})" if made else ""
            cells += [told, f"{adjusted[name, metric]:.4f}" if made else ""]
        yield f"| {name} | {len(scores.users)} | {' | '.join(cells)} |"
    yield ""

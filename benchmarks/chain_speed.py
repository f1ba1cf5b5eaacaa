"""How long `chain` takes to answer: one request, and all users of a data set against all items.

    python benchmarks/chain_speed.py --data ../shared/data --rounds 7

The policy is fitted to the training part of Amazon Beauty with its default sizes (speed does not depend on how well
it is fitted, so one epoch and a short search are enough). Measured in turn within each round, two threads, medians:

* the bare product: ``states[users, d] @ table[items, d].T`` in numpy, nothing else; and the same in batches that are
  thrown away, which saves it the gigabyte of scores;
* answering every test user's history with the 20 best of all items, as `reasonrec run` does it (batches of 256 in
  two threads, one BLAS thread each);
* the same from given states: without reading the histories;
* one request at a time: a history of ten items, steps untouched.

Writes benchmarks/results/chain_speed.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from profile_policy import Bench, prepare
from reasonrec_chain.config import ChainConfig
from reasonrec_chain.deliberate import deliberate_chunk, rank_mass
from reasonrec_chain.policy import Chain
from reasonrec_chain.propose import choose_chunk_size
from reasonrec_profile.api import HistoryWeights
from threadpoolctl import threadpool_limits

from reasonrec_core.evaluate.loop import run_batches
from reasonrec_core.types import Float32, QueryBatch

RESULTS = Path(__file__).parent / "results"
CHUNK, THREADS, WANTED, LENGTH = 256, 2, 20, 10


def fitted(bench: Bench, folder: Path | None) -> Chain:
    """A policy of the default sizes, fitted in a hurry; kept in ``folder`` if there is one."""
    if folder is not None and (folder / "chain.json").exists():
        return Chain.load(folder, bench.dataset.catalog)
    short = {
        "training": {"epochs": 1},
        "counted": {"transitions": {"trials": 2}},
        "gates": {"pairs": 4000, "epochs": 2},
    }
    policy = Chain(ChainConfig(**short))
    policy.fit(bench.fit)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        policy.save(folder)
    return policy


def from_states(policy: Chain, bench: Bench, states: Float32) -> Callable[[int, QueryBatch], None]:
    """Answers without reading histories."""
    model, cache = policy.model, policy.model.experts.cache_items(bench.fit.observation)
    longest = policy.config.counted.max_history

    def work(start: int, batch: QueryBatch) -> None:
        evidence, horizon = HistoryWeights.of(batch.history, longest), bench.horizon(batch)
        for at, piece in batch.chunks(choose_chunk_size(cache.n_items)):
            stop = at + len(piece)
            part, known = evidence.slice(at, stop), states[start + at : start + stop]
            rank_mass(deliberate_chunk(model, piece, part, known, cache, horizon[at:stop]), piece, cache.n_items)

    return work


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of the clock, and of the processor (all cores added up), which other work on the machine disturbs less."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def everybody(policy: Chain, bench: Bench, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds per round for all test users."""
    queries = replace(bench.split.test.queries, k=WANTED)
    cache = policy.model.experts.cache_items(bench.fit.observation)
    states = policy.model.experts.sequence.states(HistoryWeights.of(queries.history, 50), cache.tables)
    table = np.ascontiguousarray(cache.vectors[:-1].T)

    def answer(start: int, batch: QueryBatch) -> None:
        policy.deliberate(batch, bench.observe(batch))

    def run(work: Callable[[int, QueryBatch], None]) -> Callable[[], None]:
        return lambda: run_batches(work, queries, CHUNK, THREADS, None, None)

    buffer = np.empty((CHUNK, len(table)), np.float32)

    def piecewise() -> None:
        for start in range(0, len(states), CHUNK):
            piece = states[start : start + CHUNK]
            np.matmul(piece, table.T, out=buffer[: len(piece)])

    ways: dict[str, Callable[[], object]] = {
        "bare product": lambda: states @ table.T,
        "the same in batches, nothing kept": piecewise,
        "answers": run(answer),
        "answers from given states": run(from_states(policy, bench, states)),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, work in ways.items():
            taken = seconds(work)
            if number:  # the first round warms up
                found[name].append(taken)
    return found


def one_by_one(policy: Chain, bench: Bench, requests: int) -> list[float]:
    """Seconds of each of some requests, one at a time, of users with a history of `LENGTH`."""
    queries = bench.split.test.queries
    rows = np.flatnonzero(queries.history.lengths == LENGTH)[:requests]
    asked = [queries.take(np.array([row])) for row in rows]
    seen = [bench.observe(query) for query in asked]
    for query, observation in zip(asked[:5], seen[:5], strict=True):
        policy.deliberate(query, observation)
    return [
        seconds(partial(policy.deliberate, query, observation))[0]
        for query, observation in zip(asked, seen, strict=True)
    ]


def medians(taken: list[tuple[float, float]]) -> tuple[float, float]:
    clock, processor = zip(*taken, strict=True)
    return statistics.median(clock), statistics.median(processor)


def page(
    bench: Bench, policy: Chain, times: dict[str, list[tuple[float, float]]], single: list[float], command: str
) -> str:
    bare = medians(times["bare product"])
    rows = []
    for name, taken in times.items():
        clock, processor = medians(taken)
        rows.append(f"| {name} | {clock:.3f} | {clock / bare[0]:.2f} | {processor:.3f} | {processor / bare[1]:.2f} |")
    middle, late = statistics.median(single) * 1e3, float(np.quantile(single, 0.95)) * 1e3
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    experts = ", ".join(policy.model.experts.names)
    return "\n".join(
        [
            "# How long `chain` takes to answer",
            "",
            f"`{command}`, seed 0, {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, Python "
            f"{platform.python_version()}, numpy {np.__version__}, torch {torch.__version__}, {date.today()}, load "
            f"average {os.getloadavg()[0]:.1f} when it ended.",
            "",
            f"Amazon Beauty, {len(bench.split.test):,} test users, {bench.dataset.n_items:,} items, d = "
            f"{policy.config.network.dimensions}, {policy.config.network.layers} layers; experts: {experts}.",
            "",
            f"## All users, all items, the {WANTED} best",
            "",
            f"Two threads, medians of {len(times['answers'])} rounds, seconds of the clock and of the processor.",
            "",
            "| | clock | to the bare product | processor | to the bare product |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "Most of the bare product's time goes into its gigabyte of scores; the second line is arithmetic",
            "alone. Per user the product is 1.2 million multiplications, and reading the history (2 layers over",
            "9 items on average, the last at one position only) as many again. What else an answer takes: the",
            "logarithm of the sum over all items, each expert's 100 best items, the item-to-item experts'",
            "sparse products, beliefs about labels, their odds and the gates over the pool, and the order of",
            "the best.",
            "",
            f"## One request, a history of {LENGTH} items: milliseconds",
            "",
            "| requests | median | 95 % are below |",
            "|---|---|---|",
            f"| {len(single)} | {middle:.2f} | {late:.2f} |",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/reasonrec").expanduser())
    parser.add_argument("--policy", type=Path, help="folder to keep the fitted policy in")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    bench = prepare("amazon-beauty", chosen.data, chosen.cache, 0)
    policy = fitted(bench, chosen.policy)
    with threadpool_limits(THREADS):
        times = everybody(policy, bench, chosen.rounds)
    single = one_by_one(policy, bench, chosen.requests)
    command = f"python benchmarks/chain_speed.py --rounds {chosen.rounds}"
    text = page(bench, policy, times, single, command)
    (chosen.out / "chain_speed.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

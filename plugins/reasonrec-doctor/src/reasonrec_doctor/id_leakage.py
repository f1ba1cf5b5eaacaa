"""Do item numbers give the next item away?

Where items were numbered in order of first appearance along whole user sequences, a user's next unseen item often has
the number after the last one. A model that sees numbers, as text or as indices, learns that instead of taste. The
check recommends "last number + 1 ... + 20" (history left out) and compares with the most popular items.
"""

from __future__ import annotations

import re

import numpy as np
from scipy.stats import binom

from reasonrec_core.data.cases import compute_history_keys, contains_keys, make_pair_keys
from reasonrec_core.ranking import compute_gain, compute_ideal_gain
from reasonrec_core.types import Cases, Float32, Int32, Int64
from reasonrec_doctor.finding import Examined, Finding, Severity

NAME = "last-id"
K, REACH, CHUNK = 5, 20, 2048
FACTOR = 2.0
"""How many times the popular items' NDCG@5 the rule must pass to count as a leak."""
CHANCE = 1e-4
"""And how improbable its hits must be if numbers said nothing."""


def check(examined: Examined) -> list[Finding]:
    """Run the rule on our dense indices (an error if it works) and on the source's numeric ids (a warning)."""
    split, dataset = examined.split, examined.dataset
    if split is None:
        return []
    cases = split.test.take(
        np.flatnonzero((split.test.queries.history.lengths > 0) & (np.diff(split.test.target_indptr) > 0))
    )
    if not len(cases):
        return []
    counts = np.bincount(split.train.items, minlength=dataset.n_items)
    popular = _ndcg(_popular(cases, counts), cases, dataset.n_items).mean()
    found = []
    dense = np.arange(dataset.n_items, dtype=np.int64)
    source = parse_id_numbers(dataset.catalog.ids)
    for what, numbers in (("dense indices", dense), ("source ids", source)):
        if numbers is None:
            continue
        rule = _ndcg(_next_numbers(cases, numbers), cases, dataset.n_items)
        hits = int((rule > 0).sum())
        by_chance = binom.sf(hits - 1, len(cases), min(1.0, K * _targets_per_query(cases) / dataset.n_items))
        if rule.mean() > FACTOR * popular and by_chance < CHANCE:
            found.append(_finding(examined, what, rule, float(popular), cases))
    return found


def parse_id_numbers(ids: list[str]) -> Int64 | None:
    """int64[n_items]: the numbers that ids consist of, after one common prefix; None where they are no numbers."""
    parts = [re.fullmatch(r"(\D*)(\d{1,18})", name) for name in ids]
    if not ids or any(part is None for part in parts) or len({part[1] for part in parts if part}) != 1:
        return None
    return np.array([int(part[2]) for part in parts if part], np.int64)


def _next_numbers(cases: Cases, numbers: Int64) -> Int32:
    """int32[B, REACH]: the items numbered after each history's last, -1 where there is none."""
    history = cases.queries.history
    last = numbers[history.items[history.indptr[1:] - 1 - history.indptr[0]]]
    order = np.argsort(numbers, kind="stable")
    wanted = last[:, None] + np.arange(1, REACH + 1)
    at = np.minimum(np.searchsorted(numbers[order], wanted), len(order) - 1)
    found = order[at]
    return np.where(numbers[found] == wanted, found, -1).astype(np.int32)


def _popular(cases: Cases, counts: Int64) -> Int32:
    """int32[B, P]: the most popular items, enough of them that K remain when the history is left out."""
    depth = min(len(counts), K + int(min(cases.queries.history.lengths.max(), 500)))
    best = np.argsort(-counts, kind="stable")[:depth].astype(np.int32)
    return np.broadcast_to(best, (len(cases), depth))


def _ndcg(ranked: Int32, cases: Cases, n_items: int) -> Float32:
    """float32[B] NDCG@5 of ranked items (-1 = none), history left out; definition as for every other metric."""
    result = np.zeros(len(cases), np.float32)
    ideal = compute_ideal_gain(K)
    for start in range(0, len(cases), CHUNK):
        part = cases.take(np.arange(start, min(start + CHUNK, len(cases))))
        items = ranked[start : start + CHUNK]
        keys = make_pair_keys(np.arange(len(part))[:, None], items, n_items)
        free = (items >= 0) & ~contains_keys(compute_history_keys(part.queries.history, n_items), keys)
        lengths = np.diff(part.target_indptr)
        targets = np.sort(make_pair_keys(part.rows, part.targets, n_items))
        hit = free & contains_keys(targets, keys)
        rank = np.cumsum(free, axis=1)
        gain = np.where(hit & (rank <= K), compute_gain(np.maximum(rank, 1)), 0.0).sum(axis=1)
        result[start : start + CHUNK] = gain / ideal[np.minimum(lengths, K)]
    return result


def _targets_per_query(cases: Cases) -> float:
    return len(cases.targets) / len(cases)


def _finding(examined: Examined, what: str, rule: Float32, popular: float, cases: Cases) -> Finding:
    row = int(np.argmax(rule))
    last = cases.queries.history.row(row)[-1]
    target = cases.targets[cases.target_indptr[row]]
    dense = what == "dense indices"
    return Finding(
        NAME,
        Severity.ERROR if dense else Severity.WARNING,
        f"{what} give the next item away: 'last + k' reaches NDCG@{K} {rule.mean():.4f}, the most popular "
        f"items only {popular:.4f}",
        int((rule > 0).sum()),
        len(rule),
        f"user {examined.user(int(cases.queries.users[row]))}: after {examined.item(int(last))} "
        f"came {examined.item(int(target))}",
        "Import the data again, so that the indices are shuffled."
        if dense
        else "Never show these ids to a model as text or numbers. Our own indices are shuffled, and titles are safe.",
    )

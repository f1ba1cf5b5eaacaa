"""Does a query's history, as a prompt would show it, already hold the answer?"""

from __future__ import annotations

import numpy as np

from reasonrec_core.data.cases import compute_history_keys, contains_keys
from reasonrec_core.data.catalog import normalise_text
from reasonrec_core.types import Bool, Cases, Int64, Task
from reasonrec_doctor.finding import Examined, Finding, Severity

NAME = "target-in-history"


def check(examined: Examined) -> list[Finding]:
    """The row's own item in a given history; targets in the queries' histories; another item of the same title."""
    found = _given(examined)
    if examined.split is None:
        return found
    for name, cases in (("validation", examined.split.valid), ("test", examined.split.test)):
        found += _targets(examined, name, cases)
        found += _titles(examined, name, cases)
    return found


def _given(examined: Examined) -> list[Finding]:
    """The ``history`` column of the source against the item of its own row."""
    history, log = examined.dataset.given_history, examined.dataset.interactions
    if history is None:
        return []
    n = np.int64(examined.dataset.n_items)
    inside = contains_keys(compute_history_keys(history, int(n)), np.arange(len(log)) * n + log.items)
    bought_before = _repeated(log.users * n + log.items, log.times)
    found = []
    for rows, severity, message, remedy in (
        (
            inside & ~bought_before,
            Severity.ERROR,
            "the given history contains the row's own item, which the user had not chosen before",
            "Build each history only from what came strictly before the row.",
        ),
        (
            inside & bought_before,
            Severity.WARNING,
            "the given history contains the row's own item, which the user had chosen before",
            "Decide whether repeats count as answers; full rankings leave out the history.",
        ),
    ):
        if rows.any():
            row = int(np.flatnonzero(rows)[0])
            example = f"user {examined.user(int(log.users[row]))}, item {examined.item(int(log.items[row]))}"
            found.append(Finding(NAME, severity, message, int(rows.sum()), len(log), example, remedy))
    return found


def _repeated(keys: Int64, times: Int64) -> Bool:
    """Rows whose (user, item) occurs at an earlier time."""
    pairs, inverse = np.unique(keys, return_inverse=True)
    first = np.full(len(pairs), np.iinfo(np.int64).max, np.int64)
    np.minimum.at(first, inverse, times)
    earlier: Bool = times > first[inverse]
    return earlier


def _targets(examined: Examined, name: str, cases: Cases) -> list[Finding]:
    if cases.queries.task is Task.CTR and examined.dataset.given_history is not None:
        return []  # reported for the rows of the source
    n = np.int64(examined.dataset.n_items)
    rows = cases.rows
    inside = contains_keys(compute_history_keys(cases.queries.history, int(n)), rows * n + cases.targets)
    if not inside.any():
        return []
    at = int(np.flatnonzero(inside)[0])
    example = f"user {examined.user(int(cases.queries.users[rows[at]]))}, item {examined.item(int(cases.targets[at]))}"
    return [
        Finding(
            NAME,
            Severity.WARNING,
            f"{name} targets are in the history of their own request (repeats)",
            int(inside.sum()),
            len(inside),
            example,
            "A full ranking leaves out the history and cannot reach them: split with repeats = drop.",
        )
    ]


def _titles(examined: Examined, name: str, cases: Cases) -> list[Finding]:
    """A different item with the target's title in the history: a prompt of titles shows the answer."""
    catalog = examined.dataset.catalog
    if "title" not in catalog.fields:
        return []
    titles = [normalise_text(t) for t in catalog.column("title")]
    codes = {title: code for code, title in enumerate(dict.fromkeys(titles))}
    code_of = np.array([codes[t] if t else -1 for t in titles], np.int64)
    history, rows, n = cases.queries.history, cases.rows, np.int64(len(codes) + 1)
    items = np.int64(examined.dataset.n_items)
    shown = np.sort((history.rows * n + code_of[history.items])[code_of[history.items] >= 0])
    same_item = contains_keys(compute_history_keys(history, int(items)), rows * items + cases.targets)
    leaking = (code_of[cases.targets] >= 0) & contains_keys(shown, rows * n + code_of[cases.targets]) & ~same_item
    if not leaking.any():
        return []
    at = int(np.flatnonzero(leaking)[0])
    return [
        Finding(
            NAME,
            Severity.WARNING,
            f"the history of {name} requests contains another item with the target's title",
            int(leaking.sum()),
            len(leaking),
            f"user {examined.user(int(cases.queries.users[rows[at]]))}, target {examined.item(int(cases.targets[at]))}",
            "A prompt of titles would reveal the answer: merge duplicates, and give variants a field of their own.",
        )
    ]

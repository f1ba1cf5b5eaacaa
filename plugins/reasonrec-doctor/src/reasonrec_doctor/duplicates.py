"""Are there items that are one thing under two ids, or interactions that were logged twice?"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from reasonrec_core.data.cases import make_pair_keys
from reasonrec_core.data.catalog import normalise_text
from reasonrec_doctor.finding import Examined, Finding, Severity

ITEMS, INTERACTIONS = "duplicate-items", "duplicate-interactions"


def check_items(examined: Examined) -> list[Finding]:
    """Items whose fields are all equal, case, punctuation and spacing aside."""
    catalog = examined.dataset.catalog
    if not catalog.fields:
        return []
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for item, row in enumerate(zip(*(catalog.column(field) for field in catalog.fields), strict=True)):
        key = tuple(normalise_text(value) for value in row)
        if any(key):
            groups[key].append(item)
    same = [items for items in groups.values() if len(items) > 1]
    if not same:
        return []
    return [
        Finding(
            ITEMS,
            Severity.WARNING,
            f"items with the same fields as another: {len(same)} groups",
            sum(map(len, same)),
            len(catalog),
            " = ".join(examined.item(item) for item in same[0][:3]),
            "Give each thing one id: a duplicate in the history reveals the answer and splits the credit for it.",
        )
    ]


def check_interactions(examined: Examined) -> list[Finding]:
    """Rows that occur twice at one time, and pairs of user and item that occur at several times."""
    dataset, log = examined.dataset, examined.dataset.interactions
    keys = make_pair_keys(log.users, log.items, dataset.n_items)
    order = np.lexsort((log.times, keys))
    repeats = np.diff(keys[order]) == 0
    doubled = repeats & (np.diff(log.times[order]) == 0) if dataset.has_clock else np.zeros_like(repeats)
    found = []
    for rows, severity, message, remedy in (
        (
            doubled,
            Severity.WARNING,
            "interactions that are logged twice (same user, item and time)",
            "Keep only one of each, unless they are units of one purchase.",
        ),
        (
            repeats & ~doubled,
            Severity.INFO,
            "interactions that repeat an earlier one (same user and item)",
            "By default repeats are not targets, because rankings leave out the history.",
        ),
    ):
        if rows.any():
            row = int(order[1:][rows][0])
            example = f"user {examined.user(int(log.users[row]))}, item {examined.item(int(log.items[row]))}"
            found.append(Finding(INTERACTIONS, severity, message, int(rows.sum()), len(log), example, remedy))
    return found

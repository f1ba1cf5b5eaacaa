"""Why an item answers a text query: the words that it was found by, and the entries of the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reasonrec_core.components import standardise
from reasonrec_core.types import Float32, History, Int32, QueryBatch, Task
from reasonrec_serve.causes import LEAST, MOST, Cause, list_causes, word_causes

if TYPE_CHECKING:
    from reasonrec_serve.answer import Recommended
    from reasonrec_serve.recommender import Recommender

MOST_WORDS = 12
"""A longer text is one cause: it is a description, and no word of it decides much."""


def split_words(text: str) -> list[tuple[str, str]]:
    """The words of a text, each with the text without it; nothing where the text is one word, or a long one."""
    words = text.split()
    if not 1 < len(words) <= MOST_WORDS:
        return []
    return [(word, " ".join(words[:at] + words[at + 1 :])) for at, word in enumerate(words)]


def share_words(read: Float32, items: Int32, past: Float32) -> Float32:
    """float32[W, K]: each word's share, by how far an item's standing among all falls without it.

    Where no word makes it fall all count alike. With the shares of the history a column sums to 1.

    Args:
        read: float32[1 + W, n_items]: scores of the text, then of the text without each of its words.
        items: int32[1, K].
        past: float32[L, K]: the history's shares.
    """
    count = len(read) - 1
    nobody = QueryBatch(Task.SEQUENTIAL, np.full(len(read), -1, np.int32), History.of([[]] * len(read)), 1)
    found = standardise(read, nobody, np.repeat(items, len(read), axis=0))
    lost = np.maximum(found[0] - found[1:], 0)
    total = lost.sum(axis=0)
    rest = 1 - past.sum(axis=0)
    shares = np.divide(lost, total, out=np.full_like(lost, 1 / max(count, 1)), where=total > 0)
    return np.asarray(shares * np.maximum(rest, 0), np.float32)


def explain_words(
    service: Recommender,
    batch: QueryBatch,
    items: tuple[Recommended, ...],
    words: Sequence[str],
    shares: Float32,
    past: Float32,
) -> tuple[Recommended, ...]:
    """The items with their causes, words and entries of the history, the largest first.

    Args:
        service: the run.
        batch: the request.
        items: the answer.
        words: W of the text; none where it is one cause.
        shares: float32[W, K] of the words.
        past: float32[L, K] of the history's entries.
    """
    found = []
    for column, item in enumerate(items):
        rest = max(1 - float(past[:, column].sum()), 0.0)
        said = list(zip(words, shares[:, column].tolist(), strict=True)) if words else [("the words", rest)]
        causes = [Cause("", f"“{word}”" if words else word, share) for word, share in said if share >= LEAST]
        causes += list_causes(service, batch, past[:, column]) if len(past) else ()
        causes = sorted(causes, key=lambda cause: -cause.share)[:MOST]
        found.append(replace(item, because=tuple(causes), why=word_causes(causes)))
    return tuple(found)

"""Sentences and words of reviews, and aspects: the words that depend on the item ("tone", "strap").

P5, PETER and VIP5 take features from a tool that parses opinions (Sentires). Here a word is an aspect if how often
it occurs differs between items by more than chance: with ``k_i`` of an item's ``n_i`` reviews holding the word, and
``p`` of all, the dispersion ``sum_i (k_i - n_i p)^2 / (n_i p (1 - p)) / (items - 1)`` is about 1 for words such as
"great" and well above for what an item is or does.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from reasonrec_core.components import Settings
from reasonrec_core.errors import DataError
from reasonrec_core.types import Reviews

SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s*(?=[A-Z\"'(])|(?<=[.!?])\s+|\s*\n+\s*")
BLANKS = re.compile(r"[^\S\n]+")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
MOST_CHARACTERS = 20_000
"""Of a review, that are read."""


def split_sentences(text: str) -> list[str]:
    """The sentences of a review, entities of HTML resolved, blanks made single.

    Reviews often lack the blank after a full stop ("affordable.I did"): a capital letter is enough.
    """
    single = BLANKS.sub(" ", html.unescape(text[:MOST_CHARACTERS]))  # of many in a row each would be tried as a first
    pieces = SENTENCE.split(single)
    return [piece for piece in (" ".join(p.split()) for p in pieces) if piece]


def split_words(text: str) -> list[str]:
    """Lower-case words of letters."""
    return [word.casefold().replace("’", "'") for word in WORD.findall(text)]


class AspectSettings(Settings):
    """Which words are aspects."""

    fewest: int = Field(default=15, ge=2)
    """Reviews that must hold the word."""
    dispersion: float = Field(default=1.6, ge=1)
    """How much more its share differs between items than by chance."""
    shortest: int = Field(default=3, ge=1)
    """Letters of the word."""


class Aspects:
    """The aspects, and who named which.

    Args:
        reviews: those that may be read (`reasonrec_core.data.reviews.find_visible_reviews`).
        n_items: size of the catalogue.
        settings: which words count.

    Raises:
        DataError: there are no reviews.
    """

    def __init__(self, reviews: Reviews, n_items: int, settings: AspectSettings | None = None) -> None:
        if not len(reviews):
            raise DataError("no reviews may be read, so no aspects can be learned")
        settings = settings or AspectSettings()
        texts = [sorted(set(split_words(text))) for text in reviews.texts]
        everything = {word for each in texts for word in each}
        known = sorted(w for w in everything if len(w) >= settings.shortest and w not in ENGLISH_STOP_WORDS)
        column = {word: n for n, word in enumerate(known)}
        pairs = [(row, column[word]) for row, each in enumerate(texts) for word in each if word in column]
        rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
        ones = np.ones(len(rows), np.float64)
        named = sparse.csr_matrix((ones, (rows, columns)), shape=(len(texts), len(known)))
        kept = np.flatnonzero(_dispersion(named, reviews.items, n_items, settings.fewest) >= settings.dispersion)
        self.words: tuple[str, ...] = tuple(known[n] for n in kept)
        """In alphabetical order."""
        self._index = frozenset(self.words)
        self._named = [tuple(w for w in each if w in self._index) for each in texts]
        self._by_item: dict[int, Counter[str]] = {}
        self._by_user: dict[int, Counter[str]] = {}
        for item, user, each in zip(reviews.items.tolist(), reviews.users.tolist(), self._named, strict=True):
            self._by_item.setdefault(item, Counter()).update(each)
            self._by_user.setdefault(user, Counter()).update(each)

    def of_item(self, item: int) -> Counter[str]:
        """Aspect to the number of the item's visible reviews that name it."""
        return self._by_item.get(item, Counter())

    def of_user(self, user: int) -> Counter[str]:
        """Aspect to the number of the user's visible reviews that name it."""
        return self._by_user.get(user, Counter())

    def within(self, text: str) -> list[str]:
        """The aspects that a text names, in its order, each once."""
        return [word for word in dict.fromkeys(split_words(text)) if word in self._index]


def _dispersion(named: sparse.csr_matrix, items: np.ndarray, n_items: int, fewest: int) -> np.ndarray:
    """float64[words]; 0 for words in fewer than ``fewest`` reviews."""
    n = np.bincount(items, minlength=n_items).astype(np.float64)
    reviewed = n > 0
    which = sparse.csr_matrix((np.ones(len(items)), (items, np.arange(len(items)))), shape=(n_items, len(items)))
    per_item = (which @ named).tocsr()[np.flatnonzero(reviewed)]
    n = n[reviewed]
    total = np.asarray(named.sum(axis=0)).ravel()
    share = np.clip(total / max(named.shape[0], 1), 1e-12, 1 - 1e-12)
    # sum_i (k_i - n_i p)^2 / n_i = sum_i k_i^2 / n_i - 2 p sum k_i + p^2 sum n_i, without a dense table
    squares = np.asarray(per_item.multiply(per_item).T @ (1 / n)).ravel()
    spread = (squares - 2 * share * total + share**2 * n.sum()) / (share * (1 - share)) / max(len(n) - 1, 1)
    return np.where(total >= fewest, spread, 0.0)


def find_most_named(counts: Counter[str], most: int) -> Sequence[tuple[str, int]]:
    """The aspects named most often, equal ones in alphabetical order."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]

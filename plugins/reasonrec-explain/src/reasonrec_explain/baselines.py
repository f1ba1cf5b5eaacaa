"""What an explanation must be better than: a similar user's review of the item, and the item's common phrases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import nsmallest

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_core.data.cases import make_pair_keys
from reasonrec_core.types import Int32, Interactions, Reviews
from reasonrec_explain.aspects import split_sentences, split_words

LONGEST_PHRASE = 4
SHORTEST_PHRASE = 2
LOOKED_AT = 8
"""Phrases that are tried for each word to say."""


class SimilarUser:
    """Says what the most similar user said about the item.

    Similar are users with a high cosine between the sets of items that they have in the training part, rare items
    counting more; of equally similar ones the newest review is taken. Of an item without reviews, the newest review
    of the most similar user says what it says of another item.

    Args:
        train: interactions of the training part.
        reviews: those that may be read.
        texts: what each of them says, by the rule that made the references.
        n_users: size of the user base.
        n_items: size of the catalogue.
    """

    def __init__(self, train: Interactions, reviews: Reviews, texts: Sequence[str], n_users: int, n_items: int) -> None:
        pairs = np.unique(make_pair_keys(train.users, train.items, n_items))
        users, items = np.divmod(pairs, n_items)
        counts = np.bincount(items, minlength=n_items).clip(min=1)
        rarity = np.log(max(n_users, 2) / counts)[items]
        length = np.sqrt(np.bincount(users, rarity**2, minlength=n_users)).clip(min=1e-12)
        self._profiles = sparse.csr_matrix((rarity / length[users], (users, items)), shape=(n_users, n_items))
        self._reviews, self._texts = reviews, texts
        self._order = np.argsort(reviews.items, kind="stable")
        self._bounds = np.searchsorted(reviews.items[self._order], np.arange(n_items + 1))

    def explain(self, users: Int32, items: Int32) -> list[str]:
        """One text per pair of user and item."""
        return [self._one(int(user), int(item)) for user, item in zip(users, items, strict=True)]

    def _one(self, user: int, item: int) -> str:
        of_item = self._order[self._bounds[item] : self._bounds[item + 1]]
        of_item = of_item[self._reviews.users[of_item] != user]
        rows = of_item if len(of_item) else np.flatnonzero(self._reviews.users != user)
        if not len(rows):
            return ""
        near = self._profiles[self._reviews.users[rows]] @ self._profiles[user].T
        similar = np.asarray(near.todense()).ravel()
        return self._texts[int(rows[np.lexsort((-self._reviews.times[rows], -similar))[0]])]


class CommonPhrases:
    """Says the item's most common phrases, one after the other, until a usual length is reached.

    A phrase is two to four words within a sentence; it counts once per review, times its words. A phrase that repeats
    half or more of the words said already is passed over. Items without reviews get the phrases of all.

    Args:
        reviews: those that may be read.
        n_items: size of the catalogue.
        length: words to say.
    """

    def __init__(self, reviews: Reviews, n_items: int, length: int) -> None:
        self._length = max(length, SHORTEST_PHRASE)
        self._texts = reviews.texts
        self._order = np.argsort(reviews.items, kind="stable")
        self._bounds = np.searchsorted(reviews.items[self._order], np.arange(n_items + 1))
        self._said: dict[int, str] = {}

    def explain(self, users: Int32, items: Int32) -> list[str]:
        """One text per pair of user and item; the user makes no difference."""
        return [self._of(item) for item in items.tolist()]

    def _of(self, item: int) -> str:
        rows = self._order[self._bounds[item] : self._bounds[item + 1]]
        key = item if len(rows) else -1
        if key not in self._said:
            self._said[key] = self._compose(rows if len(rows) else self._order)
        return self._said[key]

    def _compose(self, rows: npt.NDArray[np.intp]) -> str:
        counts: Counter[tuple[str, ...]] = Counter()
        for row in rows:
            counts.update(
                {phrase for sentence in split_sentences(self._texts[row]) for phrase in _phrases(split_words(sentence))}
            )
        said: list[str] = []
        for phrase in nsmallest(LOOKED_AT * self._length, counts, key=lambda p: (-counts[p] * len(p), p)):
            if len(said) >= self._length:
                break
            if sum(word in said for word in phrase) * 2 < len(phrase):
                said += phrase
        return " ".join(said[: self._length])


def _phrases(said: list[str]) -> set[tuple[str, ...]]:
    sizes = range(SHORTEST_PHRASE, LONGEST_PHRASE + 1)
    return {tuple(said[at : at + size]) for size in sizes for at in range(len(said) - size + 1)}

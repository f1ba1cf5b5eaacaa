"""How much sentences say the same: the longest common subsequence of words (ROUGE-L) and shared pairs of words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_core.types import Float32, indptr_of

WORDS = re.compile(r"[a-z0-9]+")
MOST_WORDS = 64
"""Of a sentence that are compared: the bits of a machine word."""
AT_ONCE = 32
"""Sentences that are compared with all others in one go: what they need stays near the processor."""
Rows = npt.NDArray[np.intp]


class Sentences:
    """N sentences, ready to be compared with each other.

    Args:
        texts: of any length; the first 64 words of each count.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        said = [WORDS.findall(text.lower())[:MOST_WORDS] for text in texts]
        self.lengths = np.array([len(words) for words in said], np.int64)
        """int64[N] words."""
        self._words = np.full((len(said), max(self.lengths.max(initial=0), 1)), -1, np.int64)
        known: dict[str, int] = {}
        for row, words in enumerate(said):
            self._words[row, : len(words)] = [known.setdefault(word, len(known)) for word in words]
        self._pairs = _pairs(said)
        self._pair_count = np.maximum(self.lengths - 1, 1)

    def __len__(self) -> int:
        return len(self.lengths)

    def agreement(self, said: Rows, others: Rows, pairs: float = 0.0) -> Float32:
        """float32[C, V]: ROUGE-L's F measure of each two sentences, plus ``pairs`` times that of word pairs.

        A sentence agrees with itself by 0: it is no evidence of what others say. DraftMemory: a few times C x V.

        Args:
            said: C sentences by number.
            heard: V sentences by number.
            pairs: weight of the F measure of pairs of neighbouring words; each counts once per sentence.
        """
        common = _common(self._words[said], self._words[others]).astype(np.float32)
        found = 2 * common / np.maximum(self.lengths[said][:, None] + self.lengths[others][None], 1)
        if pairs:
            shared = (self._pairs[said] @ self._pairs[others].T).toarray()
            found += pairs * 2 * shared / (self._pair_count[said][:, None] + self._pair_count[others][None])
        found[said[:, None] == others[None]] = 0.0
        agreed: Float32 = found.astype(np.float32)
        return agreed


def _pairs(said: Sequence[Sequence[str]]) -> sparse.csr_matrix:
    """float32[N, P]: which pairs of neighbouring words a sentence holds."""
    known: dict[tuple[str, str], int] = {}
    pairs = [sorted({known.setdefault(p, len(known)) for p in pairwise(w)}) for w in said]
    columns = np.array([column for each in pairs for column in each], np.int64)
    bounds = indptr_of([len(each) for each in pairs])
    return sparse.csr_matrix(
        (np.ones(len(columns), np.float32), columns, bounds), shape=(len(said), max(len(known), 1))
    )


def _common(said: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """uint8[C, V] words in the longest common subsequence, by the bits of Hyyrö (2004): a step per word of ``said``.

    Each sentence of ``heard`` is a machine word; a bit that turns 0 is one more word in common.
    """
    words, places = np.unique(said, return_inverse=True)
    places = places.reshape(said.shape)
    masks = np.zeros((len(words), len(others)), np.uint64)
    for position, column in enumerate(others.T):
        at = np.minimum(np.searchsorted(words, column), len(words) - 1)
        there = (column >= 0) & (words[at] == column)
        masks[at[there], np.flatnonzero(there)] |= np.uint64(1 << position)
    found = np.zeros((len(said), len(others)), np.uint8)
    order = np.argsort(-(said >= 0).sum(axis=1), kind="stable")  # long ones first: short ones drop out on the way
    for start in range(0, len(said), AT_ONCE):
        rows = order[start : start + AT_ONCE]
        state = np.full((len(rows), len(others)), ~np.uint64(0), np.uint64)
        for column in range(int((said[rows[0]] >= 0).sum())):
            going = int((said[rows, column] >= 0).sum())
            both = state[:going] & masks[places[rows[:going], column]]
            state[:going] = (state[:going] + both) | (state[:going] - both)
        found[rows] = np.bitwise_count(~state)
    return found

"""An explanation in the words of people who reviewed the item or its like: the sentence that most others agree with.

Minimum Bayes risk decoding (Kumar and Byrne, 2004; Eikema and Aziz, 2020) where the candidates are sentences of
visible reviews instead of samples of a model. What the user will write is not known; sentences of reviews stand for
it, each with a weight: those of the item, of items like it, of the user, and of anybody. A candidate's expected
overlap with them is what it is chosen by. Only sentences whose every claim the item's own evidence verifies may be
said, and those that claim something come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from reasonrec_core.types import Float32, Reviews
from reasonrec_explain.agreement import Rows, Sentences
from reasonrec_explain.aspects import find_most_named
from reasonrec_explain.claim_check import ClaimChecker
from reasonrec_explain.config import MbrSettings
from reasonrec_explain.evidence import ExplanationEvidence
from reasonrec_explain.references import SENTENCE_CHARACTERS, clean_sentence
from reasonrec_explain.sanitise import Sanitiser

SHARPNESS = 4
"""Power of the likeness of two items: close ones count for much more than those that share a few words."""
NEWEST, NEWEST_ALIKE = 200, 30
"""Sentences of an item, a user, and of each item like it that are looked at."""


@dataclass(frozen=True, slots=True)
class ChosenSentence:
    """An explanation and how it was come by.

    Attributes:
        text: what is said.
        source: the item whose review the sentence is from, -1 where the evidence itself is told.
        compared: sentences that were weighed.
        refused: of these, those that most others agree with more, with a claim that the evidence does not verify or
            with none.
    """

    text: str
    source: int = -1
    compared: int = 0
    refused: int = 0


class MbrSelector:
    """Chooses explanations among sentences of reviews.

    Args:
        reviews: those that may be read.
        texts: what each of them says (`make_references`).
        n_items: size of the catalogue.
        check: what may be said.
        sanitiser: makes what is said harmless: reviews are untrusted.
        settings: how.
        seed: of the sentences of anybody.
    """

    def __init__(
        self,
        reviews: Reviews,
        texts: Sequence[str],
        n_items: int,
        check: ClaimChecker,
        sanitiser: Sanitiser,
        settings: MbrSettings | None = None,
        seed: int = 0,
    ) -> None:
        self.settings = settings or MbrSettings()
        self._check, self._users, self._items = check, reviews.users, reviews.items
        self._clean: list[str] = [
            clean_sentence(text, sanitiser) if len(text) <= SENTENCE_CHARACTERS else "" for text in texts
        ]
        self._sentences = Sentences(texts)
        self._worth = self.settings.per_word * np.minimum(self._sentences.lengths, self.settings.useful_words)
        self._of_item, self._of_user = _Grouped(reviews.items, n_items), _Grouped(reviews.users)
        self._like = _likeness(reviews, n_items)
        drawn = np.random.default_rng(seed).permutation(len(texts))[: self.settings.anybody]
        self._anybody: Rows = np.sort(drawn).astype(np.intp)
        self._by_item: dict[int, tuple[Rows, Float32, float]] = {}

    def explain(self, users: Iterable[int], evidence: Sequence[ExplanationEvidence]) -> list[str]:
        """A sentence per request; each user is a dense index, -1 where unknown."""
        return [each.text for each in self.choose(users, evidence)]

    def choose(self, users: Iterable[int], evidence: Sequence[ExplanationEvidence]) -> list[ChosenSentence]:
        """The same, with how each sentence was come by."""
        return [self._choose_sentence(user, known) for user, known in zip(users, evidence, strict=True)]

    def rank_sentences(self, user: int, item: int) -> tuple[Rows, Float32]:
        """Sentences that may be said by their number, the best first, and the worth of each."""
        said, found, weight = self._find_sentences(item)
        own = self._of_user(user)[-NEWEST:]
        if len(own):
            found, weight = found + self._agreement(said, own).mean(axis=1), weight + 1.0
        worth = found / weight + self._worth[said]
        others = self._users[said] != user
        said, worth = said[others], worth[others]
        order = np.argsort(-worth, kind="stable")
        return said[order], worth[order].astype(np.float32)

    def _find_sentences(self, item: int) -> tuple[Rows, Float32, float]:
        """What may be said of an item, how far the item's, its like's and anybody's sentences agree, of how many."""
        if item not in self._by_item:
            self._by_item[item] = self._compare_sentences(item)
        return self._by_item[item]

    def _compare_sentences(self, item: int) -> tuple[Rows, Float32, float]:
        own, (alike, likeness) = self._of_item(item)[-NEWEST:], self._find_alike(item)
        others = [self._of_item(int(each))[-NEWEST_ALIKE:] for each in alike]
        near = np.concatenate([own, *others]).astype(np.intp)
        said = near if len(near) else self._anybody
        found, weight = self._agreement(said, self._anybody).mean(axis=1), 1.0
        if len(near):
            close = np.concatenate([[1.0], likeness]).repeat([len(own), *map(len, others)])
            agreed = self._agreement(near, near)
            for weights in (close, (np.arange(len(near)) < len(own)).astype(np.float64)):
                if weights.sum() > 0:
                    found, weight = found + agreed @ (weights / weights.sum()), weight + 1.0
        return said, found.astype(np.float32), weight

    def _agreement(self, said: Rows, others: Rows) -> Float32:
        return self._sentences.agreement(said, others, self.settings.pairs)

    def _choose_sentence(self, user: int, known: ExplanationEvidence) -> ChosenSentence:
        """The best sentence with claims that the item's evidence verifies; else the best without; else the evidence."""
        only_item, plain = replace(known, own={}), None
        rows = self.rank_sentences(user, known.item)[0]
        for place, row in enumerate(rows):
            text: str = self._clean[row]
            claims = self._check.check(text, only_item) if text else []
            if claims and all(claim.verified for claim in claims):
                return ChosenSentence(text, int(self._items[row]), len(rows), place)
            if text and not claims and plain is None:
                plain = ChosenSentence(text, int(self._items[row]), len(rows), place)
        return plain or ChosenSentence(_describe_evidence(known), compared=len(rows), refused=len(rows))

    def _find_alike(self, item: int) -> tuple[Rows, npt.NDArray[np.float64]]:
        """Items with reviews most like the item's, and how like they are, each to the power that counts."""
        if not self.settings.alike:
            return np.empty(0, np.intp), np.empty(0)
        near = np.asarray((self._like[item] @ self._like.T).todense()).ravel()
        near[item] = 0.0
        best = np.argsort(-near, kind="stable")[: self.settings.alike]
        best = best[near[best] > 0]
        return best, near[best].astype(np.float64) ** SHARPNESS


def _describe_evidence(known: ExplanationEvidence) -> str:
    """What can be said where no sentence will do."""
    if not known.reviews:
        return "There are no reviews of it yet."
    named = find_most_named(known.aspects or {}, 1)  # type: ignore[arg-type]
    return f"{known.reviews} reviews of it name {named[0][0]}." if named else f"It has {known.reviews} reviews."


class _Grouped:
    """Rows by number of item or user."""

    def __init__(self, numbers: npt.NDArray[np.int32], count: int | None = None) -> None:
        size = int(numbers.max(initial=-1)) + 1 if count is None else count
        self._order = np.argsort(numbers, kind="stable")
        self._bounds = np.searchsorted(numbers[self._order], np.arange(size + 1))

    def __call__(self, number: int) -> Rows:
        if not 0 <= number < len(self._bounds) - 1:
            return np.empty(0, np.intp)
        return self._order[self._bounds[number] : self._bounds[number + 1]]


def _likeness(reviews: Reviews, n_items: int) -> sparse.csr_matrix:
    """float64[n_items, words]: the words of each item's reviews, rare ones counting more, of length 1."""
    pieces: list[list[str]] = [[] for _ in range(n_items)]
    for item, text in zip(reviews.items.tolist(), reviews.texts, strict=True):
        pieces[item].append(str(text))
    try:
        words = TfidfVectorizer(sublinear_tf=True, stop_words=sorted(ENGLISH_STOP_WORDS), min_df=2)
        return words.fit_transform([" ".join(each) for each in pieces])
    except ValueError:  # no word is in two items' reviews
        return sparse.csr_matrix((n_items, 1))

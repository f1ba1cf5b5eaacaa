"""Reviews under a split: which may be read, and which are what an explanation is compared with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from reasonrec_core.data.cases import TEST, TRAIN, VALID, contains_keys, make_pair_keys
from reasonrec_core.data.catalog import normalise_text
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import Split
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Int64, QueryBatch, Reviews, Task

TELLING = 5
"""Reviews of fewer words ("works great") are equal by chance; one of as many or more is a copy."""
IMPORT_FIX = "Import data with a column review (if it has another name: --column review=NAME)."


@dataclass(frozen=True)
class ReviewCases:
    """Explanations that are asked for, and what the user then wrote.

    Attributes:
        queries: `Task.EXPLAIN`; ``candidates`` int32[B, 1] is the item to be explained.
        reviews: B reviews, one per query: the user's own of that item.
    """

    queries: QueryBatch
    reviews: Reviews

    def __len__(self) -> int:
        return len(self.reviews)


def find_visible_reviews(dataset: Dataset, split: Split, parts: Collection[int] = (TRAIN,)) -> Reviews:
    """The reviews that may be read when the rest is asked about.

    Left out are, besides those of other parts, reviews of a pair of user and item that occurs in another part (the
    user wrote twice about one item), and copies of a review of another part, case and punctuation aside (people paste
    one review under several items).

    Args:
        dataset: with reviews.
        split: how it is divided.
        parts: parts that may be read: ``(TRAIN,)`` for learning, ``(TRAIN, VALID)`` once nothing but the test is left.

    Raises:
        DataError: the dataset has no reviews.
    """
    reviews, codes = _find_parts(dataset, split)
    open_ = np.isin(codes, list(parts))
    pairs = make_pair_keys(reviews.users, reviews.items, dataset.n_items)
    elsewhere = dataset.interactions.take(~np.isin(split.parts, list(parts)))
    known = contains_keys(np.sort(make_pair_keys(elsewhere.users, elsewhere.items, dataset.n_items)), pairs)
    return reviews.take(open_ & ~known & ~find_copies(reviews, open_))


def find_copies(reviews: Reviews, mask: Bool) -> Bool:
    """bool[R]: reviews that ``mask`` (bool[R]) selects and that say what one that it does not select says."""
    words = [normalise_text(text) for text in reviews.texts]
    rest = {text for text, chosen in zip(words, mask, strict=True) if not chosen and text.count(" ") + 1 >= TELLING}
    return mask & np.fromiter((text in rest for text in words), np.bool_, len(words))


def make_review_cases(dataset: Dataset, split: Split, part: str) -> ReviewCases:
    """A request for every target of validation or test that its user reviewed, with the history of its query.

    Args:
        dataset: with reviews.
        split: how it is divided; one with a history per query (any rule).
        part: "valid" or "test".

    Raises:
        DataError: the dataset has no reviews, or none of this part's targets has one.
    """
    reviews, codes = _find_parts(dataset, split)
    chosen = reviews.take(codes == (VALID if part == "valid" else TEST))
    cases = split.valid if part == "valid" else split.test
    rows = cases.rows
    asked = make_pair_keys(cases.queries.users[rows], cases.targets, dataset.n_items)
    written = make_pair_keys(chosen.users, chosen.items, dataset.n_items)
    order = np.argsort(written, kind="stable")
    found = contains_keys(written[order], asked)
    latest = np.searchsorted(written[order], asked, side="right") - 1  # of the reviews of a pair
    if not found.any():
        raise DataError(f"no target in the {part} part has a review", where=dataset.name, fix=IMPORT_FIX)
    queries = cases.queries.take(rows[found])
    queries = replace(queries, task=Task.EXPLAIN, candidates=cases.targets[found][:, None], k=1)
    return ReviewCases(queries, chosen.take(order[latest[found]]))


def _find_parts(dataset: Dataset, split: Split) -> tuple[Reviews, Int64]:
    reviews = dataset.reviews
    if reviews is None:
        raise DataError("there are no reviews", where=dataset.name, fix=IMPORT_FIX)
    return reviews, split.parts[dataset.reviewed].astype(np.int64)

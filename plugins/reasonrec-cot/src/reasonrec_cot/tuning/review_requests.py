"""Explanations to learn from: what users of the training part wrote themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from reasonrec_explain.aspects import Aspects
from reasonrec_explain.evidence import EvidenceSource
from reasonrec_explain.references import make_references

from reasonrec_core.components import FitData
from reasonrec_core.data.cases import make_pair_keys
from reasonrec_core.data.reviews import ReviewCases
from reasonrec_core.types import (
    Bool,
    Cases,
    History,
    Int64,
    Interactions,
    QueryBatch,
    Reviews,
    Task,
    concatenate_ranges,
    indptr_of,
)
from reasonrec_cot.prompting.dialogue import Dialogue, add_answer
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.output_grammar import TAG
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, PromptRequest, explanation_request


@dataclass(frozen=True)
class ReviewRequests:
    """Requests for an explanation, and the sentence that each user wrote."""

    cases: ReviewCases
    sentences: list[str]
    source: EvidenceSource

    @classmethod
    def of(cls, data: FitData, items: ItemWords, longest: int) -> ReviewRequests | None:
        """All that the training part has; None where it has none."""
        if data.reviews is None:
            return None
        visible = data.reviews()
        cases = written_before(data.train, visible, len(data.catalog), longest=longest)
        aspects = Aspects(visible, len(data.catalog))
        said = [" ".join(TAG.sub(" ", text).split()) for text in make_references(cases.reviews, aspects)]
        kept = np.array([row for row, text in enumerate(said) if text], np.intp)
        if not len(kept):
            return None
        cases = ReviewCases(cases.queries.take(kept), cases.reviews.take(kept))
        return cls(cases, [said[row] for row in kept], EvidenceSource(items, aspects, visible))

    def draw(self, prompt_builder: PromptBuilder, count: int, rng: np.random.Generator) -> list[Dialogue]:
        """``count`` answered dialogues in the words of one template."""
        rows = rng.integers(len(self.sentences), size=count).tolist()
        asked = [(self._request(row), self.sentences[row]) for row in rows]
        template = prompt_builder.choose(asked[0][0], rng)
        return [add_answer(prompt_builder.ask(request, template), said, 0.5) for request, said in asked]

    def _request(self, row: int) -> PromptRequest:
        """One request with what reviews say, but for the user's own of the item: that is the answer to learn."""
        queries, reviews = self.cases.queries, self.cases.reviews
        stars = None if reviews.values is None else float(reviews.values[row])
        user, item, own = int(reviews.users[row]), int(reviews.items[row]), (str(reviews.texts[row]), stars)
        return explanation_request(self.source.gather(user, queries.history.row(row).tolist(), item, own))


def written_before(train: Interactions, visible: Reviews, n_items: int, *, longest: int = 50) -> ReviewCases:
    """A request for each visible review, with what its user had before.

    Gather the evidence of these requests with ``own`` (`EvidenceSource.gather`): the reviews that may be read hold
    the answers themselves.

    Args:
        train: interactions of the training part, sorted by user, oldest first.
        visible: reviews that may be read.
        n_items: size of the catalogue.
        longest: newest history items that are kept.
    """
    cases = prefixes(train, n_items, longest=longest)
    asked = make_pair_keys(cases.queries.users, cases.targets, n_items)
    written = make_pair_keys(visible.users, visible.items, n_items)
    _, rows, reviews = np.intersect1d(asked, written, return_indices=True)
    queries = replace(cases.queries.take(rows), task=Task.EXPLAIN, candidates=cases.targets[rows][:, None], k=1)
    return ReviewCases(queries, visible.take(reviews))


def prefixes(
    train: Interactions,
    n_items: int,
    *,
    shortest: int = 1,
    longest: int = 50,
    per_user: int | None = None,
    seed: int = 0,
) -> Cases:
    """Every interaction of the training part as the target of what its user did before.

    An item that the user had before is no target. Nothing but earlier rows of the same user enters a history.

    Args:
        train: sorted by user, oldest first.
        n_items: size of the catalogue.
        shortest: fewest items of history.
        longest: most, the newest.
        per_user: at most as many targets per user, drawn with ``seed``; None for all.
        seed: of the draw.
    """
    starts = _first_rows(train)
    rows = np.arange(len(train), dtype=np.int64)
    usable = (rows - starts >= shortest) & ~_seen_before(train, n_items)
    if per_user is not None:
        usable = _drawn(train, usable, per_user, seed)
    chosen = np.flatnonzero(usable)
    indptr, index = concatenate_ranges(np.maximum(starts[chosen], chosen - longest), chosen)
    history = History(indptr, train.items[index], train.times[index])
    queries = QueryBatch(Task.SEQUENTIAL, train.users[chosen], history, times=train.times[chosen])
    return Cases(queries, indptr_of(np.ones(len(chosen), np.int64)), train.items[chosen])


def _first_rows(train: Interactions) -> Int64:
    """int64[N]: the first row of each row's user."""
    new = np.append(True, np.diff(train.users) != 0)[: len(train)]
    return np.maximum.accumulate(np.where(new, np.arange(len(train)), 0)).astype(np.int64)


def _seen_before(train: Interactions, n_items: int) -> Bool:
    keys = make_pair_keys(train.users, train.items, n_items)
    first = np.zeros(len(keys), np.bool_)
    first[np.unique(keys, return_index=True)[1]] = True
    return ~first


def _drawn(train: Interactions, usable: Bool, per_user: int, seed: int) -> Bool:
    rows = np.flatnonzero(usable)
    order = rows[np.lexsort((np.random.default_rng(seed).random(len(rows)), train.users[rows]))]
    new = np.append(True, np.diff(train.users[order]) != 0)[: len(order)]
    place = np.arange(len(order)) - np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    drawn = np.zeros(len(usable), np.bool_)
    drawn[order[place < per_user]] = True
    return drawn

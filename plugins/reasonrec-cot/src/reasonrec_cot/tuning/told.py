"""Explanations to learn from: what users of the training part wrote themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.data.reviews import ReviewCases
from reasonrec_cot.explain.aspects import Aspects
from reasonrec_cot.explain.evidence import EvidenceSource
from reasonrec_cot.explain.references import references
from reasonrec_cot.explain.requests import request
from reasonrec_cot.explain.training import written_before
from reasonrec_cot.words.assistant import answered
from reasonrec_cot.words.compose import Composer, Request
from reasonrec_cot.words.dialogue import Dialogue
from reasonrec_cot.words.grammar import TAG
from reasonrec_cot.words.item_words import ItemWords


@dataclass(frozen=True)
class ReviewRequests:
    """Requests for an explanation, and the sentence that each user wrote."""

    cases: ReviewCases
    said: list[str]
    source: EvidenceSource

    @classmethod
    def of(cls, data: FitData, items: ItemWords, longest: int) -> ReviewRequests | None:
        """All that the training part has; None where it has none."""
        if data.reviews is None:
            return None
        visible = data.reviews()
        cases = written_before(data.train, visible, len(data.catalog), longest=longest)
        aspects = Aspects(visible, len(data.catalog))
        said = [" ".join(TAG.sub(" ", text).split()) for text in references(cases.reviews, aspects)]
        kept = np.array([row for row, text in enumerate(said) if text], np.intp)
        if not len(kept):
            return None
        cases = ReviewCases(cases.queries.take(kept), cases.reviews.take(kept))
        return cls(cases, [said[row] for row in kept], EvidenceSource(items, aspects, visible))

    def draw(self, composer: Composer, count: int, rng: np.random.Generator) -> list[Dialogue]:
        """``count`` answered dialogues in the words of one template."""
        rows = rng.integers(len(self.said), size=count).tolist()
        asked = [(self._request(row), self.said[row]) for row in rows]
        template = composer.choose(asked[0][0], rng)
        return [answered(composer.ask(request, template), said, 0.5) for request, said in asked]

    def _request(self, row: int) -> Request:
        """One request with what reviews say, but for the user's own of the item: that is the answer to learn."""
        queries, reviews = self.cases.queries, self.cases.reviews
        stars = None if reviews.values is None else float(reviews.values[row])
        user, item, own = int(reviews.users[row]), int(reviews.items[row]), (str(reviews.texts[row]), stars)
        return request(self.source.gather(user, queries.history.row(row).tolist(), item, own))

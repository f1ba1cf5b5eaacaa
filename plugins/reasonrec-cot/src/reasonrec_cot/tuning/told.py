"""Explanations to learn from: what users of the training part wrote themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.types import QueryBatch, Task
from reasonrec_cot.explain.aspects import Aspects
from reasonrec_cot.explain.references import references
from reasonrec_cot.explain.training import written_before
from reasonrec_cot.words.assistant import answered
from reasonrec_cot.words.compose import Composer, Request
from reasonrec_cot.words.dialogue import Dialogue
from reasonrec_cot.words.grammar import TAG


@dataclass(frozen=True)
class ReviewRequests:
    """Requests for an explanation, and the sentence that each user wrote."""

    queries: QueryBatch
    said: list[str]

    @classmethod
    def of(cls, data: FitData, longest: int) -> ReviewRequests | None:
        """All that the training part has; None where it has none."""
        if data.reviews is None:
            return None
        visible = data.reviews()
        cases = written_before(data.train, visible, len(data.catalog), longest=longest)
        said = references(cases.reviews, Aspects(visible, len(data.catalog)))
        said = [" ".join(TAG.sub(" ", text).split()) for text in said]
        kept = np.array([row for row, text in enumerate(said) if text], np.intp)
        return cls(cases.queries.take(kept), [said[row] for row in kept]) if len(kept) else None

    def draw(self, composer: Composer, count: int, rng: np.random.Generator) -> list[Dialogue]:
        """``count`` answered dialogues in the words of one template."""
        assert self.queries.candidates is not None
        asked = []
        for row in rng.integers(len(self.queries), size=count).tolist():
            history, item = self.queries.history.row(row).tolist(), int(self.queries.candidates[row, 0])
            asked.append((Request(Task.EXPLAIN, history, (item,), target=item), self.said[row]))
        template = composer.choose(asked[0][0], rng)
        return [answered(composer.ask(request, template), said, 0.5) for request, said in asked]

"""Explanations to learn from: what users wrote in the training part, asked with the history that they then had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonrec_core.data.reviews import ReviewCases
from reasonrec_core.types import Interactions, Reviews, Task
from reasonrec_cot.words.examples import prefixes


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
    asked = cases.queries.users.astype(np.int64) * n_items + cases.targets
    written = visible.users.astype(np.int64) * n_items + visible.items
    _, rows, reviews = np.intersect1d(asked, written, return_indices=True)
    queries = replace(cases.queries.take(rows), task=Task.EXPLAIN, candidates=cases.targets[rows][:, None], k=1)
    return ReviewCases(queries, visible.take(reviews))

"""What users with similar choices did, looked up for prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reasonrec_core.types import Int64, Observation, QueryBatch
from reasonrec_cot.items.similar_users import SimilarUsers, before, times_of
from reasonrec_cot.prompting.similar_choices import SimilarChoices

NEAREST = 10
"""Users whose items are named, at most."""
NEWEST = 10
"""Items that are looked at of each of them."""


@dataclass(frozen=True)
class SimilarDescriber:
    """Says what similar users did before a request: a `DescribeSimilar`.

    Attributes:
        similar: finds users; fitted with ``config.prompt``.
        observation: what may be looked at; its horizon is not read.
    """

    similar: SimilarUsers
    observation: Observation

    @classmethod
    def of(cls, similar: SimilarUsers | None, observation: Observation) -> SimilarDescriber | None:
        """None where prompts do not tell of similar users."""
        return cls(similar, observation) if similar is not None and similar.config.prompt else None

    def __call__(self, batch: QueryBatch) -> list[SimilarChoices]:
        """One per candidate that there is, by rows."""
        assert batch.candidates is not None
        similar = self.similar
        seen = replace(self.observation, horizon=np.full(len(batch), 0.5, np.float32))  # nothing depends on it
        rows, columns = np.nonzero(batch.candidates >= 0)
        asked = batch.candidates[rows, columns].astype(np.int64)
        places, when = similar.find(batch, seen)[rows], times_of(batch)[rows]
        numbers = places * similar.n_items + asked[:, None]
        known = (places >= 0) & (asked < similar.n_items)[:, None]
        liked = known & before(similar.clicked, similar.since, numbers, when[:, None])
        shown = known & before(*similar.shown, numbers, when[:, None])
        items = list_liked(similar, places, when, asked, rows, batch)
        counts = zip((places >= 0).sum(1), liked.sum(1), (shown & ~liked).sum(1), items, strict=True)
        return [
            SimilarChoices(int(users), int(some), int(others), tuple(item for item in named.tolist() if item >= 0))
            for users, some, others, named in counts
        ]


def list_liked(
    similar: SimilarUsers, places: Int64, when: Int64, asked: Int64, rows: Int64, batch: QueryBatch
) -> Int64:
    """int64[P, ``config.titles``]: what the nearest users liked last, -1 where there is no more.

    The newest item of each comes first, the nearest user's foremost, then the second newest, and so on; without what
    the request's history holds, the item that is asked about, and repetitions.

    Args:
        similar: who liked what, and when.
        places: int64[P, N] the users of each prompt, nearest first, -1 pads.
        when: int64[P] only what was liked before.
        asked: int64[P] the item that is asked about.
        rows: int64[P] the request in ``batch``.
        batch: the requests.
    """
    titles = similar.config.titles
    found = np.full((len(places), titles), -1, np.int64)
    if not titles or not len(places):
        return found
    places = places[:, :NEAREST]
    there, liked = similar.last_liked(places, when, NEWEST)
    size = 1 + max(similar.n_items, int(asked.max()), int(batch.history.items.max(initial=0)))
    owned = batch.history.rows.astype(np.int64) * size + batch.history.items
    there &= (liked != asked[:, None, None]) & ~np.isin(rows[:, None, None] * size + liked, owned)
    numbers = (np.arange(len(places))[:, None, None] * size + liked)[there]
    _, first = np.unique(numbers, return_index=True)
    prompts, items = np.divmod(numbers[np.sort(first)], size)
    nth = np.arange(len(prompts)) - np.searchsorted(prompts, prompts)
    kept = nth < titles
    found[prompts[kept], nth[kept]] = items[kept]
    return found

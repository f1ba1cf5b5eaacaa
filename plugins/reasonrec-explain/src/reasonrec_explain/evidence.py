"""What an explanation may rest on: the item's fields, the history, what visible reviews say. It is carried along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reasonrec_core.types import Reviews
from reasonrec_explain.aspects import Aspects, find_most_named
from reasonrec_explain.item_text import ItemText

NAMED_ASPECTS = 6


@dataclass(frozen=True)
class ExplanationEvidence:
    """Everything that is known of one request, in harmless text.

    Attributes:
        item: dense index.
        title: the item's.
        fields: item field to its labels.
        history: dense indices, oldest first.
        titles: of the history.
        labels: label to the number of history items that have it.
        aspects: aspect to the number of the item's visible reviews that name it.
        own: aspect to the number of the user's visible reviews that name it.
        reviews: visible reviews of the item.
        stars: their mean rating, None where there is none.
    """

    item: int
    title: str
    fields: Mapping[str, tuple[str, ...]]
    history: tuple[int, ...] = ()
    titles: tuple[str, ...] = ()
    labels: Mapping[str, int] | None = None
    aspects: Mapping[str, int] | None = None
    own: Mapping[str, int] | None = None
    reviews: int = 0
    stars: float | None = None

    def describe(self) -> list[str]:
        """The evidence in sentences for a prompt (`Request.knowledge`)."""
        said = []
        if self.aspects:
            named = ", ".join(
                f"{word} ({count})" for word, count in find_most_named(Counter(self.aspects), NAMED_ASPECTS)
            )
            stars = "" if self.stars is None else f", mean {self.stars:.1f} stars"
            said.append(f"{self.reviews} reviews of it{stars}; they name {named}.")
        if self.own:
            named = ", ".join(f"{word} ({count})" for word, count in find_most_named(Counter(self.own), NAMED_ASPECTS))
            said.append(f"This person's reviews name {named}.")
        return said


class EvidenceSource:
    """Gathers evidence.

    Args:
        items: words of the items.
        aspects: of visible reviews, None where the data has none.
        reviews: the visible reviews themselves.
    """

    def __init__(self, items: ItemText, aspects: Aspects | None = None, reviews: Reviews | None = None) -> None:
        self.items, self.aspects = items, aspects
        self._count = np.zeros(len(items), np.int64)
        self._stars: np.ndarray | None = None
        if reviews is not None:
            self._count = np.bincount(reviews.items, minlength=len(items))
            if reviews.values is not None:
                total = np.bincount(reviews.items, reviews.values, minlength=len(items))
                self._stars = total / np.maximum(self._count, 1)

    def gather(
        self, user: int, history: Sequence[int], item: int, own: tuple[str, float | None] | None = None
    ) -> ExplanationEvidence:
        """The evidence on one request.

        Args:
            user: dense index, -1 where unknown.
            history: dense indices, oldest first.
            item: that is to be explained.
            own: text and rating of the user's own visible review of it, where that is the answer to learn from: it is
                taken out of all counts, as if it had not been written.
        """
        past = tuple(map(int, history))
        counts = Counter(label for i in past for label in self._labels(i))
        seen, stars = int(self._count[item]), self._mean(item)
        of_item, of_user = (self.aspects.of_item(item), self.aspects.of_user(user)) if self.aspects else (None, None)
        if own is not None and self.aspects is not None and of_item is not None and of_user is not None:
            said = Counter(self.aspects.within(own[0]))
            of_item, of_user, seen = of_item - said, of_user - said, seen - 1
            if stars is not None and own[1] is not None:
                stars = (stars * (seen + 1) - own[1]) / seen if seen else None
        return ExplanationEvidence(
            item,
            self.items.title(item),
            {name: self.items.labels(item, name) for name in self.items.fields},
            past,
            tuple(self.items.title(i) for i in past),
            counts,
            of_item,
            of_user,
            seen,
            stars if seen else None,
        )

    def _mean(self, item: int) -> float | None:
        """The mean rating of the item's visible reviews."""
        return float(self._stars[item]) if self._stars is not None and self._count[item] else None

    def _labels(self, item: int) -> set[str]:
        return {label for name in self.items.fields for label in self.items.labels(item, name)}

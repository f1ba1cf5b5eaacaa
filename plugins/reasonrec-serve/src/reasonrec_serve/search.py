"""Finding items by their titles and users by the beginnings of their ids."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.dataset import Dataset

FIELDS = 12
"""Fields of an item that are told at most."""
LONGEST = 500
"""Characters of a field that are told."""


class ItemSearch:
    """Items whose id or title holds some words.

    Args:
        catalog: the items.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._titles = [f"{title}\0{item}".casefold() for title, item in zip(catalog.titles, catalog.ids, strict=True)]
        self._columns = {name: catalog.column(name) for name in catalog.fields[:FIELDS] if name != "title"}

    def find(self, words: str, limit: int, offset: int = 0) -> list[int]:
        """Indices of items that hold every word, in the catalogue's order; the item with that very id comes first."""
        wanted = words.casefold().split()
        found = [i for i, text in enumerate(self._titles) if all(word in text for word in wanted)]
        exact = self.catalog.index.get(words)
        if exact is not None:
            found = [exact, *(i for i in found if i != exact)]
        return found[offset : offset + limit]

    def describe(self, item: int) -> dict[str, Any]:
        """What is known of an item; its text is the data's, and untrusted."""
        fields = {name: column[item] for name, column in self._columns.items()}
        return {
            "id": self.catalog.ids[item],
            "title": self.catalog.titles[item],
            "image": self.catalog.image_paths[item] is not None,
            "fields": {name: value[:LONGEST] for name, value in fields.items() if value},
        }


class UserSearch:
    """Users whose id begins with some letters.

    Args:
        dataset: whose users.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._sorted = sorted(dataset.user_index)
        self._counts = np.bincount(dataset.interactions.users, minlength=dataset.n_users)

    def find(self, start: str, limit: int) -> list[dict[str, Any]]:
        """The first users in alphabetical order, each with how long their log is."""
        found, at = list[dict[str, Any]](), bisect_left(self._sorted, start)
        for user in self._sorted[at : at + limit]:
            if not user.startswith(start):
                break
            found.append({"id": user, "history": int(self._counts[self.dataset.user_index[user]])})
        return found

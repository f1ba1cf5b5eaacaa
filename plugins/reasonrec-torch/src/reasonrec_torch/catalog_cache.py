"""What a fitted delegate works out of all items, kept from request to request. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from reasonrec_core.types import Float32, Observation

T = TypeVar("T")
Key = tuple[int, tuple[tuple[str, Float32, bytes], ...]]


class CatalogCache(Generic[T]):
    """One value, of so many items as they are seen. It belongs to weights: other weights need a new cache.

    Threads that ask at once may work the value out twice; each gets a right one.
    """

    def __init__(self) -> None:
        self._kept: tuple[Key, T] | None = None

    def get(self, n_items: int, observation: Observation, modalities: Sequence[str], make: Callable[[], T]) -> T:
        """The value that was kept, or a new one where the catalogue, the features or which are missing have changed.

        Args:
            n_items: size of the catalogue.
            observation: what is seen now.
            modalities: whose features the value depends on; those that are not observed count as such.
            make: works the value out.
        """
        read = sorted(set(modalities) & set(observation.features))
        seen = ((name, observation.features[name], np.packbits(observation.present[name]).tobytes()) for name in read)
        key = (n_items, tuple(seen))
        kept = self._kept
        if kept is None or not _are_same(kept[0], key):
            kept = self._kept = (key, make())
        return kept[1]


def _are_same(one: Key, other: Key) -> bool:
    """Features are compared as objects: comparing their numbers would cost what the cache saves."""
    if one[0] != other[0] or len(one[1]) != len(other[1]):
        return False
    return all(a[0] == b[0] and a[1] is b[1] and a[2] == b[2] for a, b in zip(one[1], other[1], strict=True))

"""What is worked out of all items is kept as long as it is the same, and no longer."""

from __future__ import annotations

import numpy as np
import pytest
from reasonrec_torch.catalog_cache import CatalogCache

from reasonrec_core.types import Observation

TEXT, IMAGE = np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)


def see(text: np.ndarray = TEXT, image: np.ndarray = IMAGE, missing: int | None = None) -> Observation:
    present = np.arange(len(text)) != (-1 if missing is None else missing)
    whole = np.ones(len(image), np.bool_)
    return Observation({"text": text, "image": image}, {"text": present, "image": whole}, np.zeros(1, np.float32))


@pytest.mark.parametrize(
    ("n_items", "observation", "modalities", "kept"),
    [
        (3, see(), ["text"], True),
        (3, see(image=IMAGE.copy()), ["text"], True),
        (3, see(), ["text", "sound"], True),
        (4, see(), ["text"], False),
        (3, see(text=TEXT.copy()), ["text"], False),
        (3, see(missing=2), ["text"], False),
        (3, see(), ["text", "image"], False),
    ],
)
def test_it_is_kept_as_long_as_what_it_depends_on_stays(
    n_items: int, observation: Observation, modalities: list[str], kept: bool
) -> None:
    cache = CatalogCache[str]()
    assert cache.get(3, see(), ["text"], lambda: "old") == "old"
    assert cache.get(n_items, observation, modalities, lambda: "new") == ("old" if kept else "new")
    assert cache.get(n_items, observation, modalities, lambda: "newer") == ("old" if kept else "new")

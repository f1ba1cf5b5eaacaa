"""Which features are read, how they are scaled side by side, and that projections come back from their arrays."""

from __future__ import annotations

import numpy as np
import pytest
from reasonrec_torch.item_features import (
    choose_modalities,
    fit_projections,
    name_projections,
    read_projections,
    read_unit_features,
)

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Observation

RNG = np.random.default_rng(0)
SEEN = Observation(
    {"text": RNG.normal(size=(5, 4)).astype(np.float32), "image": RNG.normal(size=(5, 3)).astype(np.float32)},
    {"text": np.array([1, 1, 0, 1, 1], np.bool_), "image": np.array([1, 0, 0, 1, 1], np.bool_)},
    np.zeros(1, np.float32),
)
NOTHING = Observation({}, {}, np.zeros(1, np.float32))


def test_all_that_is_observed_is_read_unless_something_is_wanted() -> None:
    assert choose_modalities(None, SEEN, where="here") == ("image", "text")
    assert choose_modalities(["text"], SEEN, where="here") == ("text",)
    assert choose_modalities(None, NOTHING, where="here", needed=False) == ()
    with pytest.raises(ConfigError, match=r"here: no item features are observed\. Look\."):
        choose_modalities(None, NOTHING, where="here", fix="Look.")
    with pytest.raises(ConfigError, match="no item features called 'sound'"):
        choose_modalities(["text", "sound"], SEEN, where="here", needed=False)


def test_each_modality_has_length_one_or_nothing() -> None:
    rows = read_unit_features(SEEN, ("text", "image"), np.array([3, 1, 2]))
    assert rows.shape == (3, 7)
    np.testing.assert_allclose(np.linalg.norm(rows[:, :4], axis=1), [1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows[:, 4:], axis=1), [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(rows[0, :4] * np.linalg.norm(SEEN.features["text"][3]), SEEN.features["text"][3], 1e-5)


@pytest.mark.parametrize("names", ["view{at}.{part}", "{part}-{at}"])
def test_projections_come_back_from_their_arrays(names: str) -> None:
    views = fit_projections(SEEN, ("text", "image"), 2)
    again = read_projections(("text", "image"), name_projections(views, names), names)
    for view, other in zip(views, again, strict=True):
        assert view.modality == other.modality
        np.testing.assert_array_equal(view(SEEN)[0], other(SEEN)[0])

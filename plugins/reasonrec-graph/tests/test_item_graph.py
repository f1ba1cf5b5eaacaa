"""Links and frequency bands agree with dense linear algebra; later items change nothing of those before."""

from __future__ import annotations

import numpy as np
import pytest
from reasonrec_graph.frequency_bands import find_band_edges, split_bands
from reasonrec_graph.item_graph import find_neighbours, link_items

from reasonrec_core.types import Float32

KNOWN = 40


@pytest.fixture
def features() -> Float32:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(5, 6))[rng.integers(5, size=KNOWN + 4)] + 0.5 * rng.normal(size=(KNOWN + 4, 6))
    values[7] = 0
    return values.astype(np.float32)


def test_neighbours_are_the_largest_cosines(features: Float32) -> None:
    found = find_neighbours(features, KNOWN, 5)
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    cosines = unit @ unit[:KNOWN].T
    cosines[np.arange(KNOWN), np.arange(KNOWN)] = -1
    for item, row in enumerate(cosines):
        best = [j for j in np.argsort(-row)[:5] if row[j] > 0]
        assert sorted(best) == [j for j in found.items[item] if j >= 0]
        np.testing.assert_allclose(found.cosines[item][found.items[item] >= 0], row[sorted(best)], atol=1e-6)
    assert (found.items[7] == -1).all()
    assert not (found.items == 7).any()


def test_links_are_the_normalised_adjacency(features: Float32) -> None:
    found = find_neighbours(features[:KNOWN], KNOWN, 5)
    dense = np.zeros((KNOWN, KNOWN))
    for item in range(KNOWN):
        for other, cosine in zip(found.items[item], found.cosines[item], strict=True):
            if other >= 0:
                dense[item, other] = dense[other, item] = cosine
    degrees = np.maximum(dense.sum(1), 1e-12)
    np.testing.assert_allclose(
        link_items(found, KNOWN).toarray(), dense / np.sqrt(degrees[:, None] * degrees), atol=1e-6
    )


def test_bands_are_spectral_projections_of_equal_energy(features: Float32) -> None:
    """Against eigenvectors: each band is mostly what its eigenvectors hold, and all bands add up to the whole."""
    values, order = features[:KNOWN], 200
    links = link_items(find_neighbours(values, KNOWN, 5), KNOWN)
    edges = find_band_edges(links, values, 3, order)
    bands = split_bands(links, values, edges, order)
    np.testing.assert_allclose(bands.sum(0), values, atol=1e-4)
    frequencies, vectors = np.linalg.eigh(np.eye(KNOWN) - links.toarray())
    for band, low, high in zip(bands, edges[:-1], edges[1:], strict=True):
        inside = (frequencies - 1 >= low) & (frequencies - 1 < high)
        exact = vectors[:, inside] @ (vectors[:, inside].T @ values)
        assert np.linalg.norm(band - exact) < 0.35 * np.linalg.norm(values)
        assert abs(np.vdot(values, band) / np.vdot(values, values) - 1 / 3) < 0.02
    smooth = [np.vdot(b, b - links @ b) / np.vdot(b, b) for b in bands]
    assert smooth == sorted(smooth)


def test_later_items_change_nothing_of_those_before(features: Float32) -> None:
    before = link_items(find_neighbours(features[:KNOWN], KNOWN, 5), KNOWN)
    after = link_items(find_neighbours(features, KNOWN, 5), KNOWN)
    edges = find_band_edges(before, features[:KNOWN], 3, 8)
    old, new = split_bands(before, features[:KNOWN], edges, 8), split_bands(after, features, edges, 8)
    np.testing.assert_allclose(new[:, :KNOWN], old, atol=1e-5)
    assert np.abs(new[:, KNOWN:]).sum() > 0
    np.testing.assert_allclose(new.sum(0), features, atol=1e-5)


def test_features_of_nobody_have_bands_of_nothing() -> None:
    nothing = np.zeros((4, 3), np.float32)
    links = link_items(find_neighbours(nothing, 4, 2), 4)
    assert not split_bands(links, nothing, find_band_edges(links, nothing, 2, 4), 4).any()

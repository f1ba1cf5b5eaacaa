"""Features of items in frequency bands over links between them: Chebyshev filters of the normalised Laplacian."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import sparse

from reasonrec_core.types import Float32, Float64


def find_band_edges(links: sparse.csr_matrix, features: Float32, bands: int, order: int) -> Float64:
    """float64[bands + 1]: borders in [-1, 1] between which features have equal energy.

    They are frequencies of the normalised Laplacian, less 1 (0 and 2, the smoothest and the roughest, become -1 and 1).
    The energy below a border is a sum of the Chebyshev moments ``<X, T_k(L - I) X>`` (kernel polynomial method, with
    Jackson's kernel; Weisse et al., Reviews of Modern Physics 2006), so no eigenvector is ever computed.
    """
    moments = np.array([float(np.vdot(features, term)) for term in _chebyshev(links, features, order)])
    edges = np.linspace(-1, 1, bands + 1)
    if moments[0] <= 0:
        return edges
    grid = np.cos(np.linspace(np.pi, 0, 513))
    energy = np.array([_coefficients(-1, border, order) @ moments for border in grid]) / moments[0]
    edges[1:-1] = np.interp(np.arange(1, bands) / bands, np.maximum.accumulate(energy), grid)
    return edges


def split_bands(links: sparse.csr_matrix, features: Float32, edges: Float64, order: int) -> Float32:
    """float32[bands, n, c]: float32[n, c] by frequency, in bands that add up to the whole."""
    filters = np.stack([_coefficients(low, high, order) for low, high in pairwise(edges)])
    found = np.zeros((len(filters), *features.shape), np.float32)
    for k, term in enumerate(_chebyshev(links, features, order)):
        for band, weight in enumerate(filters[:, k]):
            found[band] += np.float32(weight) * term
    return found


def _chebyshev(links: sparse.csr_matrix, features: Float32, order: int) -> list[Float32]:
    """``T_k(L - I) X`` for k = 0 to ``order``; L - I is the adjacency's negative."""
    terms = [features, -(links @ features)]
    while len(terms) <= order:
        terms.append(-2 * (links @ terms[-1]) - terms[-2])
    return terms


def _coefficients(low: float, high: float, order: int) -> Float64:
    """float64[order + 1]: Chebyshev series of what is 1 in [low, high] and 0 outside, damped by Jackson's kernel."""
    k, size = np.arange(1, order + 1), order + 2
    first, last = np.arccos(np.clip(high, -1, 1)), np.arccos(np.clip(low, -1, 1))
    series = np.concatenate([[last - first], 2 * (np.sin(k * last) - np.sin(k * first)) / k]) / np.pi
    k = np.arange(order + 1)
    angle = np.pi / size
    jackson = ((size - k) * np.cos(k * angle) + np.sin(k * angle) / np.tan(angle)) / size
    coefficients: Float64 = series * jackson
    return coefficients

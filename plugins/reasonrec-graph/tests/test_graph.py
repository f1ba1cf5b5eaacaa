"""Passing vectors over the graph is the product with the normalised adjacency; views lack what they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reasonrec_graph.graph import Graph, find_last_rows, find_spectrum, multiply, propagate

from reasonrec_core.types import Interactions

USERS, ITEMS = np.array([0, 0, 1, 2, 2, 2, 0]), np.array([0, 1, 1, 0, 2, 3, 1])


@pytest.fixture
def graph() -> Graph:
    return Graph(USERS, ITEMS, 4, 5)


def adjacency() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """float64[9, 9]: of users and items together, symmetrically normalised."""
    whole = np.zeros((9, 9))
    whole[USERS, 4 + ITEMS] = whole[4 + ITEMS, USERS] = 1
    degrees = np.maximum(whole.sum(1), 1)
    normalised: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = whole / np.sqrt(degrees[:, None] * degrees)
    return normalised


def test_layers_are_powers_of_the_adjacency(graph: Graph) -> None:
    start = torch.randn(9, 3)
    users, items = propagate(start[:4], start[4:], graph.blocks(), 3)
    matrix, layer = adjacency(), start.numpy().astype(np.float64)
    expected = layer.copy()
    for _ in range(3):
        layer = matrix @ layer
        expected += layer
    np.testing.assert_allclose(torch.cat([users, items]).numpy(), expected / 4, atol=1e-6)


def test_gradients_are_those_of_a_dense_product(graph: Graph) -> None:
    blocks, x = graph.blocks(), torch.randn(5, 3, requires_grad=True)
    weight = torch.randn(4, 3)
    loss = (multiply(blocks.to_users, blocks.to_items, x) * weight).sum()
    (gradient,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(gradient, blocks.to_users.to_dense().T @ weight)


def test_a_view_lacks_edges_and_is_normalised_anew(graph: Graph) -> None:
    kept = torch.tensor([True, False, True, True, False, True])
    blocks = graph.blocks(kept)
    smaller = Graph(graph.rows[kept].numpy(), graph.user_items[kept].numpy(), 4, 5).blocks()
    torch.testing.assert_close(blocks.to_users.to_dense(), smaller.to_users.to_dense())
    torch.testing.assert_close(blocks.to_items.to_dense(), blocks.to_users.to_dense().T)


def test_noise_has_the_length_that_is_asked_for(graph: Graph) -> None:
    start = torch.randn(9, 6)
    users, _ = propagate(start[:4], start[4:], graph.blocks(), 1)
    noisy, _ = propagate(start[:4], start[4:], graph.blocks(), 1, noise=0.3)
    np.testing.assert_allclose((2 * (noisy - users)).norm(dim=1)[:3], 0.3, rtol=1e-4)


def test_the_spectrum_is_that_of_the_adjacency(graph: Graph) -> None:
    torch.manual_seed(0)
    matrix = adjacency()[:4, 4:]
    left, values, right = np.linalg.svd(matrix)
    for wanted in (2, 4, 9):
        users, items = find_spectrum(graph.blocks(), wanted)
        kept = min(wanted, 4)
        nearest = left[:, :kept] * values[:kept] @ right[:kept]
        np.testing.assert_allclose((users @ items.T).numpy(), nearest, atol=1e-5)
        assert users.shape == (4, kept)
        assert items.shape == (5, kept)


def test_edges_are_found_and_carry_what_the_log_said_last() -> None:
    users, items = np.array([0, 0, 0, 1, 2], np.int32), np.array([3, 1, 3, 0, 1], np.int32)
    log = Interactions(users, items, np.arange(5))
    graph = Graph(users, items, 3, 4)
    rows = find_last_rows(log, 4)
    assert list(zip(users[rows].tolist(), items[rows].tolist(), strict=True)) == [(0, 1), (0, 3), (1, 0), (2, 1)]
    assert rows.tolist() == [1, 2, 3, 4]
    assert graph.find_edges(torch.tensor([2, 0, 0]), torch.tensor([1, 3, 1])).tolist() == [3, 1, 0]
    labels, weights = np.array([[1, 2], [1, 3], [0, 2], [1, 2]]), np.array([1, 2, 4, 8], np.float32)
    of_users = graph.sum_labels(labels, 4, weights).toarray()
    np.testing.assert_array_equal(of_users, [[0, 3, 1, 2], [4, 0, 4, 0], [0, 8, 8, 0]])
    of_items = graph.sum_labels(labels, 4, weights, by_item=True).toarray()
    np.testing.assert_array_equal(of_items, [[4, 0, 4, 0], [0, 9, 9, 0], [0, 0, 0, 0], [0, 2, 0, 2]])

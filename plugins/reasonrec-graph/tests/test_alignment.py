"""Alignments measure what they say: 0 for equal views, the exact distance otherwise, and gradients that close it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from reasonrec_graph.alignment import contrast, draw_nodes, transport
from scipy.optimize import linear_sum_assignment


def test_equal_distributions_are_at_distance_nought() -> None:
    views = torch.randn(30, 5)
    assert abs(float(transport(views, views, 0.05))) < 1e-6
    assert abs(float(transport(views, 3 * views[torch.randperm(30)], 0.05))) < 1e-3


def test_the_distance_is_that_of_the_best_assignment() -> None:
    one, other = torch.randn(25, 3), torch.randn(25, 3) + torch.tensor([2.0, 0.0, 0.0])
    distances = torch.cdist(F.normalize(one, dim=-1), F.normalize(other, dim=-1)).numpy()
    exact = distances[linear_sum_assignment(distances)].mean()
    assert abs(float(transport(one, other, 0.03)) - exact) < 0.1 * exact


def test_the_gradient_brings_distributions_together() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(40, 4, requires_grad=True), torch.randn(40, 4) + 1
    first = float(transport(one.detach(), other, 0.05))
    optimiser = torch.optim.SGD([one], lr=5.0)
    for _ in range(100):
        optimiser.zero_grad()
        transport(one, other, 0.05).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert float(transport(one.detach(), other, 0.05)) < 0.2 * first


def test_contrast_is_the_cross_entropy_of_finding_oneself() -> None:
    one, other = torch.randn(6, 4), torch.randn(6, 4)
    cosines = np.array([[float(F.cosine_similarity(a, b, dim=0)) for b in other] for a in one]) / 0.2
    expected = np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(cosines)])
    np.testing.assert_allclose(float(contrast(one, other, 0.2)), expected, rtol=1e-4)
    apart = torch.eye(6)
    assert float(contrast(apart, apart, 0.02)) < 1e-6


def test_nodes_are_drawn_once_each_and_no_more_than_are_wanted() -> None:
    nodes = torch.tensor([7, 3, 3, 9, 7, 1])
    assert draw_nodes(nodes, 4).tolist() == [1, 3, 7, 9]
    torch.manual_seed(0)
    drawn = [draw_nodes(nodes, 2).tolist() for _ in range(20)]
    assert all(len({*each}) == 2 and {*each} <= {1, 3, 7, 9} for each in drawn)
    assert len({tuple(sorted(each)) for each in drawn}) > 2

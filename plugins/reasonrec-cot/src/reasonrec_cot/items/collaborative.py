"""Who is chosen near whom, as item vectors: what CoLLM and LLaRA put into prompts from a classical model."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from reasonrec_core.builtin.transition_matrix import TransitionCounts
from reasonrec_core.types import Float32, Interactions

WINDOW, DECAY = 8, 0.8


def collaborative_vectors(train: Interactions, n_items: int, dim: int, seed: int = 0) -> Float32:
    """float32[n_items, 2 * dim] of the training part; NaN for items without interactions.

    Decayed directed transitions ``C_ij``, divided by ``sqrt(c_i c_j)``, factorised by a truncated singular value
    decomposition: an item's left factors say what follows it, its right factors what it follows.

    Args:
        train: sorted by user, oldest first.
        n_items: size of the catalogue.
        dim: factors, at most; a small catalogue has fewer.
        seed: of the randomised decomposition.
    """
    counts = TransitionCounts(train, n_items, WINDOW)
    seen = np.maximum(counts.counts, 1.0)
    scale = sparse.diags(seen**-0.5)
    matrix = (scale @ counts.forward(WINDOW, DECAY) @ scale).tocsr().astype(np.float32)
    rank = min(dim, n_items - 1)
    left, values, right = randomized_svd(matrix, n_components=max(rank, 1), random_state=seed)
    root = np.sqrt(values)
    found = np.zeros((n_items, 2 * dim), np.float32)
    found[:, : len(root)], found[:, dim : dim + len(root)] = left * root, right.T * root
    found[counts.counts == 0] = np.nan
    return found

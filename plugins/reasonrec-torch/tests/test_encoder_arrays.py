"""Encoders as arrays answer as the modules that were trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_torch.encoder_arrays import HistoryArrays, ItemArrays, make_low_pass
from reasonrec_torch.feature_projection import ItemTensors
from reasonrec_torch.history_encoder import HistoryEncoder
from reasonrec_torch.item_encoder import ItemEncoder
from reasonrec_torch.item_features import TableInputs
from reasonrec_torch.parameters import read_parameters
from scipy import sparse

LONGEST, WIDTH, HEADS = 12, 8, 2


@settings(max_examples=30, deadline=None)
@given(
    share=st.sampled_from([0.0, 0.3, 1.0]),
    layers=st.integers(1, 3),
    refinements=st.integers(0, 2),
    rows=st.integers(1, 4),
    length=st.integers(1, LONGEST),
    seed=st.integers(0, 99),
)
def test_states_are_those_of_the_module(
    share: float, layers: int, refinements: int, rows: int, length: int, seed: int
) -> None:
    torch.manual_seed(seed)
    module = HistoryEncoder(WIDTH, HEADS, layers, 0.3, LONGEST, 3, share, refinements).eval()
    for value in module.parameters():
        value.data += 0.3 * torch.randn_like(value)
    x, at = torch.randn(rows, length, WIDTH), torch.randint(0, length, (rows,))
    arrays = HistoryArrays(
        read_parameters(module), HEADS, layers, share, make_low_pass(LONGEST, 3) if share > 0 else None
    )
    with torch.inference_mode():
        expected = module.last(x, at).numpy()
    np.testing.assert_allclose(arrays.last(x.numpy(), at.numpy()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("use_ids", [True, False])
def test_items_are_those_of_the_module_and_so_are_new_ones(use_ids: bool) -> None:
    torch.manual_seed(0)
    rng, n, trained = np.random.default_rng(0), 9, 6
    module = ItemEncoder(trained, [3, 2], [4], WIDTH, 0.5, use_ids).eval()
    for value in module.parameters():
        value.data += torch.randn_like(value)
    present = [(rng.random(n) < 0.6).astype(np.float32) for _ in range(2)]
    views = [rng.standard_normal((n, w)).astype(np.float32) * p[:, None] for w, p in zip((3, 2), present, strict=True)]
    counts = np.where(np.arange(n) < trained - 1, 2, 0).astype(np.float32)
    members = sparse.random_array((n, 4), density=0.3, format="csr", dtype=np.float32, rng=rng)
    inputs = TableInputs(counts, tuple(views), tuple(present), (sparse.csr_matrix(members),))
    tensors = ItemTensors(
        torch.from_numpy(counts),
        tuple(map(torch.from_numpy, views)),
        tuple(map(torch.from_numpy, present)),
        (torch.from_numpy(members.toarray()).to_sparse(),),
    )
    with torch.inference_mode():
        expected = [part.numpy() for part in module(tensors)]
    for mine, wanted in zip(ItemArrays(read_parameters(module), use_ids)(inputs), expected, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-5, atol=1e-6)

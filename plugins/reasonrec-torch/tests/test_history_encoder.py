"""The history encoder: causal in every form, a filter that is a Fourier transform, one position for less."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from reasonrec_torch.encoder_arrays import make_low_pass
from reasonrec_torch.history_encoder import HistoryEncoder

FORMS = list(product((0.0, 0.6, 1.0), (0, 2)))


def encoder(share: float, refinements: int) -> HistoryEncoder:
    torch.manual_seed(3)
    made = HistoryEncoder(12, 3, 2, 0.2, 9, 2, share, refinements).eval()
    for value in made.parameters():
        value.data += 0.1 * torch.randn_like(value)
    return made


@pytest.mark.parametrize(("share", "refinements"), FORMS)
def test_a_state_knows_nothing_of_what_follows(share: float, refinements: int) -> None:
    made, x = encoder(share, refinements), torch.randn(4, 9, 12)
    later = x.clone()
    later[:, 6:] = torch.randn(4, 3, 12)
    before, after = made(x), made(later)
    assert len(before) == 1 + refinements
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one[:, :6], other[:, :6], rtol=0, atol=1e-6)
        assert (one[:, 6:] - other[:, 6:]).abs().amax(dim=2).min() > 1e-3
    earlier = x.clone()
    earlier[:, 0] = torch.randn(4, 12)
    assert (made(earlier)[-1][:, 8] - before[-1][:, 8]).abs().max() > 1e-4, "the first item is forgotten"


@pytest.mark.parametrize(("share", "refinements"), FORMS)
def test_one_position_alone_is_what_it_is_among_all(share: float, refinements: int) -> None:
    made, x, at = encoder(share, refinements), torch.randn(5, 9, 12), torch.tensor([0, 8, 3, 5, 1])
    with torch.no_grad():
        torch.testing.assert_close(made.last(x, at), made(x)[-1][torch.arange(5), at], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("components", [1, 2, 4])
def test_low_pass_is_the_fourier_transform_of_each_prefix(components: int) -> None:
    filters, x = make_low_pass(9, components), np.random.default_rng(0).standard_normal((9, 5))
    for last in range(9):
        spectrum = np.fft.rfft(x[: last + 1], axis=0)
        spectrum[components:] = 0
        expected = np.fft.irfft(spectrum, last + 1, axis=0)[-1]
        np.testing.assert_allclose(filters[last, : last + 1] @ x[: last + 1], expected, atol=1e-5)
        assert not filters[last, last + 1 :].any()

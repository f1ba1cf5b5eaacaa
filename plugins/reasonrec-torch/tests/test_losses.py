"""The losses are what their formulas say, and their gradients are exact."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_torch.losses import FullSoftmax, SampledSoftmax, binary_loss, bpr_loss, listwise_loss
from torch import Tensor
from torch.nn.functional import cross_entropy

Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def problem(rows: int, items: int, d: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64) -> Problem:
    make = torch.Generator().manual_seed(seed)
    states, table = (torch.randn(n, d, generator=make, dtype=dtype, requires_grad=True) for n in (rows, items))
    bias = torch.randn(items, generator=make, dtype=dtype, requires_grad=True)
    return (
        states,
        table,
        bias,
        torch.randint(items, (rows,), generator=make),
        torch.rand(rows, generator=make, dtype=dtype) + 0.1,
    )


@given(
    rows=st.integers(1, 7),
    items=st.integers(2, 9),
    chunk=st.integers(1, 8),
    smoothing=st.sampled_from([0.0, 0.2]),
    weighted=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_equals_cross_entropy_over_all_logits(
    rows: int, items: int, chunk: int, smoothing: float, weighted: bool, seed: int
) -> None:
    states, table, bias, targets, weights = problem(rows, items, seed=seed)
    given_weights = weights if weighted else None
    loss = FullSoftmax(smoothing, chunk_bytes=chunk * items * 8).loss(states, table, bias, targets, given_weights)
    each = cross_entropy(states @ table.T + bias, targets, reduction="none", label_smoothing=smoothing)
    share = weights / weights.sum() if weighted else torch.full((rows,), 1 / rows)
    wanted = (each * share).sum()
    assert loss.item() == pytest.approx(wanted.item())
    learned = torch.autograd.grad(3 * loss, (states, table, bias))
    for mine, theirs in zip(learned, torch.autograd.grad(3 * wanted, (states, table, bias)), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_gradients_agree_with_finite_differences() -> None:
    states, table, bias, targets, weights = problem(5, 6)
    softmax = FullSoftmax(smoothing=0.1, chunk_bytes=2 * 6 * 8)
    assert torch.autograd.gradcheck(lambda h, e, b: softmax.loss(h, e, b, targets, weights), (states, table, bias))


@pytest.mark.parametrize("softmax", [FullSoftmax(), SampledSoftmax(9)])
def test_large_logits_stay_finite(softmax: FullSoftmax | SampledSoftmax) -> None:
    states, table, bias, targets, _ = problem(4, 5, dtype=torch.float32)
    loss = softmax.loss(states * 1e4, table, bias, targets)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, (states, table, bias)))


@pytest.mark.parametrize("softmax", [FullSoftmax(), SampledSoftmax(4)])
@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_to_learn_from_is_no_loss(softmax: FullSoftmax | SampledSoftmax, rows: int) -> None:
    states, table, bias, targets, _ = problem(rows, 6, dtype=torch.float32)
    loss = softmax.loss(states, table, bias, targets, torch.zeros(rows))
    assert loss.item() == 0
    assert all((g == 0).all() for g in torch.autograd.grad(loss, (states, table, bias)))


@pytest.mark.parametrize("softmax", [FullSoftmax(), SampledSoftmax(40)])
def test_bfloat16_products_come_close(softmax: FullSoftmax | SampledSoftmax) -> None:
    states, table, bias, targets, _ = problem(64, 50, d=16, dtype=torch.float32)
    torch.manual_seed(0)
    exact = softmax.loss(states, table, bias, targets)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        rough = softmax.loss(states, table, bias, targets)
    assert rough.dtype == torch.float32
    assert rough.item() != exact.item()
    assert rough.item() == pytest.approx(exact.item(), rel=0.01)
    for mine, wanted in zip(*(torch.autograd.grad(x, (states, table, bias)) for x in (rough, exact)), strict=True):
        assert (mine - wanted).norm() < 0.02 * wanted.norm()


@pytest.mark.parametrize("popular", [False, True])
def test_sampled_normaliser_is_unbiased(popular: bool) -> None:
    """exp(loss) * exp(own logit) is the estimated sum of exponentials; its mean is the full one."""
    torch.manual_seed(0)
    states, table, bias, targets, _ = problem(1, 12, dtype=torch.float32)
    counts = torch.arange(12).numpy() if popular else None
    sampled = SampledSoftmax(5, counts)
    logits = (states @ table.T + bias)[0].detach()
    sums = torch.stack([sampled.loss(states, table, bias, targets).exp() for _ in range(4000)]) * logits[targets].exp()
    error = sums.std() / 4000**0.5
    assert abs(sums.mean() - logits.exp().sum()) < 4 * error
    assert error < 0.05 * logits.exp().sum()


@given(
    rows=st.integers(1, 7),
    items=st.integers(2, 6),
    negatives=st.integers(1, 9),
    chunk=st.integers(1, 8),
    weighted=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_equals_cross_entropy_over_the_sample(
    rows: int, items: int, negatives: int, chunk: int, weighted: bool, seed: int
) -> None:
    states, table, bias, targets, weights = problem(rows, items, seed=seed)
    sampled = SampledSoftmax(negatives, chunk_bytes=chunk * negatives * 8)
    torch.manual_seed(seed)
    loss = sampled.loss(states, table, bias, targets, weights if weighted else None)
    torch.manual_seed(seed)
    drawn, shift = sampled._draw(items, states.device)
    own = (states * table[targets]).sum(1) + bias[targets]
    others = (states @ table[drawn].T + bias[drawn] - shift).masked_fill(drawn == targets[:, None], -torch.inf)
    share = weights / weights.sum() if weighted else torch.full((rows,), 1 / rows)
    wanted = ((torch.cat([own[:, None], others], 1).logsumexp(1) - own) * share).sum()
    assert loss.item() == pytest.approx(wanted.item())
    learned = torch.autograd.grad(3 * loss, (states, table, bias))
    for mine, theirs in zip(learned, torch.autograd.grad(3 * wanted, (states, table, bias)), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_popular_items_are_drawn_by_their_counts() -> None:
    torch.manual_seed(0)
    counts = torch.tensor([0, 1, 8]).numpy()
    drawn, shift = SampledSoftmax(20_000, counts, power=1.0)._draw(3, torch.device("cpu"))
    wanted = torch.tensor([0.5, 1, 8]) / 9.5
    torch.testing.assert_close(torch.bincount(drawn, minlength=3) / 20_000, wanted, atol=0.02, rtol=0)
    torch.testing.assert_close(shift, torch.log(20_000 * wanted)[drawn])


def test_a_target_is_never_its_own_negative() -> None:
    """With one item in all, the target is the only possible negative, and leaving it out leaves no loss."""
    one = torch.ones(2, 3)
    assert SampledSoftmax(7).loss(one, one[:1], torch.zeros(1), torch.zeros(2, dtype=torch.int64)).item() == 0


def test_targets_of_a_state_share_its_negatives() -> None:
    """With all items drawn once: the log of what is no target of the state's, beside the target, for each target."""
    torch.manual_seed(0)
    states, table, bias = torch.randn(3, 4), torch.randn(6, 4), torch.randn(6)
    groups, targets = torch.tensor([0, 0, 2, 1]), torch.tensor([1, 5, 1, 3])
    softmax = SampledSoftmax(6)
    softmax._draw = lambda n, device: (torch.arange(6), 0.0)  # type: ignore[method-assign]
    logits, expected = states @ table.T + bias, []
    for group, target in zip(groups.tolist(), targets.tolist(), strict=True):
        others = sorted(set(range(6)) - set(targets[groups == group].tolist()))
        expected.append(logits[group, [target, *others]].logsumexp(0) - logits[group, target])
    found = softmax.loss_of_groups(states, groups, table, bias, targets)
    torch.testing.assert_close(found, torch.stack(expected).mean())


def test_counts_of_another_catalogue_are_refused() -> None:
    states, table, bias, targets, _ = problem(2, 6, dtype=torch.float32)
    with pytest.raises(ValueError, match="counts of 5 items"):
        SampledSoftmax(4, torch.ones(5).numpy()).loss(states, table, bias, targets)


@given(rows=st.integers(1, 5), items=st.integers(2, 6), seed=st.integers(0, 99), masked=st.booleans())
@settings(max_examples=40, deadline=None)
def test_listwise_is_its_formula(rows: int, items: int, seed: int, masked: bool) -> None:
    make = torch.Generator().manual_seed(seed)
    scores, relevance = torch.randn(rows, items, generator=make), torch.rand(rows, items, generator=make).round()
    mask = torch.rand(rows, items, generator=make) > 0.3 if masked else torch.ones(rows, items, dtype=torch.bool)
    mask[:, 0] = True
    wanted, counted = 0.0, 0
    for r in range(rows):
        at = mask[r].nonzero()[:, 0]
        share = relevance[r, at]
        if share.sum() > 0:
            counted += 1
            log_p = scores[r, at] - scores[r, at].exp().sum().log()
            wanted -= float((share / share.sum() * log_p).sum())
    found = listwise_loss(scores, relevance, mask if masked else None)
    assert float(found) == pytest.approx(wanted / max(counted, 1), abs=1e-5)


def test_pairwise_and_binary_are_their_formulas() -> None:
    right, wrong = torch.tensor([1.0, -2.0]), torch.tensor([[0.5, 3.0], [-1.0, -4.0]])
    by_hand = [-math.log(1 / (1 + math.exp(b - a))) for a, row in zip(right, wrong, strict=True) for b in row]
    assert float(bpr_loss(right, wrong)) == pytest.approx(sum(by_hand) / 4)
    assert float(bpr_loss(right, wrong[:, 0])) == pytest.approx((by_hand[0] + by_hand[2]) / 2)
    labels = torch.tensor([1, 0])
    wanted = [math.log(1 + math.exp(-1.0)), math.log(1 + math.exp(-2.0))]
    assert float(binary_loss(right, labels)) == pytest.approx(sum(wanted) / 2)

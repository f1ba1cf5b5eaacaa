"""What encoders may look at, and that they compute what their equations say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from reasonrec_sequence.config import AttentionConfig, BSARecConfig, ConvFormerConfig, LightSANsConfig, SequenceConfig
from reasonrec_sequence.encoders import (
    AttentionEncoder,
    ConvolutionEncoder,
    ConvolutionLayer,
    InterestEncoder,
    InterestLayer,
    RecurrentEncoder,
)
from reasonrec_sequence.network import SequenceEncoder
from reasonrec_torch.history_encoder import EncoderLayer
from torch import Tensor, nn

SIZES: dict[str, Any] = {"dimensions": 12, "layers": 2, "max_history": 9, "dropout": 0.2}
ENCODERS: dict[str, Callable[[], SequenceEncoder]] = {
    "attention": lambda: AttentionEncoder(AttentionConfig(**SIZES, heads=3)),
    "filter": lambda: AttentionEncoder(BSARecConfig(**SIZES, heads=3)),
    "interests": lambda: InterestEncoder(LightSANsConfig(**SIZES, heads=3)),
    "convolution": lambda: ConvolutionEncoder(ConvFormerConfig(**SIZES, kernel=5)),
    "recurrence": lambda: RecurrentEncoder(SequenceConfig(**SIZES)),
}


def make(name: str) -> SequenceEncoder:
    torch.manual_seed(4)
    made = ENCODERS[name]()
    made.eval()
    for value in made.parameters():
        value.data += 0.1 * torch.randn_like(value)
    return made


@pytest.mark.parametrize("name", ENCODERS)
def test_a_state_knows_nothing_of_what_follows(name: str) -> None:
    encoder, x = make(name), torch.randn(4, 9, 12)
    later = x.clone()
    later[:, 6:] = torch.randn(4, 3, 12)
    torch.testing.assert_close(encoder(x)[:, :6], encoder(later)[:, :6], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(encoder(x)[:, 6:], encoder(later)[:, 6:])


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_does_not_count(name: str) -> None:
    encoder, x = make(name), torch.randn(3, 5, 12)
    padded = torch.cat([x, torch.zeros(3, 4, 12)], 1)
    torch.testing.assert_close(encoder(x), encoder(padded)[:, :5], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_last_state_is_the_state_at_the_last_place(name: str) -> None:
    encoder, x, at = make(name), torch.randn(3, 9, 12), torch.tensor([8, 3, 0])
    torch.testing.assert_close(encoder.last(x, at), encoder(x)[torch.arange(3), at], atol=1e-5, rtol=1e-4)


def test_attention_is_that_of_torch() -> None:
    """The same weights in `nn.TransformerEncoderLayer`, which is somebody else's code."""
    encoder = make("attention")
    assert isinstance(encoder, AttentionEncoder)
    read, x = encoder.histories, torch.randn(4, 9, 12)
    state = read.norm(x + read.positions)
    for ours in read.layers:
        assert isinstance(ours, EncoderLayer)
        assert ours.attention is not None
        theirs = nn.TransformerEncoderLayer(12, 3, 48, activation=F.gelu, batch_first=True).eval()
        theirs.self_attn.in_proj_weight, theirs.self_attn.in_proj_bias = ours.attention.inward.parameters()
        theirs.self_attn.out_proj.load_state_dict(ours.attention.outward.state_dict())
        for target, source in (
            (theirs.linear1, ours.widen), (theirs.linear2, ours.narrow), (theirs.norm1, ours.first),
            (theirs.norm2, ours.second),
        ):  # fmt: skip
            target.load_state_dict(source.state_dict())
        state = theirs(state, src_mask=nn.Transformer.generate_square_subsequent_mask(9), is_causal=True)
    torch.testing.assert_close(encoder(x), state, atol=1e-5, rtol=1e-5)


def test_interests_of_the_last_place_are_those_of_the_whole_row() -> None:
    """One causal layer ends where the published layer, which looks at all positions, stands."""
    torch.manual_seed(5)
    layers = [InterestLayer(LightSANsConfig(**SIZES, heads=2, causal=causal)).eval() for causal in (True, False)]
    layers[1].load_state_dict(layers[0].state_dict())
    x, positions = torch.randn(2, 7, 12), torch.randn(7, 12)
    real = torch.ones(2, 7, dtype=torch.bool)
    causal, whole = (layer(x, positions, real) for layer in layers)
    torch.testing.assert_close(causal[:, -1], whole[:, -1], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(causal[:, 0], whole[:, 0])


def test_interests_are_those_of_the_equations() -> None:
    """LightSANs, equations 3 to 8, written out for one head and one row."""
    torch.manual_seed(6)
    layer = InterestLayer(LightSANsConfig(dimensions=8, heads=1, interests=3, causal=False, dropout=0.0)).eval()
    x, positions = torch.randn(1, 6, 8), torch.randn(6, 8)
    q, k, v = (x[0] @ w.T + b for w, b in zip(layer.inward.weight.chunk(3), layer.inward.bias.chunk(3), strict=True))
    keys = (k @ layer.keys.weight.T).softmax(0).T @ k
    values = (v @ layer.values.weight.T).softmax(0).T @ v
    seen = (q @ keys.T / 8**0.5).softmax(-1) @ values
    pq, pk = (positions @ w.T + b for w, b in zip(layer.where.weight.chunk(2), layer.where.bias.chunk(2), strict=True))
    seen = seen + (pq @ pk.T / 8**0.5).softmax(-1) @ v
    expected = layer.think(x, layer.outward(seen[None]))
    got = layer(x, positions, torch.ones(1, 6, dtype=torch.bool))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def test_a_convolution_is_a_sum_over_what_came_before() -> None:
    layer = ConvolutionLayer(ConvFormerConfig(dimensions=4, kernel=3, dropout=0.0)).eval()
    layer.weight.data = torch.randn_like(layer.weight)
    x = torch.randn(2, 6, 4)
    mixed = torch.stack([_reach_back(x, layer.weight, t) for t in range(6)], 1) + layer.bias
    torch.testing.assert_close(layer(x), layer.think(x, mixed), atol=1e-5, rtol=1e-4)


def _reach_back(x: Tensor, weight: Tensor, t: int) -> Tensor:
    return sum((weight[j] * x[:, t - j] for j in range(min(len(weight), t + 1))), torch.zeros_like(x[:, 0]))

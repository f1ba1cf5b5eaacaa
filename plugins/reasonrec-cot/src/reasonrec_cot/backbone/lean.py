"""A Llama-like decoder in few operations: what writing a token costs beside its products.

The products of one token are quick; what stands around them in a general implementation takes longer than they do on
a CPU. Here queries, keys and values are turned and norms taken at once, all queries that share a key stand side by
side (no copies of keys), and nothing is asked of modules that is known beforehand. The arithmetic is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPast

from reasonrec_cot.backbone.kv_cache import make_cache

Product = Callable[[torch.Tensor], torch.Tensor]
LAYER = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
FEED_FORWARD = {"gate_proj", "up_proj", "down_proj", "act_fn"}
SIZES = ("head_dim", "scaling", "num_key_value_groups")
ROWS, FIRST = 7, 4
"""Tokens on which a decoder is tried, and how many of them are read first."""
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.03}


def side_by_side(*layers: nn.Module) -> Product:
    """The products of layers that read the same, one behind the other."""
    if len(layers) == 1:
        return layers[0]
    return lambda given: torch.cat([layer(given) for layer in layers], -1)


@dataclass(frozen=True)
class Norm:
    """x / sqrt(mean(x^2) + eps) * weight, per row."""

    weight: torch.Tensor
    eps: torch.Tensor

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """[n, d] for [n, d]."""
        length = torch.linalg.vector_norm(rows, 2, 1, True, dtype=torch.float32)
        scale = torch.addcmul(self.eps, length, length, value=1 / rows.shape[1]).rsqrt_()
        return (rows * scale).to(rows.dtype) * self.weight


def norm_of(module: Any, dtype: torch.dtype) -> Norm:
    """The same norm, for rows of a type."""
    return Norm(module.weight.detach().to(dtype), torch.tensor([[float(module.variance_epsilon)]]))


@dataclass(frozen=True)
class Layer:
    """One layer: what it is made of, in the order of use."""

    before: Norm
    inward: Product
    outward: Product
    between: Norm
    wide: Product
    activation: Product
    narrow: Product


class Lean(nn.Module):
    """A Llama-like decoder that reads a few tokens behind what a cache holds.

    Args:
        decoder: of the kind that `is_like_llama` tells; its embeddings, norms and rotations are shared.
        product: makes one product of linear layers that read the same.
        dtype: of all that is not kept in the cache; the decoder's if not given.
    """

    def __init__(
        self, decoder: Any, product: Callable[..., Product] = side_by_side, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.embeddings, self.rotate = decoder.get_input_embeddings(), decoder.rotary_emb
        self.dtype: torch.dtype = dtype or self.embeddings.weight.dtype
        attention = decoder.layers[0].self_attn
        self.size, self.scale = int(attention.head_dim), float(attention.scaling)
        self.shared = int(attention.num_key_value_groups)
        self.keys = int(attention.k_proj.out_features) // self.size
        self.layers = [
            Layer(
                norm_of(layer.input_layernorm, self.dtype),
                product(layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                product(layer.self_attn.o_proj),
                norm_of(layer.post_attention_layernorm, self.dtype),
                product(layer.mlp.gate_proj, layer.mlp.up_proj),
                layer.mlp.act_fn,
                product(layer.mlp.down_proj),
            )
            for layer in decoder.layers
        ]
        self.last = norm_of(decoder.norm, self.dtype)

    def get_input_embeddings(self) -> nn.Module:
        """Those of the decoder."""
        return self.embeddings  # type: ignore[no-any-return]

    def forward(
        self,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor,
        past_key_values: Any,
        use_cache: bool = True,
    ) -> BaseModelOutputWithPast:
        """As the decoder's: [B, Q, d] embeddings, a mask [B, 1, Q, T] to add if there is one, [B, Q] positions."""
        assert use_cache
        texts, new, width = inputs_embeds.shape
        rows = inputs_embeds.reshape(-1, width).to(self.dtype)
        cosine, sine = (turn[:, :, None] for turn in self.rotate(rows, position_ids))
        half = self.size // 2
        sine = torch.cat([-sine[..., :half], sine[..., half:]], -1)
        mask = self._mask(attention_mask, new, past_key_values.get_seq_length() + new, inputs_embeds)
        turning = self.keys * (self.shared + 1)
        for number, layer in enumerate(self.layers):
            heads = layer.inward(layer.before(rows)).view(texts, new, -1, self.size)
            plain = heads[:, :, :turning]
            turned = torch.addcmul(plain * cosine, plain.roll(half, -1), sine).to(inputs_embeds.dtype)
            keys, values = past_key_values.update(
                turned[:, :, -self.keys :].transpose(1, 2), heads[:, :, turning:].transpose(1, 2), number
            )
            asked = (
                turned[:, :, : -self.keys].view(texts, new, self.keys, self.shared, self.size).permute(0, 2, 3, 1, 4)
            )
            found = nn.functional.scaled_dot_product_attention(
                asked.reshape(texts, self.keys, -1, self.size), keys, values, mask, scale=self.scale
            )
            seen = found.view(texts, self.keys, self.shared, new, self.size).permute(0, 3, 1, 2, 4)
            rows = layer.outward(seen.reshape(len(rows), -1).to(self.dtype)).add_(rows)
            gate, up = layer.wide(layer.between(rows)).chunk(2, -1)
            rows = layer.narrow(layer.activation(gate) * up).add_(rows)
        states = self.last(rows).to(inputs_embeds.dtype).view(texts, new, width)
        return BaseModelOutputWithPast(last_hidden_state=states)

    def _mask(self, given: torch.Tensor | None, new: int, places: int, like: torch.Tensor) -> torch.Tensor | None:
        """[B or 1, 1, queries that share a key, T]; none where all is seen."""
        if given is None:
            if new == 1:
                return None
            later = torch.ones(1, 1, new, places, dtype=torch.bool).triu(places - new + 1)
            given = torch.zeros(later.shape, dtype=like.dtype).masked_fill_(later, torch.finfo(like.dtype).min)
        return given.expand(-1, self.shared, -1, -1).reshape(len(given), 1, -1, places)


def is_like_llama(decoder: Any) -> bool:
    """Whether a decoder has the parts of a Llama, and no others; what adapters are part of has others."""
    if not {"layers", "norm", "rotary_emb"} <= _parts(decoder) <= {"embed_tokens", "layers", "norm", "rotary_emb"}:
        return False
    norms = [decoder.norm]
    for layer in decoder.layers:
        if _parts(layer) != LAYER or _parts(layer.self_attn) != ATTENTION or _parts(layer.mlp) != FEED_FORWARD:
            return False
        products = [
            *layer.self_attn.children(),
            *(part for name, part in layer.mlp.named_children() if name != "act_fn"),
        ]
        if not all(type(part) is nn.Linear for part in products) or not all(hasattr(layer.self_attn, n) for n in SIZES):
            return False
        norms += [layer.input_layernorm, layer.post_attention_layernorm]
    return all(hasattr(norm, "weight") and hasattr(norm, "variance_epsilon") for norm in norms)


def _parts(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_children()}


@torch.inference_mode()
def works_as(decoder: Any, lean: Lean) -> bool:
    """Whether both make the same of a few tokens: parts alike can still be put together in another way."""
    weight = decoder.get_input_embeddings().weight
    embedded = decoder.get_input_embeddings()(torch.arange(5, 5 + ROWS)[None])
    positions = torch.arange(3, 3 + ROWS)[None]  # not from 0, where nothing is turned
    own = decoder(inputs_embeds=embedded, position_ids=positions, use_cache=False).last_hidden_state.float()
    cache = make_cache(len(lean.layers))
    found = torch.cat(
        [
            lean(embedded[:, part], None, positions[:, part], cache).last_hidden_state.float()
            for part in (slice(0, FIRST), slice(FIRST, ROWS - 1), slice(ROWS - 1, ROWS))
        ],
        1,
    )
    return bool((own - found).norm() <= TOLERANCE.get(weight.dtype, 1e-4) * own.norm())

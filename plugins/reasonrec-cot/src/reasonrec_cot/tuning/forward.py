"""Hidden states with gradients, what all rows begin with being read once."""

from __future__ import annotations

import torch
from transformers.cache_utils import DynamicCache

from reasonrec_cot.backbone.model import Backbone, SoftTokens

WORTH_SHARING = 16


def shared_hidden(backbone: Backbone, tokens: torch.Tensor, soft: SoftTokens | None) -> torch.Tensor:
    """[B, T, d] hidden states of int64[B, T], as `Backbone.hidden` gives them, with gradients.

    Rows of a batch ask in the same words, so the system's turn and the question up to the history stand in all of
    them: those places are read once and their keys and values are expanded to all rows, through which gradients add up.
    """
    same = (tokens == tokens[:1]).all(0)
    shared = int(same.long().cumprod(0).sum())
    shared = min(shared, tokens.shape[1] - 1)
    if len(tokens) == 1 or shared < WORTH_SHARING:
        return backbone.hidden(tokens, soft)
    first = backbone.decoder(inputs_embeds=backbone.embed(tokens[:1, :shared], soft), use_cache=True)
    once = first.past_key_values
    cache = DynamicCache()
    for number, layer in enumerate(once.layers):
        keys, values = (part.expand(len(tokens), -1, -1, -1) for part in (layer.keys, layer.values))
        cache.update(keys, values, number)
    positions = torch.arange(shared, tokens.shape[1], device=tokens.device)[None].expand(len(tokens), -1)
    rest = backbone.decoder(
        inputs_embeds=backbone.embed(tokens[:, shared:], soft),
        past_key_values=cache,
        position_ids=positions,
        use_cache=True,
    ).last_hidden_state
    return torch.cat([first.last_hidden_state.expand(len(tokens), -1, -1), rest], 1)

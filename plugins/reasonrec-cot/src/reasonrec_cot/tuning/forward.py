"""Hidden states with gradients, what all rows begin with being read once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers.cache_utils import DynamicCache

from reasonrec_cot.backbone.model import Backbone, SoftTokens

WORTH_SHARING = 16


def shared_hidden(
    backbone: Backbone, tokens: torch.Tensor, soft: SoftTokens | None, layers: Sequence[int] = ()
) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """Hidden states of int64[B, T], as `Backbone.hidden` gives them, with gradients.

    Rows of a batch ask in the same words, so the system's turn and the question up to the history stand in all of
    them: those places are read once and their keys and values are expanded to all rows, through which gradients add up.

    Args:
        backbone: the model.
        tokens: see `Backbone.padded`.
        soft: soft tokens.
        layers: after how many layers states are wanted, too.

    Returns:
        [B, T, d] of the whole model, and by layer [B, T, d] before the final norm.
    """
    same = (tokens == tokens[:1]).all(0)
    shared = int(same.long().cumprod(0).sum())
    shared = min(shared, tokens.shape[1] - 1)
    if len(tokens) == 1 or shared < WORTH_SHARING:
        whole = backbone.decoder(
            inputs_embeds=backbone.embed(tokens, soft), use_cache=False, output_hidden_states=bool(layers)
        )
        return whole.last_hidden_state, {layer: whole.hidden_states[layer] for layer in layers}
    first = backbone.decoder(
        inputs_embeds=backbone.embed(tokens[:1, :shared], soft), use_cache=True, output_hidden_states=bool(layers)
    )
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
        output_hidden_states=bool(layers),
    )

    def join(start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
        return torch.cat([start.expand(len(tokens), -1, -1), end], 1)

    early = {layer: join(first.hidden_states[layer], rest.hidden_states[layer]) for layer in layers}
    return join(first.last_hidden_state, rest.last_hidden_state), early

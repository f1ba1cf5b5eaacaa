"""Prompts read a few layers at a time, so that a text whose answer is known need not be read by the layers above.

What is saved is saved in fact: such texts leave the batch, and the layers above never see them. As they are then read
only in part, nothing can be written after them: this is for answers that are read off the last state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from reasonrec_core.errors import ConfigError
from reasonrec_cot.backbone.kv_cache import Usage, make_cache
from reasonrec_cot.backbone.model import WORTH_SHARING, Backbone, SoftTokens
from reasonrec_cot.backbone.padding import left_padded
from reasonrec_cot.backbone.tokenisation import Prompt

Leave = Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]
"""Of (number of the exit, int64[n] texts, [n, d] their last states there) bool[n]: which of them leave."""
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.05}


@dataclass(frozen=True)
class LayerwiseReading:
    """B texts, each read as far as it was needed.

    Attributes:
        states: [B, d] the model's last hidden state of each text's end; 0 for texts that left.
        depths: int64[B] layers that each text was read by.
        usage: tokens; one counts however many layers read it.
    """

    states: torch.Tensor
    depths: torch.Tensor
    usage: Usage


@torch.inference_mode()
def read_by_layers(
    backbone: Backbone, prompts: Sequence[Prompt], soft: SoftTokens | None, exits: Sequence[int], leave: Leave
) -> LayerwiseReading:
    """Read prompts side by side; after each of ``exits`` layers those leave that ``leave`` says.

    What all prompts begin with is read once, by all layers, and kept, as `Backbone.read` does. A single prompt of which
    nothing was read before is read by all layers, so that the next one finds its beginning.

    Raises:
        ConfigError: a prompt is longer than the model reads.
    """
    tokens = [prompt.tokens for prompt in prompts]
    backbone.check_lengths(tokens)
    source = soft.key if soft is not None else ""
    shared, start, usage = backbone.find_beginning(tokens, source, soft)
    if len(tokens) == 1 and shared < WORTH_SHARING:
        backbone.read(prompts, soft)
        shared, start, _ = backbone.find_beginning(tokens, source, soft)
        usage = Usage(read=shared)
    rest, new = left_padded([row[shared:] for row in tokens], backbone.device)
    usage.read += int(new.sum())
    kept = torch.cat([torch.ones(len(tokens), shared, dtype=torch.bool, device=backbone.device), new], 1)
    positions = (shared + new.long().cumsum(1) - 1).clamp_min(0)
    states = backbone.embed(rest, soft)
    ends = torch.zeros(len(tokens), backbone.width, dtype=backbone.dtype, device=backbone.device)
    depths = torch.full((len(tokens),), backbone.layers, device=backbone.device)
    texts = torch.arange(len(tokens), device=backbone.device)
    mask = backbone.causal_mask(kept, rest.shape[1])
    decoder: Any = backbone.decoder  # transformers' models call layers, norm and rotary embedding by the same names
    for number, (first, last) in enumerate(zip((0, *exits), (*exits, backbone.layers), strict=True)):
        turned = decoder.rotary_emb(states, position_ids=positions)
        cache = make_cache(backbone.layers, start, len(texts))
        for layer in decoder.layers[first:last]:
            found = layer(
                states,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                position_embeddings=turned,
            )
            states = found[0] if isinstance(found, tuple) else found
        if last == backbone.layers:
            ends[texts] = decoder.norm(states[:, -1])
            break
        gone = leave(number, texts, states[:, -1])
        depths[texts[gone]] = last
        if bool(gone.all()):
            break
        if bool(gone.any()):
            texts, states, mask, positions = (each[~gone] for each in (texts, states, mask, positions))
    return LayerwiseReading(ends, depths, usage)


def check_layerwise(backbone: Backbone) -> None:
    """Whether a model can be read so: tried on a few tokens.

    Raises:
        ConfigError: it cannot, or comes out otherwise.
    """
    prompts = [Prompt(np.arange(5, 5 + count, dtype=np.int64), np.zeros(count, np.uint8)) for count in (3, 4)]
    fix = "Take the table exit out, or use a model like Llama or Qwen."
    try:
        found = read_by_layers(backbone, prompts, None, (1,), lambda number, texts, states: texts < 0).states.float()
    except (AttributeError, TypeError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"the model cannot be read layer by layer ({reason})", where="exit", fix=fix) from error
    own = backbone.read(prompts).states.float()
    worst = float((own - found).abs().max())
    backbone.forget()
    if not worst <= TOLERANCE.get(backbone.dtype, 1e-3) * max(1.0, float(own.abs().max())):
        what = f"the model does not give the same when it is read layer by layer (it differs by {worst:.3g})"
        raise ConfigError(what, where="exit", fix=fix)

"""What writes text: a decoder and an output layer, as lean as the model and as quantised as the settings allow."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from reasonrec_core.errors import ConfigError
from reasonrec_cot.backbone.int8 import Int8Linear, quantised
from reasonrec_cot.backbone.lean import Lean, is_like_llama, works_as


def writer_of(model: Any, generation: Literal["exact", "int8"], device: torch.device) -> tuple[nn.Module, nn.Module]:
    """A decoder and an output layer that write as ``model`` does, as it is now.

    Models that are not built like a Llama write by their own layers; with int8, by a copy with quantised ones.

    Args:
        model: a language model of transformers.
        generation: how products are worked out.
        device: where the model is.

    Raises:
        ConfigError: 8-bit products are asked for and cannot be had here.
    """
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    exact = generation == "exact"
    if device.type != "cpu":
        if exact:
            return decoder, head
        fix = 'Set generation = "exact".'
        raise ConfigError(f"int8 generation runs on a CPU, not on {device}", where="generation", fix=fix)
    if is_like_llama(decoder):
        lean = Lean(decoder)
        if works_as(decoder, lean):
            return (lean, head) if exact else (Lean(decoder, Int8Linear, torch.float32), quantised(head))
    return (decoder, head) if exact else (quantised(decoder), quantised(head))

"""From hidden states to logits as the model itself computes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from reasonrec_core.errors import WeightsError

AT_ONCE = 1 << 24
"""Logits computed at a time."""
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.05}


class Logits:
    """The output layer, with the scale or soft cap that some models put behind it.

    Raises:
        WeightsError: the model computes its logits in another way still (tried on a few tokens).
    """

    def __init__(self, model: Any, decoder: nn.Module) -> None:
        self.model = model
        text = model.config.get_text_config()
        self.cap = float(getattr(text, "final_logit_softcapping", None) or 0)
        self.scale = float(getattr(text, "logit_scale", None) or 1) / float(getattr(text, "logits_scaling", None) or 1)
        self._check(decoder)

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """float32[..., vocabulary] for [..., d]."""
        found = self.model.get_output_embeddings()(states).float() * self.scale
        return self.cap * torch.tanh(found / self.cap) if self.cap else torch.as_tensor(found)

    @torch.inference_mode()
    def chosen(self, states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """float32[n]: log probability of int64[n] ``tokens`` after [n, d] ``states``."""
        size = max(1, AT_ONCE // int(self.model.get_output_embeddings().weight.shape[0]))
        parts = []
        for start in range(0, len(tokens), size):
            said, logits = tokens[start : start + size], self(states[start : start + size])
            parts.append(logits.gather(1, said[:, None])[:, 0] - logits.logsumexp(1))
        return torch.cat(parts) if parts else states.new_empty(0, dtype=torch.float32)

    @torch.inference_mode()
    def _check(self, decoder: nn.Module) -> None:
        device = self.model.get_input_embeddings().weight.device
        tokens = torch.arange(5, 9, device=device)[None]  # ordinary ones: no image is given
        own = self.model(input_ids=tokens, use_cache=False).logits.float()
        ours = self(decoder(input_ids=tokens, use_cache=False).last_hidden_state)
        worst = float((own - ours).abs().max())
        if not worst <= TOLERANCE.get(own.dtype, 1e-3) * max(1.0, float(own.abs().max())):
            raise WeightsError(
                f"the logits are not the output layer applied to the last hidden state (they differ by {worst:.3g})",
                where=type(self.model).__name__,
                fix="Use another model; this kind is not supported.",
            )

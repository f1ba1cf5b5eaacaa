"""Generation on a processor with 8-bit products: linear layers quantised, of the whole model or side by side.

Writing a token reads every weight once for little arithmetic, so a quarter of the bytes is a multiple of the speed.
Weights are quantised per output channel, inputs per row (per token), symmetric. A row's result does not depend on the
other rows, so that a text does not depend on what is written beside it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from reasonrec_core.errors import ConfigError

LEVELS = 127
Product = Callable[[torch.Tensor], torch.Tensor]


class Int8Linear(nn.Module):
    """The products of a linear layer in 8 bits, or of several that read the same, one behind the other.

    Raises:
        ConfigError: this build of torch, or this processor, has no such products.
    """

    def __init__(self, *layers: nn.Linear) -> None:
        super().__init__()
        weight = torch.cat([layer.weight.detach().float() for layer in layers])
        self.out_features, self.in_features = weight.shape
        scale = weight.abs().amax(1).clamp_min(1e-8).double() / LEVELS
        zeros = torch.zeros(len(scale), dtype=torch.long)
        try:
            with warnings.catch_warnings():  # torch will replace these functions one day; no other is as fast today
                warnings.simplefilter("ignore", UserWarning)
                whole = torch.quantize_per_channel(weight, scale, zeros, 0, torch.qint8)
                self._product = _product(torch.ops.quantized.linear_prepack(whole, None), self.in_features)
        except (AttributeError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise ConfigError(
                f"8-bit products are not to be had here ({reason})", where="generation", fix='Set generation = "exact".'
            ) from error
        self.bias = _bias(layers)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """[..., out] for [..., in], in the type of what is given."""
        rows = given.reshape(-1, self.in_features).float()
        largest = rows.abs().amax(1, keepdim=True).clamp_min_(1e-12)
        found = self._product(rows / largest).mul_(largest)
        if self.bias is not None:
            found += self.bias
        return found.to(given.dtype).view(*given.shape[:-1], self.out_features)


def _product(packed: Any, width: int) -> Product:
    """The product with rows in [-1, 1], each quantised as if it were alone."""
    # Without instructions for them, sums of two products of 8 bits do not fit: inputs have 7 bits there.
    levels = LEVELS if torch.cpu.get_capabilities().get("avx512_vnni") else LEVELS // 2
    known = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default

    def fixed(rows: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(known(rows, 1 / levels, levels + 1, packed))

    try:
        fixed(torch.zeros(1, width))
    except RuntimeError:  # not every engine has it (QNNPACK, on ARM)
        return _product_by_range(packed, width)
    return fixed


def _product_by_range(packed: Any, width: int) -> Product:
    """The same by a product that quantises all rows by their common range."""
    ends = torch.zeros(1, width)  # keeps the range at [-1, 1] whatever the rows hold
    ends[0, 0], ends[0, -1] = 1.0, -1.0
    ranged = torch.ops.quantized.linear_dynamic.default
    return lambda rows: ranged(torch.cat([rows, ends]), packed, False)[:-1]


def _bias(layers: tuple[nn.Linear, ...]) -> torch.Tensor | None:
    if all(layer.bias is None for layer in layers):
        return None
    parts = [layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias for layer in layers]
    return torch.cat([part.detach().float() for part in parts])


def quantised(module: nn.Module) -> nn.Module:
    """A copy with 8-bit linear layers, which shares embeddings with the original and is as it is now."""
    shared: dict[int, Any] = {}
    for part in module.modules():
        if isinstance(part, nn.Linear):
            shared[id(part)] = Int8Linear(part)
        elif isinstance(part, nn.Embedding):
            shared[id(part)] = part
    if id(module) in shared:
        return shared[id(module)]  # type: ignore[no-any-return]
    return copy.deepcopy(module, shared)

"""The parameters of a trained module as arrays, which answer and are stored without torch."""

from __future__ import annotations

from torch import nn

from reasonrec_core.types import Float32


def read_parameters(module: nn.Module) -> dict[str, Float32]:
    """Parameters and buffers that are stored, by name; they share the module's memory where it is on the CPU."""
    return {name: value.detach().cpu().contiguous().numpy() for name, value in module.state_dict().items()}

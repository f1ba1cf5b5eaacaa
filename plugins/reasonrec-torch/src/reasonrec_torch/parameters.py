"""Tensors of a trained module as arrays, which answer and are stored without torch."""

from __future__ import annotations

from torch import Tensor, nn

from reasonrec_core.types import Float32


def to_array(tensor: Tensor) -> Float32:
    """float32 of the same shape, in the CPU's memory, without a gradient."""
    array: Float32 = tensor.detach().float().cpu().numpy()
    return array


def read_parameters(module: nn.Module) -> dict[str, Float32]:
    """Parameters and buffers that are stored, by name; they share the module's memory where it is on the CPU."""
    return {name: value.detach().cpu().contiguous().numpy() for name, value in module.state_dict().items()}

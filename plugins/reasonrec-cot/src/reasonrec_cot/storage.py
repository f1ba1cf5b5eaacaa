"""Saving and loading what is learned: tensors as safetensors, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from reasonrec_core.errors import DataError
from reasonrec_core.io import whole_file


def save_module(module: nn.Module, path: Path) -> None:
    """Write a module's parameters and buffers."""
    with whole_file(path) as aside:
        save_file({name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}, aside)


def load_module(module: nn.Module, path: Path) -> None:
    """Fill a module of the same form.

    Raises:
        DataError: the file is missing, damaged, or of another module.
    """
    try:
        module.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"not what was saved for this model ({reason})", where=str(path), fix="Fit again.") from error

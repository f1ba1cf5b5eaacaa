"""Models in files: safetensors, or a library's own weights read without running code. Never pickle."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reasonrec_core.errors import DataError, WeightsError
from reasonrec_core.io import whole_file

M = TypeVar("M", bound=nn.Module)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name, whole or not at all."""
    with whole_file(path) as aside:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, aside)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read what `write_tensors` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot be read ({_first_line(error)})", where=str(path), fix="Fit again.") from error


def save_module(module: nn.Module, path: Path) -> None:
    """Write a module's parameters and persistent buffers."""
    write_tensors(path, module.state_dict())


def load_module(module: nn.Module, path: Path) -> None:
    """Fill a module with what `save_module` wrote, and put it into evaluation mode; see `put_module`."""
    put_module(module, read_tensors(path), path)


def put_module(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill a module with ``tensors`` of the file ``path``, and put it into evaluation mode.

    The module may hold a `tables.ItemTable` for a catalogue that has grown since.

    Raises:
        DataError: the file is missing, damaged, or of another module.
    """
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"the weights belong to another model ({_first_line(error)})", where=str(path)) from error
    module.eval()


def make_filled(make: Callable[[], M], tensors: Mapping[str, Tensor], path: Path) -> M:
    """A new module, filled by `put_module`; torch's chance stays as it was, although modules are made at random."""
    with torch.random.fork_rng(devices=[]):
        module = make()
    put_module(module, tensors, path)
    return module


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def read_weights(path: Path) -> dict[str, Tensor]:
    """Somebody else's weights: a ``.safetensors`` file, or one of torch's own, of which only tensors are read.

    Raises:
        WeightsError: the file cannot be read, or holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, pickle.UnpicklingError) as error:
        raise WeightsError(f"the weights cannot be read ({_first_line(error)})", where=str(path)) from error
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError("the file contains more than named tensors", where=str(path))
    return dict(found)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]

"""Checkpoints: one safetensors file with the tensors, and everything else as JSON in its header. Never pickle.

One file, replaced in one move, so that a training that is killed at any moment finds a whole checkpoint: the last or
the one before.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from reasonrec_core.errors import DataError
from reasonrec_core.io import whole_file

FORMAT = "2"
logger = logging.getLogger("reasonrec.torch")


class CheckpointFile:
    """The checkpoint of one training.

    Args:
        path: the file; None keeps nothing.
        key: hash of all that the training depends on; a file with another key is another training's and is replaced.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self.path, self.key = path, key

    def write(self, groups: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Replace the checkpoint by tensors, in named groups, and JSON values."""
        if self.path is None:
            return
        flat = {
            f"{group}/{name}": value.detach().cpu().contiguous()
            for group, tensors in groups.items()
            for name, value in tensors.items()
        }
        header = {"format": FORMAT, "key": self.key, "state": json.dumps(state)}
        with whole_file(self.path) as aside:
            aside.write_bytes(save(flat, metadata=header))

    def read(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
        """What `write` was given; None if there is no checkpoint of this training.

        Raises:
            DataError: the file is damaged.
        """
        if self.path is None:
            return None
        _tidy(self.path)
        if not self.path.exists():
            return None
        groups: dict[str, dict[str, Tensor]] = {}
        try:
            with safe_open(self.path, "pt") as file:
                header = file.metadata() or {}
                if header.get("format") != FORMAT or header.get("key") != self.key:
                    logger.info("%s belongs to another training, so training starts from the beginning", self.path)
                    return None
                for flat in file.keys():  # noqa: SIM118 - not a mapping
                    group, _, name = flat.partition("/")
                    groups.setdefault(group, {})[name] = file.get_tensor(flat)
            logger.info("the training of %s continues", self.path)
            return groups, json.loads(header["state"])
        except (SafetensorError, OSError, ValueError) as error:
            fix = "Delete the file to train from the start."
            raise DataError(f"the checkpoint cannot be read ({error})", where=str(self.path), fix=fix) from error


def _tidy(path: Path) -> None:
    """Remove what a write that was killed left beside the file."""
    for stray in path.parent.glob(f".{path.name}.*"):
        stray.unlink(missing_ok=True)


def kept_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name; a tensor with several names comes once."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in module.state_dict(keep_vars=True).items():
        if id(value) not in seen:
            seen.add(id(value))
            found[name] = value.detach()
    return found


@torch.no_grad()
def put_tensors(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy ``tensors`` into tensors of the same names and shapes, such as `kept_tensors` gives."""
    for name, value in own.items():
        value.copy_(tensors[name])


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's moments and step counts, as ``parameter number.name``."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{name}": torch.as_tensor(value) for i, own in state.items() for name, value in own.items()}


def put_optimiser_tensors(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Take over what `optimiser_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for flat, value in tensors.items():
        number, _, name = flat.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})

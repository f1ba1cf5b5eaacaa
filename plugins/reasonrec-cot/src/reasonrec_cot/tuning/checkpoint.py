"""Checkpoints: one safetensors file, tensors in named groups, all else as JSON in its header. Never pickle."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from reasonrec_core.errors import DataError
from reasonrec_core.io import whole_file

Groups = dict[str, dict[str, torch.Tensor]]
logger = logging.getLogger("reasonrec.cot")


class CheckpointFile:
    """The checkpoint of one tuning, replaced in one move: whoever is killed leaves the last or the one before.

    Args:
        path: the file; None keeps nothing.
        key: hash of all that the result depends on; another tuning's file is not taken.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self.path, self.key = path, key

    def write(self, groups: Mapping[str, Mapping[str, torch.Tensor]], state: Mapping[str, Any]) -> None:
        """Replace the checkpoint."""
        if self.path is None:
            return
        flat = {
            f"{group}/{name}": value.detach().cpu().clone().contiguous()
            for group, tensors in groups.items()
            for name, value in tensors.items()
        }
        with whole_file(self.path) as aside:
            save_file(flat, aside, metadata={"key": self.key, "state": json.dumps(state)})

    def read(self) -> tuple[Groups, dict[str, Any]] | None:
        """What `write` was given; None if there is none of this tuning.

        Raises:
            DataError: the file is damaged.
        """
        if self.path is None or not self.path.exists():
            return None
        groups: Groups = {}
        try:
            with safe_open(self.path, "pt") as file:
                header = file.metadata() or {}
                if header.get("key") != self.key:
                    logger.info("%s belongs to another tuning; starting anew", self.path)
                    return None
                for flat in file.keys():  # noqa: SIM118 - not a mapping
                    group, _, name = flat.partition("/")
                    groups.setdefault(group, {})[name] = file.get_tensor(flat)
            return groups, json.loads(header["state"])
        except (SafetensorError, OSError, ValueError) as error:
            fix = "Delete the file to tune from the start."
            raise DataError(f"the checkpoint cannot be read ({error})", where=str(self.path), fix=fix) from error


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimiser's moments and step counts, as ``parameter number.name``."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{name}": torch.as_tensor(value) for i, own in state.items() for name, value in own.items()}


def put_optimiser_tensors(optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Take over what `optimiser_tensors` gave."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for flat, value in tensors.items():
        number, _, name = flat.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})

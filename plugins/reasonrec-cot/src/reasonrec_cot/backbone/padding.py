"""Texts of unlike length side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from reasonrec_core.types import Int64


def left_padded(rows: Sequence[Sequence[int] | Int64], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """int64[B, T] tokens and bool[B, T] which of them are text; every text ends at the last place."""
    most = max(map(len, rows))
    tokens, there = torch.zeros(len(rows), most, dtype=torch.long), torch.zeros(len(rows), most, dtype=torch.bool)
    for row, said in enumerate(rows):
        if len(said):
            tokens[row, most - len(said) :] = torch.as_tensor(said)
            there[row, most - len(said) :] = True
    return tokens.to(device), there.to(device)


def right_padded(rows: Sequence[Sequence[int] | Int64], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, every text beginning at the first place."""
    most = max(map(len, rows))
    tokens, there = torch.zeros(len(rows), most, dtype=torch.long), torch.zeros(len(rows), most, dtype=torch.bool)
    for row, said in enumerate(rows):
        tokens[row, : len(said)], there[row, : len(said)] = torch.as_tensor(said), True
    return tokens.to(device), there.to(device)


def grouped(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Rows of like length together: at most so many ``tokens``, padding included, or one row."""
    groups: list[list[int]] = []
    for row in np.argsort(lengths, kind="stable").tolist():
        if groups and (len(groups[-1]) + 1) * lengths[row] <= tokens:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups

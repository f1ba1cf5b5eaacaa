"""The moving average of a network's weights (Polyak and Juditsky, 1992; exponential, bias-reduced at the start)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """An exponential moving average of all parameters that have a gradient.

    Args:
        module: whose parameters.
        decay: what is kept of the average per step; less in the first steps, (1 + step) / (10 + step), so that the
            random start is soon forgotten. 0: the average is the weights themselves, and costs nothing.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self._weights = [p for _, p in named]
        self._average = [p.detach().clone() for p in self._weights] if decay else []

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step number ``step`` (from 1)."""
        if self._average:
            kept = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self._average, [p.detach() for p in self._weights], 1 - kept)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the module holds the average."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def tensors(self) -> dict[str, Tensor]:
        """The average by parameter; empty without one."""
        return dict(zip(self.names, self._average, strict=True)) if self._average else {}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        for name, value in self.tensors().items():
            value.copy_(tensors[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for weight, average in zip(self._weights if self._average else (), self._average, strict=True):
            current = weight.detach().clone()
            weight.copy_(average)
            average.copy_(current)

"""What the trainer asks of a model, of its batches, and of where they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from reasonrec_core.io import content_hash
from reasonrec_torch.checkpoint import kept_tensors
from reasonrec_torch.config import TrainerConfig
from reasonrec_torch.optimiser import make_adamw

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class BatchLoss:
    """What a batch costs.

    Attributes:
        total: a scalar that is made small; None where the batch teaches nothing.
        parts: scalars by name, each the mean over its own targets, for the report.
        counts: how many targets each part has; the batch's ``samples`` where it is not named.
    """

    total: Tensor | None
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


class TrainingBatch(Protocol[T_co]):
    """What is learned from at once."""

    @property
    def samples(self) -> int:
        """How many targets there are."""

    @property
    def used(self) -> int:
        """Places of the batch that hold something."""

    @property
    def places(self) -> int:
        """Places of the batch, padding included."""

    def to(self, device: torch.device) -> T_co:
        """As the model's ``loss`` takes it, on a device."""


class PlannedEpoch(Protocol[T_co]):
    """Batches whose number is known. ``len`` is that number."""

    def __len__(self) -> int: ...

    @property
    def samples(self) -> int:
        """How many targets all batches have together."""

    def batches(self, start: int = 0) -> Iterator[TrainingBatch[T_co]]:
        """The batches, from the one at position ``start`` on; the same on every call."""


class EpochSource(Protocol[T_co]):
    """Data that are gone through again and again; all chance of an epoch comes from ``rng``."""

    @property
    def digest(self) -> str:
        """Hash of all that the batches depend on besides ``rng``."""

    @property
    def samples(self) -> int:
        """Targets of an epoch."""

    def epoch(self, number: int, epochs: int, rng: np.random.Generator) -> PlannedEpoch[T_co]:
        """The epoch with this number (from 0)."""


@runtime_checkable
class StreamSource(Protocol[T_co]):
    """Batches without end, of which ``steps`` steps are taken; an epoch is what lies between two validations.

    What `draw` gives depends on its arguments and on `state` alone, so that a training can be taken up again.
    """

    @property
    def digest(self) -> str:
        """Hash of all that the batches depend on besides `draw`'s arguments and `state`."""

    @property
    def steps(self) -> int:
        """Steps of the whole training."""

    def draw(self, step: int, number: int, progress: float) -> TrainingBatch[T_co]:
        """The batch with this number (from 0) within the step; ``progress`` in [0, 1] of the training."""

    def state(self) -> dict[str, Any]:
        """JSON values that the next draws depend on; kept in checkpoints."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""


class Trainable(nn.Module, ABC, Generic[T]):
    """A model that the trainer can train; `loss` is all that a subclass must give.

    What is read and not learned (item features) is given by `add_inputs`: checkpoints stay small.

    Attributes:
        hot: names of the methods that are worth compiling.
    """

    hot: ClassVar[tuple[str, ...]] = ()
    _inputs: tuple[str, ...] = ()

    def add_inputs(self, **arrays: npt.NDArray[Any]) -> None:
        """Register arrays as buffers that move with the model, are not kept with its weights, and make `identity`."""
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)), persistent=False)
        self._inputs += tuple(arrays)

    @property
    def identity(self) -> str:
        """Hash of what training depends on besides rows, settings and the weights' shapes: of `add_inputs`' arrays."""
        arrays = (self.get_buffer(name).cpu().numpy() for name in self._inputs)
        return content_hash(*(array.tobytes() for array in arrays)) if self._inputs else ""

    @abstractmethod
    def loss(self, batch: T, rng: np.random.Generator) -> BatchLoss:
        """What is made small.

        Args:
            batch: on the model's device.
            rng: for choices of this batch; torch's own generator is seeded for the step as well.
        """

    def learned_tensors(self) -> dict[str, Tensor]:
        """What checkpoints keep and the best epoch restores, by name: all parameters and persistent buffers.

        Where most of the model is frozen (adapters of a language model) override it to name what is not.
        """
        return kept_tensors(self)

    def make_optimiser(self, config: TrainerConfig) -> torch.optim.Optimizer:
        """By default AdamW over all parameters with a gradient. Each group's ``lr`` is its rate at its highest."""
        return make_adamw(self, config)

    def weights_changed(self) -> None:
        """Called whenever the weights have become others: forget what was computed from them. By default nothing."""


def trainable_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The parameters that have a gradient, by name; a `Trainable.learned_tensors` for mostly frozen models."""
    return {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}

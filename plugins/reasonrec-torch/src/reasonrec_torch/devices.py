"""Where a network runs, in which precision, and compiled or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from functools import lru_cache, wraps
from importlib.util import find_spec
from typing import Concatenate, ParamSpec, TypeVar, cast

import torch
from threadpoolctl import ThreadpoolController
from torch import nn

from reasonrec_core.errors import ConfigError
from reasonrec_torch.config import TrainerConfig

M = TypeVar("M", bound=nn.Module)
P = ParamSpec("P")
T = TypeVar("T")
WORTH_COMPILING = 2000
"""Steps of training from which on the minute that compilation takes is gained back."""


def device_of(name: str) -> torch.device:
    """The device that a training's setting means: ``auto`` is CUDA or the CPU.

    Raises:
        ConfigError: there is no such device here.
    """
    gpu = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if gpu else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"unknown device {name!r}", fix="Use auto, cpu or cuda.") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"training does not run on device {name!r}", fix="Use auto, cpu or cuda.")
    if device.type == "cuda" and (not gpu or (device.index or 0) >= torch.cuda.device_count()):
        raise ConfigError(f"this machine has no device {name!r} that torch can use", fix="Use auto or cpu.")
    return device


def pick_device(name: str) -> torch.device:
    """The device of a model that answers: ``auto`` is CUDA, Apple's MPS or the CPU, the first that there is.

    Raises:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"device {name!r} cannot be used ({reason})", fix="Use auto, cpu, cuda or mps.") from error
    return device


def precision_of(config: TrainerConfig, device: torch.device) -> torch.dtype:
    """The type of matrix products."""
    if config.precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if config.precision == "bfloat16" else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """A context in which matrix products run in ``dtype``."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def find_device(module: nn.Module) -> torch.device:
    """Where the weights of a module are."""
    return next(module.parameters()).device


def copy_to_cpu(module: M) -> M:
    """The module itself where it is on the CPU; else a copy there, so that it stays where it trains."""
    return module if find_device(module).type == "cpu" else deepcopy(module).to("cpu")


def exact(method: Callable[Concatenate[M, P], T]) -> Callable[Concatenate[M, P], T]:
    """A module's method that computes in the type of its parameters also under autocast.

    For what is cheap and wants exactness (an item table that all steps add up in), or what autocast breaks: the
    gradient of a sparse product in bfloat16.
    """

    @wraps(method)
    def within(self: M, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with torch.autocast(find_device(self).type, enabled=False):
            return method(self, *args, **kwargs)

    return cast(Callable[Concatenate[M, P], T], within)


def compiles(config: TrainerConfig, device: torch.device, steps: int) -> bool:
    """Whether a training of so many steps compiles its network."""
    if config.compiled == "auto":
        return device.type == "cuda" and steps >= WORTH_COMPILING and find_spec("triton") is not None
    return config.compiled == "yes"


@contextmanager
def compiled(module: nn.Module, methods: Sequence[str], wanted: bool) -> Iterator[None]:
    """Within the block ``methods`` of ``module`` are compiled, once for all shapes, if that is ``wanted``."""
    if not wanted:
        yield
        return
    for name in methods:
        setattr(module, name, torch.compile(getattr(module, name), dynamic=True))
    try:
        yield
    finally:
        for name in methods:
            delattr(module, name)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block torch's random generators start from ``seed``; afterwards they go on as if it had not been."""
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        yield


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Within the block this thread's products of torch use one core, if that is ``wanted``.

    What takes a few milliseconds gains nothing from a second core, and waits long for it where other work runs.
    """
    if not wanted:
        yield
        return
    with _openmp().limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _openmp() -> ThreadpoolController:
    """The OpenMP libraries of this process; finding them takes a millisecond. Their limit is the calling thread's."""
    return ThreadpoolController().select(user_api="openmp")

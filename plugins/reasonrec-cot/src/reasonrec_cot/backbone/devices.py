"""Where a model runs and in which precision."""

from __future__ import annotations

import torch

from reasonrec_core.errors import ConfigError
from reasonrec_cot.backbone.config import BackboneConfig

CPU_TOKENS_AT_ONCE, OTHERWISE = 2048, 32_768


def device_of(name: str) -> torch.device:
    """The device that a setting means.

    Raises:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(best)
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"device {name!r} cannot be used ({reason})", fix="Use auto, cpu, cuda or mps.") from error
    return device


def precision_of(config: BackboneConfig, device: torch.device) -> torch.dtype:
    """The type of weights and products; ``auto`` is bfloat16 exactly where there are units for it.

    On CPUs with such units (AVX-512 BF16, AMX) prompts are read about twice as fast in bfloat16 as in float32; on
    those without, bfloat16 is emulated and several times slower.
    """
    if config.precision != "auto":
        return torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        fast = _cpu_has_bfloat16()
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32


def tokens_at_once(config: BackboneConfig, device: torch.device) -> int:
    """Tokens per forward pass, padding included."""
    return config.tokens_at_once or (CPU_TOKENS_AT_ONCE if device.type == "cpu" else OTHERWISE)


def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively."""
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.8 cannot say
    return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))

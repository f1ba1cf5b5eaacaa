"""Axes: from values to positions, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from reasonrec_report.number_format import format_percent

EQUAL = 1e-6
"""Values that differ by less, relative to their size, are one value: the rest is rounding."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: ``at`` = position, ``label`` = its value as text."""

    at: float
    label: str


@dataclass(frozen=True)
class Scale:
    """A linear axis: values ``low`` to ``high`` lie at positions ``start`` to ``end`` (which may run backwards)."""

    low: float
    high: float
    start: float = 0.0
    end: float = 100.0

    def __call__(self, value: float) -> float:
        """Position of a value, kept inside the axis."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 2)

    def ticks(self, count: int = 5, *, percent: bool = False) -> tuple[Tick, ...]:
        """About ``count`` ticks at round values inside the axis; shares as ``percent``."""
        step = _round_step((self.high - self.low) / max(count, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        numbers = [i * step for i in range(first, last + 1)]
        if percent:
            return tuple(Tick(self(value), format_percent(value, max(digits - 2, 0))) for value in numbers)
        return tuple(Tick(self(value), f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")) for value in numbers)


def make_axis_around(
    values: Iterable[float | None], *, start: float = 0.0, end: float = 100.0, pad: float = 0.06
) -> Scale:
    """The axis that shows all ``values`` with some air; never negative where no value is."""
    known = [v for v in values if v is not None and math.isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    size = max(abs(low), abs(high))
    air = (high - low if high - low > EQUAL * size else size) * pad or 1.0
    return Scale(max(low - air, 0.0) if low >= 0 else low - air, high + air, start, end)


def make_axis_from_zero(values: Iterable[float | None], *, start: float, end: float, limit: float = math.inf) -> Scale:
    """The axis from 0 to the next round number above all ``values``, at most ``limit``."""
    top = max((v for v in values if v is not None and math.isfinite(v)), default=1.0)
    step = _round_step(top / 5 if top > 0 else 0.2)
    return Scale(0.0, min(max(math.ceil(top / step - 1e-9), 1) * step, limit), start, end)


def _round_step(rough: float) -> float:
    """The next of 1, 2, 5 times a power of ten that is not below ``rough``."""
    if not rough > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))

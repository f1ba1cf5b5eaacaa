"""Numbers as text."""

from __future__ import annotations

from reasonrec_core.types import format_digits as format_digits
from reasonrec_core.types import format_percent as format_percent

MINUS = "\N{MINUS SIGN}"


def format_signed(value: float, digits: int | None = None) -> str:
    """A difference as text, with its sign (a true minus), as exact as `format_digits`; 0 where nothing is left."""
    if round(value, 4 if digits is None else digits) == 0:
        return "0"
    size = format_digits(abs(value)) if digits is None else f"{abs(value):.{digits}f}"
    return f"{'+' if value > 0 else MINUS}{size}"


def format_range(group: str) -> str:
    """A range of numbers as it is printed: ≤ 5, 6–8, ≥ 14."""
    text = group.replace("<=", "≤").replace(">=", "≥")
    low, dash, high = text.partition("-")
    return f"{low}–{high}" if dash and low.isdigit() and high.isdigit() else text


def format_p_value(p: float | None) -> str:
    """A p-value as text."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}".rstrip("0").rstrip(".")

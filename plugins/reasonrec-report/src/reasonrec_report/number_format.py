"""Numbers as text."""

from __future__ import annotations


def format_signed(value: float, digits: int = 4) -> str:
    """A difference as text, with its sign (a true minus)."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def format_percent(share: float, digits: int = 0) -> str:
    """A share as text: 35 %; small ones keep a digit: 0.8 %."""
    if 0 < abs(share) < 0.0005:
        return "<\N{NO-BREAK SPACE}0.1\N{NO-BREAK SPACE}%"
    return f"{100 * share:.{max(digits, 1) if 0 < abs(share) < 0.02 else digits}f}\N{NO-BREAK SPACE}%"


def format_p_value(p: float | None) -> str:
    """A p-value as text."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}".rstrip("0").rstrip(".")

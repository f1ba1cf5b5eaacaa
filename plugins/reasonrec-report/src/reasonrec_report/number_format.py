"""Numbers as text."""

from __future__ import annotations

from reasonrec_core.types import format_percent as format_percent


def format_signed(value: float, digits: int = 4) -> str:
    """A difference as text, with its sign (a true minus)."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def format_p_value(p: float | None) -> str:
    """A p-value as text."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}".rstrip("0").rstrip(".")

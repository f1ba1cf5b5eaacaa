"""The settings of the synthetic catalogue."""

from __future__ import annotations

from pydantic import Field

from reasonrec_core.components import Settings


class SynthConfig(Settings):
    """How large the shop is and what its customers go by; weights are in units of utility (log-odds of a choice)."""

    users: int = Field(1500, ge=1, le=100_000)
    """Customers."""
    items: int = Field(600, ge=20, le=50_000)
    """Products."""
    mean_length: float = Field(5.5, ge=3, le=200)
    """Choices per customer, on average; three at least."""
    image_weight: float = Field(3.5, ge=0)
    """How much a liked pattern, which only the picture shows, adds to an item's utility."""
    text_weight: float = Field(3.5, ge=0)
    """How much a liked theme, which only the text says, adds."""
    minor: float = Field(0.3, ge=0)
    """How much a liked palette (picture) counts beside the pattern, and a liked material (text) beside the theme."""
    category_weight: float = Field(0.3, ge=0)
    """How much a liked kind of product adds, which both show."""
    appeal: float = Field(0.4, ge=0)
    """Standard deviation of what an item adds for everybody."""
    season: float = Field(0.0, ge=0)
    """How much a theme's season adds at its height and takes at its low; 0 = tastes do not depend on the date."""
    launched_later: float = Field(0.7, ge=0, lt=1)
    """Share of the items that come to the shop during the year; nobody can choose them before."""
    image_size: int = Field(224, ge=32, le=1024)
    """Width and height of the pictures in pixels."""
    missing_images: float = Field(0.0, ge=0, le=1)
    """Share of the items without a picture."""
    seed: int = Field(0, ge=0)
    """Of every random choice."""

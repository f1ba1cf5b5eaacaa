"""Settings of early exit. Cheap to import: no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from reasonrec_core.components import Settings
from reasonrec_core.errors import ConfigError


class ExitConfig(Settings):
    """Answering after some of the layers (OptiRAG-Rec, 2025)."""

    layers: tuple[int, ...] | None = Field(
        None,
        min_length=1,
        description="After which layers a head may answer, ascending; after a quarter, half and three quarters of "
        "them if not set.",
    )
    risk: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Largest expected rise of the squared error of P(yes) through early answers, guaranteed for "
        "requests like those of validation (conformal risk control).",
    )
    consecutive: int = Field(
        2, ge=1, description="How many heads in a row must be sure of the same answer before it is given."
    )
    weight: float = Field(1.0, gt=0, description="Weight of the heads' loss in tuning.")

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.layers is not None and (self.layers[0] < 1 or list(self.layers) != sorted(set(self.layers))):
            raise ValueError("layers must be ascending numbers from 1")
        return self

    def place(self, depth: int) -> tuple[int, ...]:
        """After which layers of a model with ``depth`` of them heads stand.

        Raises:
            ConfigError: the model has no such layers, or is too shallow.
        """
        layers = self.layers or tuple(sorted({depth * part // 4 for part in (1, 2, 3)} - {0}))
        if not layers or layers[-1] >= depth:
            raise ConfigError(
                f"the model uses {depth} layers, so no head can answer after {layers[-1] if layers else 1}",
                where="exit.layers",
                fix=f"Name layers below {depth}, or let the model use more (backbone.layers).",
            )
        return layers

"""Settings of the delegate `ann-index`."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from reasonrec_core.components import Delegate, Kind, Settings, VectorDelegate
from reasonrec_core.config_errors import validated
from reasonrec_core.errors import ReasonRecError
from reasonrec_core.registry import Registry

PAYS_FROM = 30_000
"""Items from which an index is faster than all products (benchmarks/results/ann_index.md)."""


class AnnIndexConfig(Settings):
    """Whose vectors are indexed, and how closely it is searched. The delegate's settings are kept with all defaults."""

    delegate: str = Field(description="Name of the delegate whose answers are found by an index.")
    settings: dict[str, Any] = Field(
        default_factory=dict,
        validate_default=True,
        description="The settings of that delegate, as they would stand in its own [[delegates]].",
    )
    recall: float = Field(
        default=0.99,
        gt=0,
        lt=1,
        description="Share of the exact ten best items that the index must find. It searches as many cells as that "
        "takes on validation queries, or without validation on training histories.",
    )
    exact_below: int = Field(
        default=PAYS_FROM, ge=0, description="Items below which all products are worked out, without an index."
    )
    cells: int | None = Field(
        default=None, ge=1, description="Cells that k-means divides the items into; None: twice the root of the items."
    )

    @field_validator("settings")
    @classmethod
    def _complete(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        name = info.data.get("delegate")
        if name is None:
            return settings
        try:
            registry = Registry.discover()
            kind: type[Delegate[Any]] = registry.load(Kind.DELEGATE, name)
            tasks = set(registry.spec(Kind.DELEGATE, name).spec.tasks)
            if not issubclass(kind, VectorDelegate) or not {"sequential", "direct"} <= tasks | set(kind.tasks):
                raise ValueError(
                    f"the delegate {name!r} has no vectors to index: lightgcn, sasrec or implicit-als have, for example"
                )
            if "exact_below" in kind.Config.model_fields:
                raise ValueError(f"the delegate {name!r} is an index already")
            if kind.attach is not Delegate.attach:
                raise ValueError(f"the delegate {name!r} is fitted to a policy, which an index cannot give it")
            return validated(kind.Config, settings).model_dump(mode="json")
        except ReasonRecError as error:
            raise ValueError(error.message) from error

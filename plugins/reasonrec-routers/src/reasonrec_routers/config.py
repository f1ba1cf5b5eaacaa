"""Settings of the learned routers, besides those that all routers share, and what follows from them alone."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from reasonrec_core.routing import RouterConfig, Signals, signal
from reasonrec_core.types import format_percent


class DeferralConfig(RouterConfig):
    """Learned deferral."""

    answer_features: Literal["auto", "all", "none"] | tuple[str, ...] = Field(
        "auto",
        description="Delegates whose answers are used for the decision: 'auto' = those that are cheap "
        "enough by `overhead` and gain most in cross-fitting; 'all', 'none', or their names.",
    )
    overhead: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description="Share of the policy's time that a delegated request may still cost: the mean latency "
        "must fall by at least (1 - overhead) times the share; otherwise delegates are not "
        "asked before the decision.",
    )

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, value: Any) -> Any:
        if isinstance(value, dict) and "clues" in value:
            raise ValueError("clues is now called answer_features")
        return value


class CascadeConfig(DeferralConfig):
    """A cascade."""

    @model_validator(mode="after")
    def _decides_before(self) -> Self:
        if self.stage == "after":
            raise ValueError('a cascade asks delegates before the policy: set stage = "before"')
        return self


def name_share(config: RouterConfig) -> str:
    """What may force a request to a delegate that is not expected to do better, e.g. "the share of 35 %"."""
    return f"the share of {format_percent(config.share or 0.0)}"


def choose_estimators(config: RouterConfig, signals: Signals) -> tuple[str, ...]:
    """The estimators that decisions may follow from: with ``stage = "before"`` those that need no answer."""
    early = config.stage == "before"
    return tuple(name for name in config.estimators if not early or signal(signals, name).stage == "before")

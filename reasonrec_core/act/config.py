"""What a pipeline file may say about routing."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from reasonrec_core.components import Settings


class RouterConfig(Settings):
    """When a delegate answers instead of the policy.

    Exactly one of ``share`` and ``risk`` is given. ``stage = "before"`` decides from estimators that need no answer,
    so that the policy never runs for replaced queries; this is what saves time.

    A ``share`` goes where it costs least, by P(worse) - P(better) or expected gain learned on validation, and is met
    on the histories as they are after validation (their targets are not read), because longer histories shift the
    signals.
    """

    kind: Literal["threshold", "deferral"] = Field(
        "threshold",
        description="'threshold': one delegate, by the estimators; 'deferral': an expected gain per delegate, learned "
        "from the history and the delegates' own answers too.",
    )
    delegate: str = Field(
        "best",
        description="Who answers instead; 'best' = highest mean quality on validation, under learned deferral whoever "
        "is best for the request.",
    )
    estimators: tuple[str, ...] = Field(
        ("evidence-horizon", "entropy", "margin"), min_length=1, description="The signals that risk is learned from."
    )
    stage: Literal["before", "after"] = Field("after", description="Decide before or after the policy answers.")
    share: float | None = Field(None, ge=0.0, le=1.0, description="Share of queries that a delegate should answer.")
    risk: float | None = Field(
        None, ge=0.0, le=1.0, description="Largest mean risk allowed among the queries that the policy keeps."
    )
    seed: int = 0

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if (self.share is None) == (self.risk is None):
            raise ValueError("give exactly one of share and risk")
        if len(set(self.estimators)) < len(self.estimators):
            raise ValueError("an estimator is named twice")
        return self

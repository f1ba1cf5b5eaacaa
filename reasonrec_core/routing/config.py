"""What a pipeline file may say about routing, whatever the kind of router."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from reasonrec_core.components import Settings

GOALS = ("share", "risk", "max_latency", "max_tokens", "max_loss")
BEST, NOTHING = "best", "this run hands nothing over"
WHOLE = "handing over saves no time in a batch of this size"
FREE: Literal["free"] = "free"
"""The goal where no other is given."""
FREE_LOSS = 0.01
"""The relative loss that it takes for none."""


class RouterConfig(Settings):
    """When a delegate answers instead of the policy: the settings that all kinds of routers share.

    The goal is ``free`` unless one other is given: ``share``, ``risk``, ``max_latency``, ``max_tokens`` or
    ``max_loss``. All but a share and a risk become the share that meets them on validation queries; it is fixed when
    the run is fitted. ``stage = "before"`` decides from what needs no answer of the policy, so that it never runs for
    replaced queries; this saves time.
    """

    kind: str = Field("threshold", description="Name of a router plugin: it decides which requests are delegated.")
    delegate: str = Field(
        BEST,
        description="Who answers instead; 'best' = where the goal is free whoever saves most time, else the highest "
        "mean quality on validation; under learned deferral whoever is best for the request.",
    )
    estimators: tuple[str, ...] = Field(
        ("evidence-horizon", "entropy", "margin"),
        min_length=1,
        description="The signals that risk is learned from. If none are given, those under [[uncertainty]] "
        "are used as well.",
    )
    stage: Literal["before", "after"] = Field(
        "before", description="Whether to decide before or after the policy answers; only deciding before saves time."
    )
    goal: Literal["free"] = Field(
        FREE,
        description="Delegate what costs nothing: the largest share that loses at most 1 % on validation "
        "and saves time on this machine; otherwise nothing. Any of the goals below replaces it.",
    )
    share: float | None = Field(None, ge=0.0, le=1.0, description="Share of requests that a delegate should answer.")
    risk: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Largest mean risk allowed among the requests that the policy keeps; with risk-control "
        "the largest expected loss of NDCG per request.",
    )
    max_latency: float | None = Field(
        None, gt=0.0, description="Mean milliseconds per request on this machine, kept by the smallest share."
    )
    max_tokens: float | None = Field(
        None, ge=0.0, description="Mean language-model tokens per request, kept by the smallest share."
    )
    max_loss: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Largest relative loss of NDCG against the policy alone; delegates the largest share.",
    )
    consult: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Evidence horizon above which the policy decides again after seeing the delegates' "
        "rankings; only if that helps on validation, and only with a policy such as cot or chain.",
    )
    abstain: float | None = Field(
        None, ge=0.0, lt=1.0, description="Share of requests that get no answer: those with the least confidence."
    )
    selective_risk: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Largest mean probability that the target is not among the ten best, over the requests "
        "that are answered; as few as possible get no answer.",
    )
    timeout: float | None = Field(
        None,
        gt=0.0,
        description="Milliseconds to wait for a delegate; after that the next best one answers, and finally "
        "the policy.",
    )
    seed: int = Field(0, ge=0, description="Seed of its random choices.")

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if sum(getattr(self, goal) is not None for goal in GOALS) > 1:
            raise ValueError("give only one of share, risk, max_latency, max_tokens and max_loss")
        if self.abstain is not None and self.selective_risk is not None:
            raise ValueError("give either a share that gets no answer (abstain) or a selective_risk, not both")
        if len(set(self.estimators)) < len(self.estimators):
            raise ValueError("an estimator is named twice")
        return self

    def at(self, share: float) -> Self:
        """The same with a share for a goal."""
        return self.model_copy(update={**dict.fromkeys(GOALS), "share": share})

    @property
    def idle(self) -> bool:
        """Whether nothing is handed over: no delegate is asked, and how requests compare is not worked out (NaN)."""
        return self.share == 0

    @property
    def given_goal(self) -> str:
        """The name of the goal that holds."""
        return next((goal for goal in GOALS if getattr(self, goal) is not None), FREE)

    @property
    def tolerated_loss(self) -> float | None:
        """The relative loss that the goal tolerates; None where the goal is another."""
        return FREE_LOSS if self.given_goal == FREE else self.max_loss

    @property
    def own(self) -> dict[str, Any]:
        """Everything that is set, as what the kind's own ``Config`` is made from."""
        return self.model_dump(mode="json", exclude_unset=True)


class AnyRouterConfig(RouterConfig):
    """``[router]`` of a pipeline file: settings that only its kind knows are checked by that kind's ``Config``."""

    model_config = ConfigDict(extra="allow")

"""The estimator: how deep a language model must look before its yes or no about an answer stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from reasonrec_core.components import Empty, ReasoningPolicy, UncertaintyEstimator
from reasonrec_core.errors import PluginError
from reasonrec_core.types import Deliberation, Float32, Observation, QueryBatch, Task, Uncertainty


@runtime_checkable
class LayeredPolicy(Protocol):
    """A policy that can say after how many layers its answer stood."""

    def settle_depths(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, C] in (0, 1]: the share of the layers after which yes or no about each candidate no longer
        changed; 1 for padding."""
        ...


class ExitDepth(UncertaintyEstimator[Empty]):
    """The share of the layers after which the model's yes or no no longer changed: easy requests settle early.

    About the first item of a ranking; about clicks, the mean over the candidates. 1 where there is nothing to judge.
    Costs one reading of a click prompt for each item.
    """

    def __init__(self, config: Empty) -> None:
        super().__init__(config)
        self._policy: LayeredPolicy | None = None

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """The policy must be a `LayeredPolicy`."""
        if not isinstance(policy, LayeredPolicy):
            raise PluginError(
                f"exit-depth needs a policy with heads between its layers, which {type(policy).__name__} has not",
                fix="Use the policy cot with a table [policy.exit], or another estimator such as `entropy`.",
            )
        self._policy = policy

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """From one more reading by the policy."""
        if self._policy is None:
            raise PluginError("the exit-depth estimator needs a policy", fix="Name a policy in the pipeline.")
        if batch.task is Task.CTR:
            items = batch.candidates
        elif deliberation is not None and deliberation.ranking is not None:
            items = deliberation.ranking.items[:, :1]
        else:
            raise PluginError("the exit-depth estimator needs a ranking, but this answer has none")
        total = np.ones(len(batch), np.float32)
        if items is not None and items.size:
            asked = replace(batch, task=Task.CTR, candidates=np.ascontiguousarray(items))
            depths, there = self._policy.settle_depths(asked, observation), items >= 0
            some = there.any(axis=1)
            total[some] = (depths * there).sum(axis=1)[some] / there.sum(axis=1)[some]
        return Uncertainty(total, self.stage)

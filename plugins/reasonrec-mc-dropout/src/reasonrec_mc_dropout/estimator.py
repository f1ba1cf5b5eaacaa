"""The estimator: asks the policy the same question several times."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field

from reasonrec_core.components import FitData, ReasoningPolicy, Settings, StochasticPolicy, UncertaintyEstimator
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import PluginError
from reasonrec_core.io import read_json, write_json
from reasonrec_core.types import Deliberation, Int32, Int64, Observation, QueryBatch, Uncertainty
from reasonrec_core.validation import check_samples
from reasonrec_mc_dropout.information import split_entropy

FILE = "passes.json"


class MCDropoutConfig(Settings):
    """What a pipeline file may set."""

    passes: int = Field(20, ge=2, description="Number of networks that are sampled; an ensemble uses its members.")
    rest: bool = Field(
        True, description="Also count the probability outside the list, spread evenly over all other items."
    )


class MCDropout(UncertaintyEstimator[MCDropoutConfig]):
    """Predictive entropy over the answer's items in several passes of a `StochasticPolicy`.

    ``aleatoric`` is the entropy that each pass has by itself, ``epistemic`` what the passes disagree on: more evidence
    about the user or the items would lower it. Divided by the log of the number of outcomes.
    """

    Config = MCDropoutConfig

    def __init__(self, config: MCDropoutConfig) -> None:
        super().__init__(config)
        self._policy: StochasticPolicy | None = None
        self._seed = self._n_items = 0

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """The policy must be a `StochasticPolicy`."""
        if not isinstance(policy, StochasticPolicy):
            raise PluginError(
                f"mc-dropout needs a policy that can sample networks, which {type(policy).__name__} cannot",
                fix="Use a policy with `samples` (dropout or an ensemble), or another estimator such as `entropy`.",
            )
        self._policy = policy

    def fit(self, data: FitData) -> None:
        """Nothing but the seed of the draws, and how many items there are."""
        self._seed, self._n_items = data.seed, len(data.catalog)

    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """From ``config.passes`` passes over the items of ``deliberation.ranking``."""
        if self._policy is None:
            raise PluginError("the mc-dropout estimator needs a policy", fix="Name a policy in the pipeline.")
        if deliberation is None or deliberation.ranking is None:
            raise PluginError("the mc-dropout estimator needs a ranking, but this answer has none")
        items = deliberation.ranking.items
        drawn = self._policy.samples(batch, observation, items, self.config.passes, self._seed)
        found = split_entropy(check_samples(drawn, items), items >= 0, self._others(batch, items))
        total, aleatoric, epistemic = (
            part.astype(np.float32) for part in (found.total, found.aleatoric, found.epistemic)
        )
        return Uncertainty(total, self.stage, epistemic=epistemic, aleatoric=aleatoric)

    def _others(self, batch: QueryBatch, items: Int32) -> Int64 | None:
        """int64[B]: how many items are not listed."""
        if not self.config.rest:
            return None
        if batch.candidates is None and not self._n_items:
            raise PluginError("the mc-dropout estimator was used before it was fitted")
        whole = self._n_items if batch.candidates is None else (batch.candidates >= 0).sum(axis=1)
        return np.asarray(np.maximum(whole - (items >= 0).sum(axis=1), 0), np.int64)

    def save(self, folder: Path) -> None:
        """Write the seed."""
        super().save(folder)
        write_json(folder / FILE, {"seed": self._seed})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote."""
        self = super().load(folder, catalog)
        self._seed, self._n_items = int(read_json(folder / FILE)["seed"]), len(catalog)
        return self

"""Delegate `click-blend`: click models together, ``p = sigmoid(b + sum_m w_m logit(p_m))`` with ``w_m >= 0``.

Stacked generalisation (Wolpert, Neural Networks 1992) by logistic regression on the members' log-odds; weights that are
not negative keep it from playing members that agree off against each other (Breiman, "Stacked regressions", Machine
Learning 1996). The weights are fitted on validation. Members stop on the same rows, where they look a little better
than they are, so that the weights may lean to the one that chose more there (`benchmarks/results/click_blend.md`).
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import ClassVar, Self

import numpy as np
from reasonrec_torch.members import place_member
from scipy.optimize import minimize
from scipy.special import expit, logit

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import read_json, write_json
from reasonrec_core.types import Float32, Float64, Observation, QueryBatch, Task
from reasonrec_fields.config import ClickBlendConfig
from reasonrec_fields.members import Members, load_members, make_members, save_members

CLIP = 1e-6
"""Members' probabilities are kept this far from 0 and 1."""
PRIOR = 1.0
"""How strongly weights are drawn to equal ones, in rows: decides where there are few rows, or all are told apart."""
WEIGHTS = "weights.json"


class ClickBlend(Delegate[ClickBlendConfig]):
    """Click delegates, weighed by logistic regression on validation; without validation they count alike.

    Attributes:
        members: by their labels in the pipeline.
        weights: float64[M], of their log-odds; not negative.
        offset: what is added to the weighed log-odds.
    """

    Config = ClickBlendConfig
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.CTR})
    members: Members
    weights: Float64
    offset: float

    def __init__(self, config: ClickBlendConfig) -> None:
        super().__init__(config)
        self._lock = Lock()

    def fit(self, data: FitData) -> None:
        """Fit the members to ``data``, as if each were alone, then their weights to ``data.valid``.

        Raises:
            ConfigError: a member is named twice, is a blend, or gives no click probabilities.
            PluginError: no delegates can be asked here.
        """
        self.members = make_members(self.config.members, data, ClickBlend, "click-blend.members")
        for label, member in self.members.items():
            member.fit(place_member(data, label))
        self.weights, self.offset = np.full(len(self.members), 1 / len(self.members)), 0.0
        cases = data.valid
        if cases is None or cases.labels is None or cases.queries.candidates is None:
            return
        real = cases.queries.candidates >= 0
        labels = cases.labels[real].astype(np.float64)
        if len(np.unique(labels)) > 1:
            self.weights, self.offset = fit_weights(self._ask(cases.queries, data.observation)[real], labels)

    def refit(self, data: FitData) -> Self:
        """The same weights for members that are fitted again, with what validation chose for them."""
        again = type(self)(self.config)
        again.members = {label: member.refit(data) for label, member in self.members.items()}
        again.weights, again.offset = self.weights, self.offset
        return again

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, C]: click probabilities of the candidates; of the whole catalogue where there are none."""
        found = expit(self._ask(batch, observation) @ self.weights + self.offset).astype(np.float32)
        return found if batch.candidates is None else np.where(batch.candidates >= 0, found, np.float32(0))

    def _ask(self, batch: QueryBatch, observation: Observation) -> Float64:
        """float64[B, C, M]: the members' log-odds."""
        found = []
        for member in self.members.values():
            with nullcontext() if member.thread_safe else self._lock:
                found.append(np.asarray(member.score(batch, observation), np.float64))
        return np.asarray(logit(np.clip(np.stack(found, axis=-1), CLIP, 1 - CLIP)))

    def save(self, folder: Path) -> None:
        """Write the weights, and each member into a folder of its own."""
        super().save(folder)
        save_members(self.members, folder)
        write_json(folder / WEIGHTS, {"weights": self.weights.tolist(), "offset": self.offset})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self, fitted = super().load(folder, catalog), read_json(folder / WEIGHTS)
        self.members = load_members(folder, catalog)
        self.weights, self.offset = np.array(fitted["weights"]), float(fitted["offset"])
        return self


def fit_weights(logits: Float64, labels: Float64) -> tuple[Float64, float]:
    """float64[M] weights and the offset of float64[N, M] log-odds that make float64[N] labels in [0, 1] likeliest."""
    size, count = logits.shape
    columns = np.column_stack([logits, np.ones(size)])
    equal = np.append(np.full(count, 1 / count), 0.0)

    def loss(x: Float64) -> tuple[float, Float64]:
        sums, far = columns @ x, x - equal
        value = (np.logaddexp(0, sums) - labels * sums).sum() + PRIOR * (far @ far) / 2
        return float(value), np.asarray(columns.T @ (expit(sums) - labels) + PRIOR * far)

    bounds = [(0.0, None)] * count + [(None, None)]
    found = minimize(loss, equal, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12})
    return np.asarray(found.x[:-1]), float(found.x[-1])

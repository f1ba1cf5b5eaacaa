"""Trees that say how much evidence they have for a click and against it: a Beta distribution for every row.

Two trees a round, one for each outcome; the softplus of their sums is evidence, and ``alpha = evidence + 1`` (Sensoy,
Kaplan and Kandemir, NeurIPS 2018). The loss is any of the entry point group ``reasonrec.losses``, which
reasonrec-evidential fills, written in torch; trees need its first and second derivatives, which torch gives. Torch is
imported for training only.
"""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
from reasonrec_clicks.evidence import compute_probability, find_loss

from reasonrec_core.types import Float32, Float64

LEAST = 1e-3
"""Curvature of a row, at least: the loss is not convex everywhere."""
Derivatives = tuple[Float64, Float64]


class EvidentialObjective:
    """What LightGBM asks for in each round.

    Args:
        loss: its name.
        divergence: weight of the divergence from no evidence.
        over: rounds until it counts in full as far as the loss's annealing goes.
    """

    def __init__(self, loss: str, divergence: float, over: int) -> None:
        self._loss, self._divergence, self._over, self._round = find_loss(loss), divergence, over, 0

    @property
    def task(self) -> dict[str, Any]:
        """Parameters of LightGBM."""
        return {"objective": self, "num_class": 2, "metric": "None"}

    def __deepcopy__(self, memo: dict[int, Any]) -> EvidentialObjective:
        """LightGBM copies its parameters for every model: each anneals from the beginning."""
        twin = object.__new__(EvidentialObjective)
        twin.__dict__.update(self.__dict__, _round=0)
        return twin

    def __call__(self, raw: Float64, rows: lightgbm.Dataset) -> Derivatives:
        """float64[N, 2] first and second derivatives of the summed loss by the raw scores."""
        import torch  # only those who train_models with it need it

        label = np.asarray(rows.get_label(), np.float64)
        progress = min(self._round / max(self._over, 1), 1.0)
        self._round += 1
        scores = torch.tensor(raw.reshape(-1, 2), requires_grad=True)
        target = torch.from_numpy(np.stack([label, 1.0 - label], axis=1))
        whole = self._loss(torch.nn.functional.softplus(scores), target, self._divergence, progress) * len(label)
        (slope,) = torch.autograd.grad(whole, scores, create_graph=True)
        # Rows do not interact: the derivative of a column's sum is the diagonal of that column.
        bends = [torch.autograd.grad(slope[:, k].sum(), scores, retain_graph=True)[0][:, k] for k in range(2)]
        return slope.detach().numpy(), torch.stack(bends, dim=1).clamp(min=LEAST).numpy()


def click_loss(raw: Float64, rows: lightgbm.Dataset) -> tuple[str, float, bool]:
    """The validation figure that stops the trees: log loss of the Beta's mean."""
    p = compute_probability(compute_evidence(raw.reshape(-1, 2)))
    label = rows.get_label()
    safe = np.clip(np.where(np.asarray(label) > 0.5, p, 1 - p), 1e-12, 1)
    return "binary_logloss", float(-np.log(safe).mean()), False


def compute_evidence(raw: npt.NDArray[Any]) -> Float64:
    """float64[N, 2] evidence for a click and against it."""
    return np.asarray(np.logaddexp(0.0, raw.astype(np.float64)))


def predict_evidence(models: list[lightgbm.Booster], table: Float32) -> Float32:
    """float32[N, 2]: the mean of the models' evidence."""
    if not len(table):
        return np.zeros((0, 2), np.float32)
    found = [compute_evidence(np.asarray(model.predict(table, raw_score=True, num_threads=1))) for model in models]
    return np.asarray(np.mean(found, axis=0), np.float32)

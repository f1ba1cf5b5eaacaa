"""Metrics of click probabilities; `docs/metrics.md` has the formulas and where others differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasonrec_core.errors import DataError
from reasonrec_core.evaluate.calibration import ECE_BINS, bin_of
from reasonrec_core.types import Cases, Float32, Float64, Int64

CLIP = 1e-7
"""Probabilities are kept this far from 0 and 1 in LogLoss."""


@dataclass(frozen=True)
class Clicks:
    """Predicted probabilities and labels of single shown items.

    Attributes:
        query: int64[N] position of the query that each belongs to.
        unit: int64[N] whose click it is: rows with equal numbers belong to one user.
        label: float64[N] 0 or 1.
        probability: float64[N] predicted.
    """

    query: Int64
    unit: Int64
    label: Float64
    probability: Float64

    @classmethod
    def of(cls, cases: Cases, probability: Float32, unit: Int64) -> Clicks:
        """Flatten float32[B, C] without the padding; ``unit``: int64[B].

        Raises:
            DataError: the cases have no labels, or a label is neither 0 nor 1.
        """
        candidates = cases.queries.candidates
        if cases.labels is None or candidates is None:
            raise DataError("the cases have no click labels", fix="Use a split with labels for the task ctr.")
        shown = candidates >= 0
        query = np.nonzero(shown)[0]
        label = cases.labels[shown].astype(np.float64)
        if not np.isin(label, (0.0, 1.0)).all():
            raise DataError("click labels must be 0 or 1", fix="Map ratings to labels before the evaluation.")
        return cls(query, unit[query], label, probability[shown].astype(np.float64))

    @property
    def losses(self) -> Float64:
        """float64[N]: logarithmic loss of each click, in nats."""
        p = np.clip(self.probability, CLIP, 1 - CLIP)
        loss: Float64 = -(self.label * np.log(p) + (1 - self.label) * np.log1p(-p))
        return loss

    @property
    def squares(self) -> Float64:
        """float64[N]: squared error of each probability."""
        error: Float64 = np.square(self.probability - self.label)
        return error


def mid_ranks(values: Float64, group: Int64 | None = None) -> Float64:
    """float64[N]: 1-based ascending rank of each value within its group; equal values share their mean rank."""
    n = len(values)
    group = np.zeros(n, np.int64) if group is None else group
    order = np.lexsort((values, group))
    value, owner = values[order], group[order]
    new_group = np.concatenate([[True], owner[1:] != owner[:-1]])
    new_value = new_group | np.concatenate([[True], value[1:] != value[:-1]])
    index = np.arange(n)
    group_start = np.maximum.accumulate(np.where(new_group, index, 0))
    starts = np.flatnonzero(new_value)
    sizes = np.diff(np.append(starts, n))
    mean = np.repeat(starts + (sizes - 1) / 2.0, sizes) - group_start + 1
    ranks = np.empty(n)
    ranks[order] = mean
    return ranks


def placements(label: Float64, probability: Float64) -> Float64:
    """float64[N]: of each positive the share of negatives below it, of each negative the share of positives above it.

    Equal probabilities count one half. The mean over the positives, and that over the negatives, is the AUC; they are
    the structural components of DeLong, DeLong and Clarke-Pearson (Biometrics 1988).
    """
    positive = label > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    overall = mid_ranks(probability)
    own = mid_ranks(probability, positive.astype(np.int64))
    below = overall - own  # items of the other class that are smaller, ties half
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(positive, below / n_negative, 1 - below / n_positive)


def auc(label: Float64, probability: Float64) -> float:
    """Area under the ROC curve = P(a positive scores higher than a negative), ties one half; NaN with one class."""
    positive = label > 0.5
    n = int(positive.sum())
    if n in (0, len(label)):
        return float("nan")
    ranks = mid_ranks(probability)
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(label) - n)))


def user_auc(clicks: Clicks, n_units: int) -> tuple[Float64, Int64]:
    """Each user's AUC, float64[U] (NaN where the user has one class only), and number of rows, int64[U]."""
    positive = clicks.label
    rows = np.bincount(clicks.unit, minlength=n_units)
    n = np.bincount(clicks.unit, positive, n_units)
    ranks = np.bincount(clicks.unit, mid_ranks(clicks.probability, clicks.unit) * positive, n_units)
    pairs = n * (rows - n)
    values: Float64 = np.divide(ranks - n * (n + 1) / 2, pairs, out=np.full(n_units, np.nan), where=pairs > 0)
    return values, rows


def click_metrics(clicks: Clicks, n_units: int) -> dict[str, float]:
    """AUC, UAUC, GAUC, LogLoss, Brier, ECE and ECE[mass] over all clicks."""
    per_user, rows = user_auc(clicks, n_units)
    both = ~np.isnan(per_user)
    some = bool(both.any())
    return {
        "AUC": auc(clicks.label, clicks.probability),
        "UAUC": float(per_user[both].mean()) if some else float("nan"),
        "GAUC": float(np.average(per_user[both], weights=rows[both])) if some else float("nan"),
        "LogLoss": float(clicks.losses.mean()),
        "Brier": float(clicks.squares.mean()),
        "ECE": _ece(clicks, "width"),
        "ECE[mass]": _ece(clicks, "mass"),
    }


def _ece(clicks: Clicks, kind: str) -> float:
    bins = bin_of(clicks.probability, ECE_BINS, kind)
    gap = np.bincount(bins, clicks.probability - clicks.label, ECE_BINS)
    return float(np.abs(gap).sum() / len(bins))

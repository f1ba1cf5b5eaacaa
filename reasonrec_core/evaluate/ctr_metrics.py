"""Metrics of click probabilities; `docs/metrics.md` has the formulas and where others differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from reasonrec_core.components import MetricInfo
from reasonrec_core.errors import DataError
from reasonrec_core.evaluate.calibration import ECE_BINS, bin_of
from reasonrec_core.evaluate.metrics import Totals, ratio_of_sums
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
        n_units: how many users there are.
    """

    query: Int64
    unit: Int64
    label: Float64
    probability: Float64
    n_units: int

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
        n_units = int(unit.max()) + 1 if len(unit) else 0
        return cls(query, unit[query], label, probability[shown].astype(np.float64), n_units)

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


def user_auc(clicks: Clicks) -> tuple[Float64, Int64]:
    """Each user's AUC, float64[U] (NaN where the user has one class only), and number of rows, int64[U]."""
    positive, n_units = clicks.label, clicks.n_units
    rows = np.bincount(clicks.unit, minlength=n_units)
    n = np.bincount(clicks.unit, positive, n_units)
    ranks = np.bincount(clicks.unit, mid_ranks(clicks.probability, clicks.unit) * positive, n_units)
    pairs = n * (rows - n)
    values: Float64 = np.divide(ranks - n * (n + 1) / 2, pairs, out=np.full(n_units, np.nan), where=pairs > 0)
    return values, rows


def auc_of_clicks(clicks: Clicks) -> Totals:
    """AUC; resampled to first order in the weights: means of DeLong's structural components, per class."""
    value, positive = placements(clicks.label, clicks.probability), clicks.label > 0.5
    columns = [np.where(positive, value, 0.0), positive, np.where(positive, 0.0, value), ~positive]
    exact = auc(clicks.label, clicks.probability)
    parts = np.stack(columns, axis=1).astype(np.float64)
    return Totals(
        parts, lambda sums: ratio_of_sums(sums[:, :2]) + ratio_of_sums(sums[:, 2:]) - exact, "row", exact=exact
    )


def mean_user_auc(clicks: Clicks, by_rows: bool = False) -> Totals:
    """The mean of users' AUC, each user counting once (UAUC) or once per row (GAUC)."""
    value, rows = user_auc(clicks)
    both = ~np.isnan(value)
    weight = np.where(both, rows if by_rows else 1.0, 0.0)
    exact = float("nan")
    if both.any():
        exact = float(np.average(value[both], weights=rows[both])) if by_rows else float(value[both].mean())
    parts = np.stack([np.where(both, value, 0.0) * weight, weight], axis=1)
    return Totals(parts, ratio_of_sums, "user", exact=exact)


def calibration_error(clicks: Clicks, kind: str = "width") -> Totals:
    """ECE: over `ECE_BINS` bins of equal width or mass (see `calibration.bin_of`), the mean gap of sums."""
    bins = bin_of(clicks.probability, ECE_BINS, kind)
    gap = clicks.probability - clicks.label
    size = clicks.n_units * ECE_BINS
    gaps = np.bincount(clicks.unit * ECE_BINS + bins, gap, size).reshape(clicks.n_units, ECE_BINS)
    rows = np.bincount(clicks.unit, minlength=clicks.n_units).astype(np.float64)
    parts = np.concatenate([gaps, rows[:, None]], axis=1)
    exact = float(np.abs(np.bincount(bins, gap, ECE_BINS)).sum() / len(bins))
    return Totals(parts, lambda sums: np.abs(sums[:, :-1]).sum(axis=1) / sums[:, -1], "user", True, exact)


_info = partial(MetricInfo, tasks=("ctr",), cutoff=False)

AUC = _info(
    "AUC", auc_of_clicks, "higher",
    "probability that a clicked item is ranked above one that was not clicked, over all rows", 70,
    definition="P(p of a random click > p of a random non-click) + half P(equal): mid-ranks")  # fmt: skip
UAUC = _info(
    "UAUC", mean_user_auc, "higher", "the same within each user, averaged over users", 71,
    definition="AUC within each user, averaged over the users with both clicks and non-clicks; every user counts once",
)  # fmt: skip
GAUC = _info(
    "GAUC", partial(mean_user_auc, by_rows=True), "higher",
    "the same within each user, averaged over users in proportion to their rows", 72,
    definition="the same; every user counts in proportion to their rows")  # fmt: skip
LOG_LOSS = _info(
    "LogLoss", lambda clicks: clicks.losses, "lower",
    "mean negative log-likelihood of the clicks; lower is better", 73,
    definition="mean of -(y ln p + (1 - y) ln(1 - p)), p kept within [1e-7, 1 - 1e-7]")  # fmt: skip
BRIER = _info(
    "Brier", lambda clicks: clicks.squares, "lower",
    "mean squared difference between stated probability and outcome; lower is better", 74,
    definition="mean of (p - y)^2")  # fmt: skip
ECE = _info(
    "ECE", calibration_error, "lower",
    "expected calibration error: mean gap between stated probability and observed frequency; lower is better", 75,
    definition="sum over 15 bins of equal width of n_b / N * \\|mean y - mean p\\|; bins are ((m - 1) / 15, m / 15]",
)  # fmt: skip
ECE_MASS = _info(
    "ECE[mass]", partial(calibration_error, kind="mass"), "lower",
    "expected calibration error: mean gap between stated probability and observed frequency; lower is better", 76,
    definition="the same with 15 bins of (nearly) equally many rows; equal probabilities share a bin")  # fmt: skip

CLICK_METRICS = (AUC, UAUC, GAUC, LOG_LOSS, BRIER, ECE, ECE_MASS)
"""In the order in which they are computed."""

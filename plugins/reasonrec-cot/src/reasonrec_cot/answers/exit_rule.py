"""When a head's answer is given: sure enough, several heads in a row; how sure is chosen by conformal risk control.

A text stops at the first head l at which the newest m heads agree on yes or no and the least sure of them has a ratio
max(p_yes / p_no, p_no / p_yes) of at least e^t (OptiRAG-Rec, 2025). What stopping there costs is

    d(l) = (p_l - y)^2 - (p - y)^2,

p_l being the head's P(yes), p the whole model's, y the label. Lowering t stops a text earlier and earlier; its loss at
t is the worst d, and at least 0, of all places at which it stops for some threshold of at least t. That loss lies in
[0, 1] and only grows as t falls, so the lowest t with (n R(t) + 1) / (n + 1) <= risk, R being the mean loss of n
validation rows, keeps the expected loss of a row like them at most ``risk`` (Angelopoulos et al., ICLR 2024, theorem
1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Bool, Float64, Int64

LARGEST = 1.0
"""No row can lose more."""


@dataclass(frozen=True)
class ExitRule:
    """When to stop.

    Attributes:
        layers: after how many layers each head reads.
        threshold: t, in log odds; infinite: no text stops early.
        consecutive: m.
    """

    layers: tuple[int, ...]
    threshold: float
    consecutive: int

    @property
    def stops(self) -> bool:
        """Whether any text can stop early."""
        return bool(np.isfinite(self.threshold)) and len(self.layers) >= self.consecutive

    def leaves(self, odds: Float64) -> Bool:
        """bool[n]: who stops at the last of float64[n, heads so far] log odds, not having stopped before."""
        if odds.shape[1] < self.consecutive:
            return np.zeros(len(odds), np.bool_)
        return np.asarray(_sureness(odds[:, -self.consecutive :]) >= self.threshold, np.bool_)

    def stop(self, odds: Float64) -> Int64:
        """int64[n]: the head at which each row of float64[n, heads] stops; ``heads`` where none is sure enough."""
        sure = reach(odds, self.consecutive) >= self.threshold
        return np.asarray(np.where(sure.any(1), sure.argmax(1), odds.shape[1]), np.int64)


def reach(odds: Float64, consecutive: int) -> Float64:
    """float64[n, heads]: up to which threshold a row may stop at each head; -inf where it never may."""
    found = np.full(odds.shape, -np.inf)
    for head in range(consecutive - 1, odds.shape[1]):
        found[:, head] = _sureness(odds[:, head - consecutive + 1 : head + 1])
    return found


def choose_threshold(
    odds: Float64, whole: Float64, clicked: Bool, risk: float, consecutive: int = 2
) -> tuple[float, float]:
    """The lowest threshold that keeps the risk, and the bound on the expected loss there.

    Args:
        odds: float64[n, heads] log odds by the heads, of rows that none of them learned from.
        whole: float64[n] by the whole model.
        clicked: bool[n].
        risk: of the expected loss.
        consecutive: heads in a row.

    Raises:
        ConfigError: there are too few rows to promise that.
    """
    check_risk(len(whole), risk)
    sure = reach(odds, consecutive)
    before = np.maximum.accumulate(np.concatenate([np.full((len(odds), 1), -np.inf), sure[:, :-1]], 1), 1)
    reached = sure > before  # for some threshold a row stops here
    label = clicked.astype(np.float64)[:, None]
    lost = (expit(odds) - label) ** 2 - (expit(whole)[:, None] - label) ** 2
    lost = np.where(reached, np.maximum(lost, 0.0), 0.0)
    worst = np.maximum.accumulate(lost[:, ::-1], 1)[:, ::-1]
    more = worst - np.concatenate([worst[:, 1:], np.zeros((len(odds), 1))], 1)
    places = sure[reached]
    order = np.argsort(-places, kind="stable")
    levels, total = places[order], np.cumsum(more[reached][order])
    last = np.append(levels[1:] != levels[:-1], True) if len(levels) else np.zeros(0, np.bool_)
    bound = (total + LARGEST) / (len(whole) + 1)
    kept = np.flatnonzero(last & (bound <= risk))
    if not len(kept):
        return np.inf, 0.0
    return float(levels[kept[-1]]), float(bound[kept[-1]])


def check_risk(rows: int, risk: float) -> None:
    """Refuse a risk that so many rows cannot promise.

    Raises:
        ConfigError: there are too few.
    """
    if LARGEST / (rows + 1) > risk:
        raise ConfigError(
            f"{rows} validation rows are too few to guarantee a loss of at most {risk:g}",
            where="exit.risk",
            fix=f"Allow at least {LARGEST / (rows + 1):.2g}, or raise tuning.pairs if there are more rows.",
        )


def settled(odds: Float64) -> Int64:
    """int64[n]: the first of float64[n, heads + 1] answers from which on all say the same, yes or no."""
    same = (odds > 0) == (odds[:, -1:] > 0)
    return np.asarray(odds.shape[1] - np.cumprod(same[:, ::-1], axis=1).sum(1), np.int64)


def _sureness(odds: npt.NDArray[np.float64]) -> Float64:
    """float64[n]: the least log ratio of heads that agree; -inf where they do not."""
    agree = (odds > 0).all(1) | (odds < 0).all(1)
    return np.asarray(np.where(agree, np.abs(odds).min(1), -np.inf), np.float64)

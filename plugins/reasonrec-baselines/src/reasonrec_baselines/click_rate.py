"""Delegate `click-rate`: how often an item is chosen when it is shown, the same for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field
from scipy.special import betaln

from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import Delegate, FitData, Settings, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.types import Float32, Float64, Int32, Observation, QueryBatch

STRENGTHS = 10.0 ** np.arange(1, 7.01, 0.25)
"""Showings that the prior may be worth, where the log chooses."""


class ClickRateConfig(Settings):
    """Settings of `ClickRate`."""

    half_life: float | None = Field(
        default=None,
        gt=0,
        description="Half-life: an interaction of the log this much older than the newest one counts half for the "
        "prior. In the unit of the log's times (seconds if the log has times). Empty: all count the same.",
    )
    strength: float | None = Field(
        default=None, gt=0, description="Showings that the prior is worth. Empty: estimated from the log."
    )
    memory: float | None = Field(
        default=None, gt=0, description="Lists after which what was learned of one counts half. Empty: nothing fades."
    )
    exploration: float = Field(
        default=0.0, ge=0, description="Standard deviations of the posterior that are added to its mean."
    )


class ClickRate(Delegate[ClickRateConfig]):
    """The posterior mean of each item's rate of being chosen when it is shown; it learns from feedback (`observe`).

    An empirical Bayes estimate (Robbins, 1956): the prior is a Beta distribution whose mean is the item's share of the
    log's choices, and whose strength, in showings, is the one that makes the second half of the log likeliest given the
    shares of the first (a beta-binomial). With ``exploration`` an upper bound ranks (after Kaufmann et al., AISTATS
    2012; here a normal one), so that items are shown of which little is known. Scores are logarithms.

    Needs neither a known user nor a history. An item that came after the fit has the prior of one never chosen.
    """

    Config = ClickRateConfig
    _prior: Float64
    _shown: Float64
    _chosen: Float64
    _strength: float

    def fit(self, data: FitData) -> None:
        """Count, and estimate the prior's strength."""
        n_items = len(data.catalog)
        if not len(data.train):
            raise DataError("there are no training interactions to count", where="click-rate")
        self._prior = find_shares(data.train.count_items(n_items, self.config.half_life))
        self._strength = self.config.strength or self._estimate_strength(data, n_items)
        self._shown, self._chosen = np.zeros(n_items), np.zeros(n_items)

    def observe(self, batch: QueryBatch, items: Int32, rewards: Float32) -> None:
        """Count float32[B, K] ``rewards`` in [0, 1] and showings of int32[B, K] ``items``; the rest fades."""
        there = items >= 0
        lists = np.asarray(there.any(axis=1), np.bool_)
        keep = 1.0 if self.config.memory is None else 0.5 ** (1 / self.config.memory)
        later = lists[::-1].cumsum()[::-1] - lists  # lists that came after each
        weights = np.broadcast_to((keep**later)[:, None], items.shape)[there]
        shown, fade = items[there], keep ** lists.sum()
        count = len(self._prior)
        self._shown = self._shown * fade + np.bincount(shown, weights, minlength=count)
        self._chosen = self._chosen * fade + np.bincount(shown, weights * rewards[there], minlength=count)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: the same for everybody."""
        gains, total = self._chosen + self._strength * self._prior, self._shown + self._strength
        mean = gains / total
        spread = np.sqrt(mean * (1 - mean) / (total + 1))
        bound = np.log(mean + self.config.exploration * spread).astype(np.float32)
        return pick_candidates(np.tile(bound, (len(batch), 1)), batch)

    def save(self, folder: Path) -> None:
        """Write the prior and what was learned since."""
        super().save(folder)
        arrays = {"prior": self._prior, "shown": self._shown, "chosen": self._chosen}
        write_arrays(folder / "rates.npz", arrays | {"strength": np.array(self._strength)})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self, arrays, n_items = super().load(folder, catalog), read_arrays(folder / "rates.npz"), len(catalog)
        self._prior = grown(arrays["prior"], n_items, float(arrays["prior"].min()))
        self._shown, self._chosen = grown(arrays["shown"], n_items), grown(arrays["chosen"], n_items)
        self._strength = float(arrays["strength"])
        return self

    def _estimate_strength(self, data: FitData, n_items: int) -> float:
        order = np.argsort(data.train.times, kind="stable")
        first, second = (
            data.train.take(order[part]) for part in (slice(len(order) // 2), slice(len(order) // 2, None))
        )
        if not len(first):
            return float(STRENGTHS[0])
        shares = find_shares(first.count_items(n_items, self.config.half_life))
        found = second.count_items(n_items).astype(np.float64)
        likely = [measure_likelihood(found, len(second), shares, strength) for strength in STRENGTHS]
        return float(STRENGTHS[np.argmax(likely)])


def find_shares(counts: Float32) -> Float64:
    """float64[n]: shares of all choices, half a choice added to each (Jeffreys)."""
    more = counts.astype(np.float64) + 0.5
    return np.asarray(more / max(more.sum(), 1.0 + more.max()), np.float64)


def measure_likelihood(chosen: Float64, shown: int, shares: Float64, strength: float) -> float:
    """The beta-binomial log-likelihood, but for a constant, of float64[n] choices of ``shown`` each."""
    a, b = strength * shares, strength * (1 - shares)
    return float((betaln(chosen + a, shown - chosen + b) - betaln(a, b)).sum())

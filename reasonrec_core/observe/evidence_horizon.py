"""Evidence horizon: how little is known about a user, in [0, 1].

ReasonRec (arXiv 2606.28357) defines ``C(u) = 1 - |I_u| / max_u' |I_u'|`` (1 = cold, 0 = warm) and calls users with
C > 0.7 risky and users with C < 0.3 safe. As written the score is degenerate on the paper's own data, because one
very active user sets the scale for all. On the 22,363 users of Amazon Beauty (5-core; mean 8.88, median 6, at most
204 interactions) 0.03 % of the users are below 0.3 and 99.60 % above 0.7. Two
thresholds on it decide nothing. ``log`` (0.011 / 0.989 / 0.000 of Beauty's users below, between, above)
and ``cap`` at 50 (0.016 / 0.082 / 0.902) spread users hardly better.

The default therefore ranks users: ``C_q(u) = 1 - F(|I_u|)`` with F the empirical distribution of the training
users' history lengths, ties at mid-rank. It is uniform up to ties, so a threshold of 0.7 means "the 30 % of users
with the least history". Ties are large in 5-core data (about a third of the users have the minimum length), so a
wanted share can be met only as nearly as the ties allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

import numpy as np

from reasonrec_core.errors import ConfigError, DataError, PluginError
from reasonrec_core.types import Float32, Int64, QueryBatch, indptr_of

HorizonKind = Literal["quantile", "paper", "log", "cap"]


class EvidenceHorizonScale:
    """Maps history lengths to the evidence horizon C(u) in [0, 1]; never increasing in the length.

    Args:
        kind: ``quantile``: ``1 - F(n)`` (default); ``paper``: ``1 - n / max``; ``log``:
            ``1 - log(1 + n) / log(1 + max)``; ``cap``: ``1 - min(n, cap) / cap``.
        cap: interactions after which ``cap`` counts a user as fully known.

    Raises:
        ConfigError: an unknown kind, or a cap below 1.
    """

    def __init__(self, kind: HorizonKind = "quantile", cap: int = 50) -> None:
        if kind not in get_args(HorizonKind):
            raise ConfigError(
                f"unknown evidence horizon {kind!r}", fix=f"Use one of {', '.join(get_args(HorizonKind))}."
            )
        if cap < 1:
            raise ConfigError(f"the evidence horizon's cap is {cap}", fix="Use 1 or more interactions.")
        self.kind, self.cap = kind, cap
        self._values = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)
        self._below = np.zeros(1, np.int64)

    def fit(self, lengths: Int64) -> Self:
        """Learn the scale from int64[users] interactions per training user; users without any do not count."""
        lengths = np.asarray(lengths, dtype=np.int64)
        if (lengths < 0).any():
            raise DataError("history lengths are negative")
        self._values, self._counts = np.unique(lengths[lengths > 0], return_counts=True)
        if not len(self._values):
            raise DataError("no training user has an interaction, so the evidence horizon has no scale")
        self._below = _sums(self._counts)
        return self

    def __call__(self, batch: QueryBatch) -> Float32:
        """float32[B]: the horizon of each query's user, from the length of the query's history."""
        return self.of_lengths(batch.history.lengths)

    def of_lengths(self, lengths: Int64) -> Float32:
        """float32[B] for int64[B] history lengths."""
        if not len(self._values):
            raise PluginError("the evidence horizon was used before it was fitted")
        known = self._known(np.asarray(lengths, dtype=np.int64))
        return np.clip(1.0 - known, 0.0, 1.0).astype(np.float32)

    def _known(self, lengths: Int64) -> np.ndarray[Any, np.dtype[np.float64]]:
        longest = int(self._values[-1])
        if self.kind == "paper":
            return lengths / longest
        if self.kind == "log":
            return np.asarray(np.log1p(lengths) / np.log1p(longest))
        if self.kind == "cap":
            return np.minimum(lengths, self.cap) / self.cap
        below = self._below
        first = np.searchsorted(self._values, lengths, side="left")
        last = np.searchsorted(self._values, lengths, side="right")
        return np.asarray((below[first] + below[last]) / (2.0 * below[-1]))

    def to_dict(self) -> dict[str, Any]:
        """The fitted scale as JSON values."""
        return {
            "kind": self.kind,
            "cap": self.cap,
            "lengths": self._values.tolist(),
            "users": self._counts.tolist(),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        scale = cls(value["kind"], int(value["cap"]))
        scale._values = np.array(value["lengths"], dtype=np.int64)
        scale._counts = np.array(value["users"], dtype=np.int64)
        scale._below = _sums(scale._counts)
        return scale


def _sums(counts: Int64) -> Int64:
    """int64[N + 1]: how many come before each."""
    return indptr_of(counts)

"""Evidence horizon: how little is known about a user, in [0, 1].

ReasonRec (arXiv 2606.28357) defines ``C(u) = 1 - |I_u| / max_u' |I_u'|`` (1 = cold, 0 = warm) and calls users with
C > 0.7 risky and users with C < 0.3 safe. One very active user then sets the scale for all: of the 22,363 users of
Amazon Beauty (5-core) 0.03 % are below 0.3 and 99.60 % above 0.7. ``log`` (0.011 / 0.989 / 0.000 below, between,
above) and ``cap`` at 50 (0.016 / 0.082 / 0.902) spread users hardly better.

The default therefore ranks users: ``C_q(u) = 1 - F(|I_u|)`` with F the empirical distribution of the training
users' history lengths, ties (large in 5-core data) at mid-rank: above 0.7 are the 30 % with the least history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from reasonrec_core.components import Settings
from reasonrec_core.errors import DataError
from reasonrec_core.types import Float32, Float64, Int64, QueryBatch, indptr_of


class HorizonConfig(Settings):
    """The evidence horizon: how little is known about a user."""

    kind: Literal["quantile", "paper", "log", "cap"] = Field("quantile", description="How it is normalised.")
    cap: int = Field(50, ge=1, le=10**6, description="History length that counts as full evidence (kind = cap).")


@dataclass(frozen=True)
class EvidenceHorizonScale:
    """Maps history lengths to the evidence horizon C(u) in [0, 1]; never increasing in the length.

    ``quantile``: ``1 - F(n)``; ``paper``: ``1 - n / max``; ``log``: ``1 - log(1 + n) / log(1 + max)``; ``cap``:
    ``1 - min(n, cap) / cap``.

    Attributes:
        config: which of them.
        lengths: int64[N] the history lengths that training users have, ascending.
        users: int64[N] how many have each.
    """

    config: HorizonConfig
    lengths: Int64
    users: Int64

    @classmethod
    def fit(cls, lengths: Int64, config: HorizonConfig | None = None) -> Self:
        """Learn the scale from int64[users] interactions per training user; users without any do not count."""
        lengths = np.asarray(lengths, dtype=np.int64)
        if (lengths < 0).any():
            raise DataError("history lengths are negative")
        values, users = np.unique(lengths[lengths > 0], return_counts=True)
        if not len(values):
            raise DataError("no training user has an interaction, so the evidence horizon cannot be scaled")
        return cls(config or HorizonConfig(), values, users)

    def __call__(self, batch: QueryBatch) -> Float32:
        """float32[B]: the horizon of each query's user, from the length of the query's history."""
        return self.of_lengths(batch.history.lengths)

    def of_lengths(self, lengths: Int64) -> Float32:
        """float32[B] for int64[B] history lengths."""
        return self._table.take(lengths, mode="clip")

    @cached_property
    def _table(self) -> Float32:
        """float32[N]: of every length, the last one of all that are longer; a request looks it up."""
        most = self.config.cap if self.config.kind == "cap" else int(self.lengths[-1]) + 1
        return np.clip(1.0 - self._known(np.arange(most + 1)), 0.0, 1.0).astype(np.float32)

    def _known(self, lengths: Int64) -> Float64:
        longest = int(self.lengths[-1])
        if self.config.kind == "paper":
            return lengths / longest
        if self.config.kind == "log":
            return np.asarray(np.log1p(lengths) / np.log1p(longest))
        if self.config.kind == "cap":
            return np.minimum(lengths, self.config.cap) / self.config.cap
        first = np.searchsorted(self.lengths, lengths, side="left")
        last = np.searchsorted(self.lengths, lengths, side="right")
        return np.asarray((self._below[first] + self._below[last]) / (2.0 * self._below[-1]))

    @cached_property
    def _below(self) -> Int64:
        """int64[N + 1]: how many users have a shorter history."""
        return indptr_of(self.users)

    def to_dict(self) -> dict[str, Any]:
        """The fitted scale as JSON values."""
        return {**self.config.model_dump(), "lengths": self.lengths.tolist(), "users": self.users.tolist()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        lengths, users = (np.array(value[name], dtype=np.int64) for name in ("lengths", "users"))
        return cls(HorizonConfig(kind=value["kind"], cap=value["cap"]), lengths, users)

"""Where to cut: replace the riskiest queries, to a wanted share or to a wanted selective risk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Bool, Float64, Int64


@dataclass(frozen=True)
class Cut:
    """Replace a query whose risk is above ``level``, and a part of those exactly at it.

    Queries with equal risk cannot be told apart by risk. Where the caller gives a key per query (such as its user),
    ``part`` of them are replaced, picked by a seeded hash of the key, so that the choice depends neither on the
    order nor on the batch. Without keys all of them are kept, or all replaced where ``part >= 0.5``.

    Attributes:
        level: a risk.
        part: in [0, 1].
        seed: of the hash.
    """

    level: float
    part: float
    seed: int = 0

    def __call__(self, risk: Float64, keys: Int64 | None = None) -> Bool:
        """bool[B] for float64[B] risks."""
        at = risk == self.level
        if not at.any():  # nearly always: a single request needs no hash
            return np.asarray(risk > self.level, np.bool_)
        picked = np.full(len(risk), self.part >= 0.5) if keys is None else _uniform(keys, self.seed) < self.part
        return np.asarray((risk > self.level) | (at & picked), dtype=np.bool_)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"level": self.level, "part": self.part, "seed": self.seed}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(float(value["level"]), float(value["part"]), int(value["seed"]))


NOBODY = Cut(float("inf"), 0.0)
"""Replaces nothing: until a cut is placed."""


def cut_for_share(risk: Float64, share: float, seed: int = 0) -> Cut:
    """The cut that replaces ``share`` of the queries, the riskiest first."""
    levels, counts = np.unique(risk, return_counts=True)
    above = np.cumsum(counts[::-1])[::-1] - counts  # queries above each level
    wanted = share * len(risk)
    at = int(np.argmax(above <= wanted))  # the lowest level with no more than the wanted number above it
    return Cut(float(levels[at]), float(np.clip((wanted - above[at]) / counts[at], 0.0, 1.0)), seed)


def cut_for_risk(risk: Float64, limit: float, seed: int = 0, where: str = "router.risk") -> Cut:
    """The cut that replaces as few queries as keep the mean risk of the others at most ``limit``.

    Raises:
        ConfigError: even the safest queries alone are riskier than ``limit``.
    """
    others = "give a share instead, or let the delegate answer everything (share = 1)"
    if where == "router.selective_risk":
        others = "or give a share that gets no answer (abstain)"
    levels, counts = np.unique(risk, return_counts=True)
    selective = np.cumsum(levels * counts) / np.cumsum(counts)  # mean risk when levels up to this one are kept
    kept = int((selective <= limit + 1e-12).sum())
    if not kept:
        raise ConfigError(
            f"a risk of {limit:g} cannot be reached: even the safest {counts[0]} of {len(risk)} validation queries "
            f"have a risk of {levels[0]:.4g}, and over all queries it is {selective[-1]:.4g}",
            where=where,
            fix=f"Allow at least {levels[0]:.4g}, {others}.",
        )
    return Cut(float(levels[kept - 1]), 0.0, seed)


def _uniform(keys: Int64, seed: int) -> Float64:
    """float64[B] in [0, 1): the SplitMix64 hash (Steele, Lea and Flood, 2014) of each key."""
    with np.errstate(over="ignore"):
        z = keys.astype(np.int64).view(np.uint64) + np.uint64(seed % 2**32) * np.uint64(0x9E3779B97F4A7C15)
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) / float(2**53))

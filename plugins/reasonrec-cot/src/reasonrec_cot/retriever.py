"""The items that the model is asked about, and the order of all others: a delegate's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import Delegate, FitData, Kind
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError
from reasonrec_core.io import content_hash, read_json, write_json
from reasonrec_core.ranking import percentile_rank, rank
from reasonrec_core.registry import Registry
from reasonrec_core.types import Float32, Int32, Observation, QueryBatch, Ranking, Task
from reasonrec_cot.answers.answerer import ItemScores
from reasonrec_cot.answers.score_fusion import DelegateScores
from reasonrec_cot.answers.score_sources import GENERATOR
from reasonrec_cot.config import ShortlistConfig

SCORES_AT_ONCE = 1 << 24
SOURCES = "sources"
NAMES = "names.json"


@dataclass(frozen=True)
class Shortlist:
    """What the model is asked about.

    Attributes:
        items: int32[B, L], -1 pads: in the order in which they are listed.
        prior: the delegate's ranking of these and, behind them, of as many others as an answer may need.
    """

    items: Int32
    prior: Ranking


class Retriever:
    """Takes the best of a delegate.

    Args:
        config: which delegate, how many.
        delegate: fitted.
        sources: further ones, fitted, by name.
    """

    def __init__(
        self, config: ShortlistConfig, delegate: Delegate[Any], sources: Mapping[str, Delegate[Any]] | None = None
    ) -> None:
        self.config, self.delegate, self.sources = config, delegate, dict(sources or {})

    @classmethod
    def fit(cls, config: ShortlistConfig, data: FitData) -> Retriever:
        """Fit the delegate on the training part."""
        if data.delegate is None:
            raise ConfigError("the pipeline has no delegates that could propose candidates", where="shortlist.delegate")
        made = {name: data.delegate(name) for name in dict.fromkeys((config.delegate, *config.sources))}
        for delegate in made.values():
            delegate.fit(replace(data, workdir=None))
        return cls(config, made.pop(config.delegate), made)

    def of(self, batch: QueryBatch, observation: Observation, *, whole: bool = False, fewest: int = 1) -> Shortlist:
        """The shortlist of each query; candidates, where it has them, are never left, and with ``whole`` never cut.

        Args:
            batch: B queries.
            observation: what may be looked at.
            whole: as many as there are, where they come with the query.
            fewest: items at least, whatever size is set.
        """
        size = max(self.config.size, fewest)
        if whole and batch.candidates is not None:
            size = max(size, batch.candidates.shape[1])
        wide = replace(batch, k=max(batch.k, size))
        parts = []
        for start, piece in wide.chunks(max(1, SCORES_AT_ONCE // max(1, observation_width(batch, observation)))):
            index = np.arange(start, start + len(piece))
            parts.append(rank(self.delegate.score(piece, observation.take(index)).copy(), piece))
        prior = Ranking(np.concatenate([part.items for part in parts]), np.concatenate([part.scores for part in parts]))
        listed = append_unranked(batch, prior.items)[:, :size]
        if self.config.order == "shuffled":
            listed = np.stack([_shuffled(row, batch.history.row(b)) for b, row in enumerate(listed)])
        return Shortlist(listed, prior)

    def evidence(
        self, asked: QueryBatch, shortlist: Shortlist, observation: Observation, *, listed: bool
    ) -> DelegateScores:
        """What the delegates say of ``asked``'s candidates, which are ``shortlist``'s and may have come with it."""
        said = {GENERATOR: prior_scores(shortlist)}
        for name, delegate in self.sources.items():
            said[name] = delegate.score(asked, observation).astype(np.float32)
        return DelegateScores(said, observation.horizon, listed)

    def rank_percentiles(self, batch: QueryBatch, observation: Observation) -> Mapping[str, Float32]:
        """Per delegate float32[B, C]: where each candidate stands among its scores of the whole catalogue."""
        assert batch.candidates is not None
        asked = replace(batch, task=Task.SEQUENTIAL, candidates=None)
        found: dict[str, list[Float32]] = {name: [] for name in (GENERATOR, *self.sources)}
        for start, piece in asked.chunks(max(1, SCORES_AT_ONCE // observation_width(asked, observation))):
            index = np.arange(start, start + len(piece))
            for name, delegate in {GENERATOR: self.delegate, **self.sources}.items():
                scores = delegate.score(piece, observation.take(index))
                found[name].append(percentile_rank(scores, batch.take(index)))
        empty = np.zeros(batch.candidates.shape, np.float32)
        return {name: np.concatenate(parts) if parts else empty for name, parts in found.items()}

    def save(self, folder: Path) -> None:
        """Write the delegates, and what they are called where they are registered: labels are the pipeline's own."""
        self.delegate.save(folder)
        registry, every = Registry.discover(), {self.config.delegate: self.delegate, **self.sources}
        write_json(folder / NAMES, {label: registry.find_name(delegate) for label, delegate in every.items()})
        for name, delegate in self.sources.items():
            (folder / SOURCES / name).mkdir(parents=True, exist_ok=True)
            delegate.save(folder / SOURCES / name)

    @classmethod
    def load(cls, config: ShortlistConfig, folder: Path, catalog: Catalog) -> Retriever:
        """Read what `save` wrote."""
        registry = Registry.discover()
        called = read_json(folder / NAMES) if (folder / NAMES).exists() else {}  # earlier versions kept none
        places = {name: folder / SOURCES / name for name in config.sources if name != config.delegate}
        made = {
            name: registry.load(Kind.DELEGATE, called.get(name, name)).load(place, catalog)
            for name, place in ({config.delegate: folder} | places).items()
        }
        first = made.pop(config.delegate)
        assert isinstance(first, Delegate)
        return cls(config, first, {name: each for name, each in made.items() if isinstance(each, Delegate)})


def prior_scores(shortlist: Shortlist) -> Float32:
    """float32[B, L]: the delegate's score of each listed item, -inf for what it never gives."""
    found = np.full(shortlist.items.shape, -np.inf, np.float32)
    for row, (listed, items) in enumerate(zip(shortlist.items, shortlist.prior.items, strict=True)):
        _, mine, theirs = np.intersect1d(listed[listed >= 0], items, return_indices=True)
        found[row, np.flatnonzero(listed >= 0)[mine]] = shortlist.prior.scores[row, theirs]
    return found


def observation_width(batch: QueryBatch, observation: Observation) -> int:
    """How many scores a query has, as far as it can be told."""
    if batch.candidates is not None:
        return int(batch.candidates.shape[1])
    return max((len(rows) for rows in observation.present.values()), default=1 << 16)


def merge_rankings(
    answer: ItemScores, shortlist: Shortlist, asked: QueryBatch, batch: QueryBatch
) -> tuple[Ranking, Float32]:
    """The model's ranking of what it was asked about, then all others in the delegate's order; and their mass.

    Args:
        answer: of ``asked``.
        shortlist: of ``batch``.
        asked: the queries as the model was asked: with the shortlist as candidates, or with the whole catalogue.
        batch: the queries as they came.
    """
    items = np.full((len(batch), shortlist.prior.items.shape[1]), -1, np.int32)
    scores, mass = np.full(items.shape, -np.inf, np.float32), np.zeros(items.shape, np.float32)
    for row in range(len(batch)):
        found = np.flatnonzero(np.isfinite(answer.scores[row]))
        found = found[np.argsort(-answer.scores[row, found], kind="stable")]
        own = found if asked.candidates is None else asked.candidates[row, found]
        prior = shortlist.prior.items[row]
        rest = prior[(prior >= 0) & ~np.isin(prior, own)]
        every = np.concatenate([own, rest])[: items.shape[1]].astype(np.int32)
        best = answer.scores[row, found][: len(every)]
        lowest = best[-1] if len(best) else 0.0
        items[row, : len(every)] = every
        scores[row, : len(best)] = best
        scores[row, len(best) : len(every)] = lowest - 1 - np.arange(len(every) - len(best))
        mass[row, : len(best)] = answer.mass[row, found][: len(every)]
    return Ranking(items, scores).head(batch.k), mass[:, : batch.k]


def append_unranked(batch: QueryBatch, ranked: Int32) -> Int32:
    """Ranked items, and behind them candidates that the delegate never gives (-inf): they may still be asked about."""
    if batch.candidates is None:
        return ranked
    width = int(batch.candidates.shape[1])
    out = np.full((len(batch), width), -1, np.int32)
    for row, listed in enumerate(batch.candidates):
        known = ranked[row][ranked[row] >= 0]
        others = listed[(listed >= 0) & ~np.isin(listed, known)]
        every = np.concatenate([known, others[np.sort(np.unique(others, return_index=True)[1])]])[:width]
        out[row, : len(every)] = every
    return out


def _shuffled(listed: Int32, history: Int32) -> Int32:
    """Items in an order that depends on nothing but the request."""
    there = np.sort(listed[listed >= 0])
    seed = int(content_hash(there.tolist(), history.tolist())[:16], 16)
    out = np.full_like(listed, -1)
    out[: len(there)] = np.random.default_rng(seed).permutation(there)
    return out

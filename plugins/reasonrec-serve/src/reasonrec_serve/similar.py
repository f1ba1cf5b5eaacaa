"""Items like an item: by what is known of them, by who took both, or by what a component learned of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from scipy import sparse

from reasonrec_core.components import Kind
from reasonrec_core.errors import ConfigError, DataError, did_you_mean
from reasonrec_core.ranking import top_k
from reasonrec_core.types import Float32, History, Observation, QueryBatch, Task
from reasonrec_core.validation import check_scores, check_vectors
from reasonrec_serve.answer import Recommended
from reasonrec_serve.causes import Cause
from reasonrec_serve.request import Id, Request, read_id
from reasonrec_serve.resolve import resolve_limits

if TYPE_CHECKING:
    from reasonrec_serve.recommender import Recommender

CONTENT, TOGETHER = "content", "together"
SHRINKAGE = 5.0
"""Users who took both count n / (n + this): a pair that one user happened to take is no likeness."""
ALIKE = 0.5
"""Cosine of texts or pictures from which on it is given as a reason."""
SHOWN = 3
"""Labels of one field in a reason, at most."""


@runtime_checkable
class ItemVectorSource(Protocol):
    """A policy or delegate that has a vector per item, whose directions say what is alike."""

    def item_vectors(self, observation: Observation) -> Float32:
        """float32[n_items, d]; a row of zeros where an item has none (it came after the fit, or nobody took it)."""


@dataclass(frozen=True)
class SimilarItem(Recommended):
    """One item that is like another.

    Attributes:
        reasons: what they share, in words.
    """

    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Similar:
    """Items like an item.

    Attributes:
        id: raw id of the item that was asked about.
        title: what it is called.
        by: what they were found by: "content", "together", or the label of a policy or delegate.
        items: most alike first, without the item itself; each ``because`` of it.
        skipped: part of the request ("exclude", "only") -> how many of its ids are unknown and were skipped.
        notes: what was skipped, left out or could not be done, a sentence each.
        seconds: that it took.
    """

    id: str
    title: str
    by: str
    items: tuple[SimilarItem, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def method(self) -> str:
        """`by` in words."""
        return describe_method(self.by)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def describe_method(by: str) -> str:
    """What items are compared by, to stand after "judged by"."""
    words = {TOGETHER: "the people who chose both", CONTENT: "their text, pictures and labels"}
    return words.get(by, f"the model {by}")


class ItemNeighbours:
    """Finds items that are alike, of an opened run.

    Args:
        service: the run.
    """

    def __init__(self, service: Recommender) -> None:
        self.service, self.catalog, self.agent = service, service.dataset.catalog, service.agent

    @cached_property
    def ways(self) -> tuple[str, ...]:
        """What items can be compared by, the best first.

        The policy's vectors, what was taken together, delegates' vectors, content, delegates: in this order they found
        what people chose next (benchmarks/results/similar.md).
        """
        agent = self.agent
        known = [agent.policy.label] if agent.policy and isinstance(agent.policy.part, ItemVectorSource) else []
        known += [TOGETHER]
        known += [label for label, each in agent.delegates.items() if isinstance(each.part, ItemVectorSource)]
        known += [CONTENT] if self.service.likeness else []
        return tuple(dict.fromkeys([*known, *agent.delegates]))

    def find(self, item: Id, k: int, by: str | None, request: Request) -> Similar:
        """The ``k`` items that are most like one; see `Recommender.similar`."""
        begin = time.perf_counter()
        at = self._find_item(read_id(item, "item"))
        limits, skipped = resolve_limits(self.catalog, request, self.service.item_filter)
        way, scores = self._choose(at, by)
        scores[at] = -np.inf
        if limits.allowed is not None:
            scores[~limits.allowed] = -np.inf
        columns = top_k(np.ascontiguousarray(scores[None], np.float32), min(k, len(scores)))[0]
        found = [int(c) for c in columns if np.isfinite(scores[c])]
        explain = PairReasons(self, at, found)
        because = (Cause(self.catalog.ids[at], self.catalog.titles[at], 1.0),)
        items = tuple(
            SimilarItem(
                self.catalog.ids[i], self.catalog.titles[i], float(scores[i]), because, reasons=explain.of(place)
            )
            for place, i in enumerate(found)
        )
        notes = () if items else (f"No allowed item is similar, judged by {describe_method(way)}.",)
        return Similar(
            id=self.catalog.ids[at],
            title=self.catalog.titles[at],
            by=way,
            items=items,
            skipped=skipped,
            notes=notes,
            seconds=time.perf_counter() - begin,
        )

    def _find_item(self, name: str) -> int:
        if name not in self.catalog.index:
            near = did_you_mean(name, self.catalog.ids) if len(self.catalog) <= 10_000 else ""
            raise DataError(f"unknown item {name!r}", where="similar", fix=near if near.startswith("Did") else None)
        return self.catalog.index[name]

    def _choose(self, item: int, by: str | None) -> tuple[str, Float32]:
        """How it was found, and float32[n_items]: how alike every item is, -inf where that is not known."""
        if by is not None:
            if by not in self.ways:
                raise ConfigError(f"items cannot be compared by {by!r}", where="--by", fix=did_you_mean(by, self.ways))
            return by, self._compare(by, item)
        for way in self.ways:
            if np.isfinite(scores := self._compare(way, item)).any():
                return way, scores
        return self.ways[-1], scores

    def _compare(self, way: str, item: int) -> Float32:
        if way == TOGETHER:
            return self._compare_users(item)
        if way == CONTENT:
            return self._compare_content(item)
        if way in self._vectors:
            vectors = self._vectors[way]
            if not vectors[item].any():
                return np.full(len(vectors), -np.inf, np.float32)
            return np.asarray(np.where(vectors.any(axis=1), vectors @ vectors[item], -np.inf), np.float32)
        batch = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[item]]), 1)
        named = self.agent.delegates[way]
        with self.agent.registry.guard(Kind.DELEGATE, named.name, "score"):
            scores = check_scores(named.part.score(batch, self.agent.observe(batch)), batch, len(self.catalog))
        return np.asarray(scores[0])

    def _compare_content(self, item: int) -> Float32:
        """The mean cosine over what both have."""
        parts = list(self.service.likeness.compare_all(item).values())
        total = np.sum(parts, axis=0) / len(parts)
        return np.asarray(np.where(np.any([part != 0 for part in parts], axis=0), total, -np.inf), np.float32)

    def _compare_users(self, item: int) -> Float32:
        """``n / sqrt(n_i n_j) * n / (n + 5)`` for n users who took both (cosine of columns, shrunk)."""
        both = self.count_both(item)
        scores = both / np.sqrt(np.maximum(self._takers * self._takers[item], 1)) * both / (both + SHRINKAGE)
        return np.asarray(np.where(both > 0, scores, -np.inf), np.float32)

    def count_both(self, item: int) -> Float32:
        """float32[n_items]: users who took this item and each other one."""
        takers = self._by_item[[item]].indices
        both = np.asarray(self._by_user[takers].sum(axis=0), np.float32).ravel()
        both[item] = 0
        return both

    @cached_property
    def _by_user(self) -> sparse.csr_matrix:
        """float32 CSR[n_users, n_items] of ones."""
        dataset = self.service.dataset
        log, shape = dataset.interactions, (dataset.n_users, dataset.n_items)
        matrix = sparse.csr_matrix((np.ones(len(log), np.float32), (log.users, log.items)), shape)
        matrix.data[:] = 1
        return matrix

    @cached_property
    def _by_item(self) -> sparse.csr_matrix:
        return self._by_user.T.tocsr()

    @cached_property
    def _takers(self) -> Float32:
        return np.asarray(np.diff(self._by_item.indptr), np.float32)

    @cached_property
    def _vectors(self) -> dict[str, Float32]:
        """Per component float32[n_items, d]: vectors of length 1, or 0."""
        none = History.of([[]])
        seen = self.agent.observe(QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), none, 1))
        found = {}
        for kind, named in self.agent.parts:
            if isinstance(named.part, ItemVectorSource):
                with self.agent.registry.guard(kind, named.name, "item_vectors"):
                    vectors = check_vectors(named.part.item_vectors(seen), len(self.catalog))
                lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
                found[named.label] = vectors / np.maximum(lengths, np.float32(1e-12))
        return found

    @cached_property
    def labels(self) -> dict[str, list[tuple[str, ...]]]:
        """Labels of every item by field."""
        fields = [name for name in self.catalog.text_fields if name not in {"title", "description"}]
        return {name: self.catalog.labels(name) for name in fields}


class PairReasons:
    """Why found items are like one.

    Args:
        neighbours: of the run.
        item: that was asked about.
        found: the items.
    """

    def __init__(self, neighbours: ItemNeighbours, item: int, found: Sequence[int]) -> None:
        self.neighbours, self.item, self.found = neighbours, item, found
        self._both = neighbours.count_both(item)[list(found)]
        likeness = neighbours.service.likeness
        self._alike = {} if likeness.labels is not None else likeness.compare_some(item, found)

    def of(self, place: int) -> tuple[str, ...]:
        """In words."""
        other, both, reasons = self.found[place], int(self._both[place]), list[str]()
        if both:
            reasons.append(f"{both} user{('s' if both > 1 else '')} chose both")
        for name, labels in self.neighbours.labels.items():
            shared = [label for label in labels[self.item] if label in labels[other]]
            if shared:
                more = f" and {len(shared) - SHOWN} more" if len(shared) > SHOWN else ""
                reasons.append(f"same {name}: {', '.join(shared[:SHOWN])}{more}")
        for name, values in self._alike.items():
            if values[place] >= ALIKE:
                reasons.append(f"alike in {name} ({values[place]:.2f})")
        return tuple(reasons)

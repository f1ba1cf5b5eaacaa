"""Answers within limits: what a request rules out is left out before the best k are taken, whoever answers.

Who answers is decided as it would be without limits, on the answers that the router was calibrated on. Then

1. what the system would have recommended is taken without the items that are ruled out, a few places deeper;
2. where that leaves too few, the same system ranks everything that is allowed: a delegate by its scores of the
   catalogue, a policy as listed candidates (`Task.DIRECT`), which is how it is asked about some items and no others;
3. items that the user has are ranked among these, as listed candidates, where they may be recommended again.

No component needs to know of limits, so they hold for every plugin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reasonrec_core.components import Delegate, Kind
from reasonrec_core.pipeline import Agent, Outcome
from reasonrec_core.ranking import rank
from reasonrec_core.types import Bool, Int32, QueryBatch, Ranking, Route, Task
from reasonrec_core.validation import check_ranking, check_scores

Rows = npt.NDArray[np.intp]
SPARE = 50
"""Places that are looked at beyond those that are wanted, at most: few enough for any policy to rank without effort."""
CELLS = 1 << 22
"""Listed candidates at once."""


@dataclass(frozen=True)
class Limits:
    """What a request rules out, the same for all queries of a batch.

    Attributes:
        allowed: bool[n_items], what may be recommended; None for everything.
        include_seen: whether that holds for items of the history, too.
    """

    allowed: Bool | None = None
    include_seen: bool = False

    def __bool__(self) -> bool:
        return self.allowed is not None or self.include_seen

    def candidates(self, listed: Int32) -> Int32:
        """int32[C]: those of the listed items that may be recommended; one padding where there are none."""
        kept = listed if self.allowed is None else listed[self.allowed[listed]]
        return kept if len(kept) else np.full(1, -1, np.int32)


RankListed = Callable[[QueryBatch], Ranking]
"""Ranks the candidates of a batch."""


def act_within(agent: Agent, batch: QueryBatch, limits: Limits, cutoff: int) -> tuple[Outcome, Bool]:
    """Answer a batch within limits.

    Args:
        agent: who answers.
        batch: B queries over the whole catalogue; candidates are limited by leaving some out (`Limits.candidates`).
        limits: of all of them.
        cutoff: how many first items confidence is about.

    Returns:
        what was done, its rankings within the limits; bool[B] where the first ``cutoff`` items are others for that.
        Risk, confidence and uncertainty are NaN there: they were calibrated on answers without limits.
    """
    if not limits or batch.candidates is not None:
        return agent.act(batch), np.zeros(len(batch), np.bool_)
    wide = replace(batch, k=_look_deeper(batch.k, limits, agent.n_items, cutoff))
    outcome = agent.act(wide)
    who, routes = outcome.decisions.who, outcome.decisions.route
    ranking, answered = outcome.ranking, ~outcome.decisions.abstained
    limited = pad_ranking(len(batch), batch.k)
    for route, label in sorted({(str(r), str(w)) for r, w in zip(routes[answered], who[answered], strict=True)}):
        rows = np.flatnonzero(answered & (routes == route) & (who == label))
        system = System(agent, label, consult=route == str(Route.CONSULT))
        part, found = batch.take(rows), ranking.take(rows)
        limited = limited.put(rows, rank_within(part, found, limits, system))
    changed = answered & find_changed(batch, ranking, limited, limits, cutoff)
    return without_certainty(replace(outcome, ranking=limited), changed), changed


@dataclass(frozen=True)
class System:
    """Who answers a group of queries.

    Attributes:
        agent: whose policy or delegate it is.
        label: of the delegate, "" for the policy.
        consult: whether the policy has the delegates' answers in view.
        listed: how the policy ranks listed candidates, where it is not as usual.
    """

    agent: Agent
    label: str = ""
    consult: bool = False
    listed: RankListed | None = None

    def rank_listed(self, batch: QueryBatch) -> Ranking:
        """Rank the candidates of the batch."""
        if self.listed is not None:
            return self.listed(batch)
        seen = self.agent.observe(batch)
        if self.label:
            return self.agent.delegate(self.label, batch, seen)
        answer = (self.agent.consult if self.consult else self.agent.deliberate)(batch, seen)
        assert answer.ranking is not None
        return answer.ranking

    def rank_allowed(self, batch: QueryBatch, allowed: Bool) -> Ranking:
        """The best of all allowed items that are not in the history."""
        if self.label:
            named = self.agent.delegates[self.label]
            part: Delegate[object] = named.part  # type: ignore[type-var]
            with self.agent.registry.guard(Kind.DELEGATE, named.name, "score"):
                scores = check_scores(part.score(batch, self.agent.observe(batch)), batch, self.agent.n_items)
                scores[:, ~allowed] = -np.inf
                return check_ranking(rank(scores, batch), batch, self.agent.n_items)
        listed = np.flatnonzero(allowed).astype(np.int32)
        found = pad_ranking(len(batch), batch.k)
        for start, piece in batch.chunks(max(1, CELLS // max(len(listed), 1))):
            rows = np.arange(start, start + len(piece))
            candidates = list_unseen(piece, listed)
            found = found.put(rows, self.rank_listed(replace(piece, task=Task.DIRECT, candidates=candidates)))
        return found


def rank_within(batch: QueryBatch, found: Ranking, limits: Limits, system: System) -> Ranking:
    """The best ``batch.k`` items within the limits.

    Args:
        batch: B queries over the whole catalogue.
        found: what the system recommends without limits, not fewer items than are wanted.
        limits: of all queries.
        system: whose answer it is.
    """
    ranking = keep_allowed(found, limits.allowed, batch.k)
    if limits.allowed is not None and found.items.shape[1] < len(limits.allowed):
        there = (ranking.items >= 0).sum(axis=1)
        short = np.flatnonzero(there < np.minimum(batch.k, count_unseen(batch, limits.allowed)))
        if len(short):
            ranking = ranking.put(short, system.rank_allowed(batch.take(short), limits.allowed))
    return rank_with_seen(batch, ranking, limits.allowed, system) if limits.include_seen else ranking


def keep_allowed(ranking: Ranking, allowed: Bool | None, k: int) -> Ranking:
    """The first ``k`` allowed items of each row, padded to ``k`` columns."""
    items, scores = ranking.items, ranking.scores
    if items.shape[1] < k:
        more = ((0, 0), (0, k - items.shape[1]))
        items, scores = np.pad(items, more, constant_values=-1), np.pad(scores, more, constant_values=-np.inf)
    if allowed is None:
        return Ranking(items, scores).head(k)
    good = (items >= 0) & allowed[items]
    order = np.argsort(~good, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(good, order, axis=1)
    items = np.where(kept, np.take_along_axis(items, order, axis=1), np.int32(-1))
    return Ranking(items, np.where(kept, np.take_along_axis(scores, order, axis=1), np.float32(-np.inf)))


def count_unseen(batch: QueryBatch, allowed: Bool) -> npt.NDArray[np.int64]:
    """int64[B]: allowed items that are not in each query's history."""
    rows, _ = _unique_seen(batch, allowed)
    return int(allowed.sum()) - np.bincount(rows, minlength=len(batch))


def list_unseen(batch: QueryBatch, listed: Int32) -> Int32:
    """int32[B, C]: the listed items (ascending), -1 where one is in the query's history."""
    candidates = np.tile(listed, (len(batch), 1))
    if len(listed):
        place = np.minimum(np.searchsorted(listed, batch.history.items), len(listed) - 1)
        seen = listed[place] == batch.history.items
        candidates[batch.history.rows[seen], place[seen]] = -1
    return candidates


def rank_with_seen(batch: QueryBatch, ranking: Ranking, allowed: Bool | None, system: System) -> Ranking:
    """The ranking with the allowed items of the histories, each once, ranked among its own."""
    n_items = system.agent.n_items
    rows, items = _unique_seen(batch, np.ones(n_items, np.bool_) if allowed is None else allowed)
    counts = np.bincount(rows, minlength=len(batch))
    some = np.flatnonzero(counts)
    if not len(some):
        return ranking
    seen = np.full((len(batch), int(counts.max())), -1, np.int32)
    seen[rows, np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]] = items
    candidates = np.concatenate([ranking.items, seen], axis=1)[some]
    listed = replace(batch.take(some), task=Task.DIRECT, candidates=candidates)
    return ranking.put(some, keep_allowed(system.rank_listed(listed), None, batch.k))


def find_changed(batch: QueryBatch, before: Ranking, after: Ranking, limits: Limits, cutoff: int) -> Bool:
    """bool[B]: whether other items are the first ``cutoff`` within the limits than without."""
    first = before.items[:, :cutoff]
    shown = min(first.shape[1], after.items.shape[1])
    changed = (np.sort(first[:, :shown], axis=1) != np.sort(after.items[:, :shown], axis=1)).any(axis=1)
    if limits.allowed is not None:
        changed |= ((first >= 0) & ~limits.allowed[first]).any(axis=1)
    if limits.include_seen:
        changed |= batch.history.lengths > 0
    return np.asarray(changed, np.bool_)


def pad_ranking(rows: int, k: int) -> Ranking:
    """Padding alone."""
    return Ranking(np.full((rows, k), -1, np.int32), np.full((rows, k), -np.inf, np.float32))


def _look_deeper(k: int, limits: Limits, n_items: int, cutoff: int) -> int:
    blocked = 0 if limits.allowed is None else n_items - int(limits.allowed.sum())
    return min(n_items, max(k + min(blocked, SPARE), cutoff))


def _unique_seen(batch: QueryBatch, allowed: Bool) -> tuple[npt.NDArray[np.int64], Int32]:
    """Query and item of every allowed item in a history, each once, query after query."""
    flat = batch.history.rows.astype(np.int64) * len(allowed) + batch.history.items
    flat = np.unique(flat[allowed[batch.history.items]])
    return flat // len(allowed), (flat % len(allowed)).astype(np.int32)


def without_certainty(outcome: Outcome, rows: Bool) -> Outcome:
    """The same, with NaN for what was calibrated on other answers than those of ``rows``."""
    if not rows.any():
        return outcome

    def blank(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.where(rows, np.float32(np.nan), values)

    made = outcome.decisions
    assigned = made.assigned and replace(made.assigned, estimate_risk=lambda: blank(made.risk))
    decided = replace(made, assigned=assigned, confidence=blank(made.confidence))
    return replace(outcome, decisions=decided, uncertainty={n: blank(v) for n, v in outcome.uncertainty.items()})

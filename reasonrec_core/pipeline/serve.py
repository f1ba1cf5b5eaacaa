"""Answering requests from a finished run: raw ids in, raw ids, titles, reasons and confidence out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.components import Delegate, Kind, Reporter, RequestWatcher, UncertaintyEstimator
from reasonrec_core.config import TRACE, PipelineConfig, load_config
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.pipeline.act import Outcome
from reasonrec_core.pipeline.agent import POPULARITY, Agent, Named
from reasonrec_core.pipeline.interactive import EditedPolicy, read_edits
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.pipeline.serving_catalog import ServingCatalog
from reasonrec_core.registry import Registry
from reasonrec_core.routing import read_router
from reasonrec_core.types import History, QueryBatch, Ranking, Route, Step, Task


@dataclass(frozen=True)
class Recommended:
    """One recommended item."""

    id: str
    title: str
    score: float


@dataclass(frozen=True)
class Edited:
    """What was edited in the steps, and what that changed against the policy's own answer.

    Attributes:
        assumed: item field -> label that was taken for granted.
        ignored: items of the history that did not count, as (id, title).
        entered: items of the answer that are not in the policy's own answer, best first.
        left: items of the policy's own answer that are no longer in it, best first.
    """

    assumed: dict[str, str]
    ignored: tuple[tuple[str, str], ...]
    entered: tuple[Recommended, ...]
    left: tuple[Recommended, ...]


@dataclass(frozen=True)
class Answer:
    """The answer to one request.

    Attributes:
        items: best first.
        history: what the answer rests on, oldest first, as (id, title).
        unknown: how many history items do not exist in the catalogue and were skipped.
        route: "self", "replace", "consult" or "abstain".
        by: the policy or delegate that answered; empty where no answer is given.
        reason: why that one, in words.
        confidence: calibrated P(the target is among the first ``cutoff`` items), or None without a router.
        risk: calibrated P(the policy would have been worse than the delegate), or None.
        uncertainty: per estimator, those that were needed.
        steps: of the policy; empty where a delegate answered, and where no answer is given.
        seconds: of the request.
        attempts: what went wrong with the delegates that were asked and did not answer, in turn.
        edited: what was edited, None where nothing was. An edited request is answered by the policy itself, and
            confidence, risk and uncertainty are not stated: they were calibrated on answers without edits.
    """

    items: tuple[Recommended, ...]
    history: tuple[tuple[str, str], ...]
    unknown: int
    route: str
    by: str
    reason: str
    confidence: float | None
    cutoff: int
    risk: float | None
    uncertainty: dict[str, float]
    steps: tuple[Step, ...]
    seconds: float
    edited: Edited | None = None
    attempts: tuple[str, ...] = ()


class Recommender:
    """A finished run, ready to answer.

    Args:
        run: its folder.
        config: its settings.
        dataset: what it answers from.
        agent: who answers.
        on_answer: is told of every request that was answered without edits.
    """

    def __init__(
        self,
        run: RunFolder,
        config: PipelineConfig,
        dataset: Dataset,
        agent: Agent,
        on_answer: RequestWatcher | None = None,
    ) -> None:
        self.run, self.config, self.dataset, self.agent, self.on_answer = run, config, dataset, agent, on_answer

    @classmethod
    def open(cls, path: Path, registry: Registry | None = None, *, trace: bool | None = None) -> Recommender:
        """Load what a run has fitted; no encoder is loaded, item features are memory-mapped.

        The catalogue is that of the fit, longer by what was imported into the run since (`new_items.add_items`).

        Args:
            path: the run folder.
            registry: where components are found.
            trace: whether requests leave a trace (`Reporter.watch`); as the run's settings say if None.

        Raises:
            ConfigError: a trace is wanted, and reasonrec-trace is not installed or cannot write it.
        """
        served, registry = ServingCatalog.open(path), registry or Registry.discover()
        agent = load_agent(served, registry)
        service = cls(served.run, load_config(path / "config.toml"), served.dataset, agent)
        settings = service.config.trace_settings | ({} if trace is None else {"requests": trace})
        if settings.get("requests"):  # else the reporter, which takes long to import, is not even loaded
            reporter: Reporter[Any] = registry.create(Kind.REPORTER, TRACE, settings, where=TRACE)
            with registry.guard(Kind.REPORTER, TRACE, "watch"):
                service.on_answer = reporter.watch(service)
        return service

    @cached_property
    def task(self) -> Task:
        """The task that the run was made for."""
        return self.config.tasks[0]

    def recommend(
        self,
        *,
        user: str | None = None,
        history: Sequence[str] | None = None,
        candidates: Sequence[str] | None = None,
        k: int = 10,
        task: Task | None = None,
        assume: Mapping[str, str] | None = None,
        ignore: Sequence[str] = (),
    ) -> Answer:
        """Answer one request; with ``assume`` or ``ignore`` from the policy's edited steps, without routing.

        Args:
            user: raw id of a known user, whose whole log is the history.
            history: raw item ids, oldest first; unknown ones are skipped and counted.
            candidates: raw item ids to rank, for `Task.DIRECT`.
            k: how many items are wanted.
            task: sequential unless candidates are given.
            assume: item field -> label that the next item is taken to have.
            ignore: raw ids of items of the history that shall not count as evidence.

        Raises:
            ConfigError: the request contradicts itself, or the policy cannot be edited so.
            DataError: an unknown user or candidate, or an ignored item that is not in the history.
        """
        if (user is None) == (history is None):
            raise ConfigError("give either a user or a history", where="recommend")
        if k < 1:
            raise ConfigError(f"k is at least 1 (given: {k})", where="recommend")
        task = task or (Task.DIRECT if candidates is not None else Task.SEQUENTIAL)
        if not task.ranks:
            raise ConfigError(f"the task {task} asks for no ranking", where="--task", fix="Use sequential or direct.")
        if (task is Task.DIRECT) != (candidates is not None):
            raise ConfigError("direct ranks given candidates, sequential the whole catalogue", where="--task")
        batch = self._batch(user, history, candidates, k, task)
        if assume or ignore:
            return self._edited(batch, assume or {}, ignore)
        outcome = self.agent.act(batch)
        if self.on_answer is not None:
            self.on_answer(batch, outcome, user)
        return self._answer(batch, outcome)

    def _edited(self, batch: QueryBatch, assume: Mapping[str, str], ignore: Sequence[str]) -> Answer:
        catalog, policy = self.dataset.catalog, EditedPolicy.of(self.agent)
        edits = read_edits(policy, batch, catalog, assume, ignore)
        wide = replace(batch, k=max(batch.k, self.agent.width))
        begin = time.perf_counter()
        answer = policy.deliberate(wide, edits)
        seconds = time.perf_counter() - begin
        before, after = (self._items(a.ranking, batch.k) for a in (policy.deliberate(wide), answer))
        ids = [{item.id for item in items} for items in (before, after)]
        ignored = [i for i in dict.fromkeys(batch.history.row(0).tolist()) if catalog.ids[i] in set(ignore)]
        assert self.agent.policy is not None
        return Answer(
            items=after,
            history=tuple((catalog.ids[i], catalog.titles[i]) for i in batch.history.row(0).tolist()),
            unknown=batch.history.skipped,
            route="self",
            by=self.agent.policy.label,
            reason="its steps were edited, so the policy itself answers",
            confidence=None,
            cutoff=max(self.config.evaluate.k),
            risk=None,
            uncertainty={},
            steps=tuple(answer.steps[0]),
            seconds=seconds,
            edited=Edited(
                {name: policy.labels[name][int(label[0])] for name, label in edits.assume.items()},
                tuple((catalog.ids[i], catalog.titles[i]) for i in ignored),
                tuple(item for item in after if item.id not in ids[0]),
                tuple(item for item in before if item.id not in ids[1]),
            ),
        )

    def _items(self, ranking: Ranking | None, k: int) -> tuple[Recommended, ...]:
        assert ranking is not None
        catalog = self.dataset.catalog
        row = zip(ranking.items[0, :k].tolist(), ranking.scores[0, :k].tolist(), strict=True)
        return tuple(Recommended(catalog.ids[i], catalog.titles[i], s) for i, s in row if i >= 0)

    def _batch(
        self, user: str | None, history: Sequence[str] | None, candidates: Sequence[str] | None, k: int, task: Task
    ) -> QueryBatch:
        catalog, index = self.dataset.catalog, -1
        if user is not None:
            if user not in self.dataset.user_index:
                raise DataError(f"unknown user {user!r}", where="--user", fix="Give what they did: --history a,b,c.")
            index = self.dataset.user_index[user]
            log = self.dataset.interactions
            low, high = np.searchsorted(log.users, [index, index + 1])
            past = History(np.array([0, high - low]), log.items[low:high], log.times[low:high])
        else:
            found, skipped = catalog.known(list(history or ()))
            past = History.of([found.tolist()], skipped=skipped)
        listed = None
        if candidates is not None:
            listed = np.array([[catalog.find(c) for c in candidates]], np.int32)
        return QueryBatch(task, np.array([index], np.int32), past, k, listed)

    def _answer(self, batch: QueryBatch, outcome: Outcome) -> Answer:
        catalog = self.dataset.catalog
        decided = outcome.decisions
        route = Route(decided.route[0])
        mine = outcome.deliberation is not None and route in (Route.SELF, Route.CONSULT)
        steps = outcome.deliberation.steps[0] if outcome.deliberation is not None and mine else ()
        past = batch.history.row(0).tolist()
        by = decided.who[0] or (self.agent.policy.label if self.agent.policy else "")
        return Answer(
            items=self._items(outcome.ranking, batch.k),
            history=tuple((catalog.ids[i], catalog.titles[i]) for i in past),
            unknown=batch.history.skipped,
            route=str(route),
            by="" if route is Route.ABSTAIN else by,
            reason=decided.reason[0],
            confidence=_number(decided.confidence[0]),
            cutoff=max(self.config.evaluate.k),
            risk=_number(decided.risk[0]),
            uncertainty={
                n: float(v[0])
                for n, v in outcome.uncertainty.items()
                if n in self.agent.estimators and not np.isnan(v[0])
            },
            steps=tuple(steps),
            seconds=outcome.seconds,
            attempts=outcome.attempts.get(0, ()),
        )


def load_agent(served: ServingCatalog, registry: Registry) -> Agent:
    """Load every fitted component and the routers of a run."""
    state, catalog = served.state, served.dataset.catalog

    def load(kind: Kind, label: str, name: str) -> Named:
        stage = f"{kind}-{label}"
        identity = state["stages"][stage]
        folder = served.run.require_whole(stage, identity) / "component"
        with registry.guard(kind, name, "load"):
            part = registry.load(kind, name).load(folder, catalog)
            if isinstance(part, Delegate | UncertaintyEstimator) and policy is not None:
                part.attach(policy.part)
        return Named(label, name, part, identity)

    policy: Named | None = None
    popularity = served.run.path / "stages" / "agent" / POPULARITY
    policy = load(Kind.POLICY, *state["policy"]) if state["policy"] else None
    return Agent(
        registry,
        len(catalog),
        int(state["width"]),
        served.items(),
        EvidenceHorizonScale.from_dict(state["horizon"]),
        {label: load(Kind.DELEGATE, label, name) for label, name in state["delegates"]},
        policy,
        {label: load(Kind.UNCERTAINTY, label, name) for label, name in state["estimators"]},
        {Task(task): read_router(each, registry) for task, each in state["routers"].items()},
        np.load(popularity, allow_pickle=False) if popularity.is_file() else None,
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

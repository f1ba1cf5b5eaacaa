"""The trace of requests that are answered from a finished run."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reasonrec_core.errors import DataError
from reasonrec_core.types import QueryBatch, Route, Task
from reasonrec_trace.config import TraceConfig
from reasonrec_trace.header import make_header
from reasonrec_trace.pseudonyms import make_hasher
from reasonrec_trace.request_log import RequestLog
from reasonrec_trace.schema import WORDS, RankedAnswer, TraceRecord, UncertaintyValue

if TYPE_CHECKING:
    from reasonrec_core.config import PipelineConfig
    from reasonrec_core.data.dataset import Dataset
    from reasonrec_core.pipeline import Agent, Outcome

LOG = logging.getLogger("reasonrec.trace")


class RequestTrace:
    """Writes what was decided about single requests, a file per task; a service goes on where that fails.

    Args:
        folder: where ``requests-TASK.jsonl`` lie.
        run: its settings.
        config: what is written.
        dataset: what it answers from.
        agent: who answers.
    """

    def __init__(self, folder: Path, run: PipelineConfig, config: TraceConfig, dataset: Dataset, agent: Agent) -> None:
        self.folder, self.run, self.config, self.dataset, self.agent = folder, run, config, dataset, agent
        self._hasher = make_hasher(config)
        self._logs: dict[Task, RequestLog] = {}

    def __call__(self, batch: QueryBatch, outcome: Outcome, user: str | None, *, words: str | None = None) -> None:
        """Append the decision about a batch of one; what cannot be written is a warning.

        Words are what a person wrote: where users or items are hashed, they are left out.
        """
        log = self._logs.get(batch.task)
        if log is None:
            path = self.folder / f"requests-{batch.task}.jsonl"
            head = make_header(self.agent, self.run, self.config, batch.task, self.dataset, "")
            log = RequestLog(path, head, self._hasher, rows=self.config.rows, files=self.config.files)
            self._logs[batch.task] = log
        try:
            record = self._record(batch, outcome, user)
            if words is not None:
                said = "" if self._hasher.hashed else f" (“{words}”)"
                record = replace(record, part=WORDS, reason=f"{record.reason}{said}")
            log.write(record)
        except DataError as error:
            LOG.warning("the request was answered, but its trace could not be written: %s", error)

    def _record(self, batch: QueryBatch, outcome: Outcome, user: str | None) -> TraceRecord:
        ids, route = self.dataset.catalog.ids, Route(outcome.decisions.route[0])
        past, listed = batch.history.row(0).tolist(), outcome.ranking.items[0] >= 0
        given = RankedAnswer(
            tuple(ids[i] for i in outcome.ranking.items[0][listed].tolist()),
            tuple(outcome.ranking.scores[0][listed].tolist()),
        )
        thought = outcome.deliberation if len(outcome.deliberated) else None
        by = outcome.decisions.who[0] or None
        system = by or (self.agent.policy.label if self.agent.policy and route is Route.SELF else None)
        known = {name: float(value[0]) for name, value in outcome.uncertainty.items() if np.isfinite(value[0])}
        spent = thought.cost.tokens if thought else 0
        return TraceRecord(
            query=0,
            user=user,
            task=str(batch.task),
            history=tuple(ids[i] for i in past[max(len(past) - self.config.history, 0) :]),
            targets=(),
            route=str(route),
            reason=outcome.decisions.reason[0],
            risk=_number(outcome.decisions.risk[0]),
            confidence=_number(outcome.decisions.confidence[0]),
            uncertainty={name: UncertaintyValue(value) for name, value in known.items()},
            delegate=by,
            ranking=given.items,
            scores=given.scores,
            answers={system: given} if system and route is not Route.ABSTAIN else {},
            steps=thought.steps[0] if thought and route in (Route.SELF, Route.CONSULT) else (),
            latency=outcome.seconds,
            tokens=spent,
            policy_tokens=spent if thought else None,
            key=int(batch.users[0]),
            history_length=len(past),
            candidates=() if batch.candidates is None else tuple(ids[i] for i in batch.candidates[0].tolist()),
        )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

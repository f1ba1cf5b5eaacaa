"""Click probabilities as a policy's answers: from rankings where those were tuned, else as the model says yes or no."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from reasonrec_core.ranking import percentile_rank
from reasonrec_core.types import (
    Cost,
    Deliberation,
    Float32,
    Int64,
    LazySteps,
    Observation,
    QueryBatch,
    Step,
    Task,
)
from reasonrec_cot import steps
from reasonrec_cot.answers.score_sources import HEAD, YES
from reasonrec_cot.engine import Engine
from reasonrec_cot.items.similar_users import SimilarUsers

YES_NO = 'the probability of "yes" against "no"'


class DelegateRanks(Protocol):
    """Delegates that are weighed beside the model."""

    def rank_percentiles(self, batch: QueryBatch, observation: Observation) -> Mapping[str, Float32]:
        """Per delegate float32[B, C]: where each candidate stands among its scores of the whole catalogue."""
        ...


def answer_clicks(
    engine: Engine,
    batch: QueryBatch,
    observation: Observation,
    sources: DelegateRanks | None,
    generator: str,
    started: float,
    similar: SimilarUsers | None = None,
) -> Deliberation:
    """P(click) of each candidate of ``batch`` (int32[B, C], -1 pads).

    Args:
        engine: asks the model.
        batch: B queries.
        observation: what may be looked at.
        sources: the delegates; None where the policy was fitted for labelled clicks alone.
        generator: name of the delegate that proposes candidates.
        started: when the answer was begun (`time.perf_counter`).
        similar: finds users with similar choices, where they are weighed.
    """
    assert batch.candidates is not None
    decision, depths = None if engine.decision is None else engine.decision.clicks, None
    thoughts: Sequence[Mapping[str, str]] = [{}] * len(batch)
    if engine.config.answer == "head" and decision is not None and sources is not None:
        reasoned = engine.rank(replace(batch, task=Task.SEQUENTIAL, candidates=None))
        said = {HEAD: percentile_rank(reasoned.answer.scores, batch), **sources.rank_percentiles(batch, observation)}
        chance = np.where(batch.candidates >= 0, decision(said, observation.horizon), np.float32(0))
        thoughts, tokens, how = reasoned.thoughts, reasoned.usage.tokens, decision.describe(generator)
    else:
        chance, usage, depths = engine.score_clicks(batch)
        tokens, how = usage.tokens, YES_NO
        if engine.exits and engine.exit is not None:
            decision = engine.exit.decision
        if decision is not None and engine.counts is not None:
            said = {YES: np.clip(chance, 1e-6, 1 - 1e-6), **engine.counts.look_up(batch.candidates)}
            said |= {} if similar is None else similar.look_up(batch, observation)
            chance = np.where(batch.candidates >= 0, decision(said, observation.horizon), np.float32(0))
            how = decision.describe(generator)
    sure = np.where(batch.candidates >= 0, np.maximum(chance, 1 - chance), 0.0).max(axis=1, initial=0.0)

    def make_steps(row: int) -> tuple[Step, ...]:
        assert batch.candidates is not None
        listed = [int(item) for item in batch.candidates[row] if item >= 0]
        named = engine.items.title(listed[0]) if listed else "nothing"
        likely = float(chance[row, 0]) if listed else 0.0
        compared = how if depths is None else f"{how}; {describe_depths(depths[row], engine.local.layers)}"
        return (
            steps.observe_history(
                engine.items, batch.history.row(row), engine.config.prompt.history, dict(thoughts[row])
            ),
            *steps.add_deliberation(dict(thoughts[row])),
            steps.list_proposed(engine.items, listed, "Asked about"),
            steps.compare_items(engine.items, [], compared),
            steps.state_decision(f"A click on {named}", likely, None, False),
        )

    cost = Cost(time.perf_counter() - started, tokens)
    return Deliberation(
        LazySteps(len(batch), make_steps), sure.astype(np.float32), probability=chance.astype(np.float32), cost=cost
    )


def describe_depths(depths: Int64, layers: int) -> str:
    """After how many of the layers int64[C] answers were given (0 pads), in words."""
    read = depths[depths > 0]
    if not len(read):
        return "nothing was read"
    few, most = int(read.min()), int(read.max())
    return f"answered after {few if few == most else f'{few} to {most}'} of {layers} layers"

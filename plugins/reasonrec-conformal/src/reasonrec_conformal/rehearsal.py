"""How much coverage is lost from one step to the next, rehearsed one step earlier where the next answer is known.

Under leave-one-out the limits are fitted to each user's step after training and used on the step after that. Steps are
not exchangeable: what is left to choose gets rarer, and the counts get older. The same pair of steps one earlier is
known: a model of transitions that never saw the last training step is fitted, its sets are calibrated on that step, and
the validation step shows what they had to be calibrated at to hold their promise. That level, in place of the
promised one, is carried over to the policy: models differ in their scores, the loss in quantiles is taken to be alike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from reasonrec_transitions.api import Transitions, TransitionsConfig

from reasonrec_conformal.scores import ConformalScore, ScoreLadder
from reasonrec_core.components import FitData
from reasonrec_core.data.cases import drop_unreachable, make_user_cases
from reasonrec_core.types import Cases, Float64

CELLS = 1 << 20
LEAST = np.float32(1e-12)
FEWEST = 100
"""Queries of each step; fewer say nothing about a tail."""


def measure_loss(data: FitData, score: ConformalScore, coverage: float, queries: int) -> float:
    """By how much more than ``coverage`` sets must be calibrated at to keep it a step later; 0 if that cannot be told.

    Never negative: a promise is not lowered because it was once kept with room to spare. 0 unless every validation
    query is the step after all of its user's training interactions.

    Args:
        data: whose ``train`` and ``valid`` are the steps that are rehearsed.
        score: of the sets.
        coverage: promised.
        queries: of each step, at most.
    """
    if data.valid is None or not _next_steps(data, data.valid):
        return 0.0
    train, n_items = data.train, len(data.catalog)
    lengths = np.bincount(train.users, minlength=data.n_users)
    last = np.ones(len(train), np.bool_)
    last[:-1] = train.users[1:] != train.users[:-1]
    last &= lengths[train.users] >= 2
    first, _ = drop_unreachable(
        make_user_cases(train, ~last, last, data.n_users), n_items, repeats="drop", min_history=1
    )
    then = data.valid.take(np.flatnonzero(np.isin(data.valid.queries.users, first.queries.users)))
    if min(len(first), len(then)) < FEWEST:
        return 0.0
    model = Transitions(TransitionsConfig(search=False))
    model.fit(replace(data, train=train.take(~last), valid=None))
    before, after = (_scores(model, data, cases.sample(queries, data.seed), score) for cases in (first, then))
    return max(0.0, float((before <= np.quantile(after, coverage, method="higher")).mean()) - coverage)


def _next_steps(data: FitData, valid: Cases) -> bool:
    users, lengths = valid.queries.users, np.bincount(data.train.users, minlength=data.n_users)
    if not len(users) or valid.queries.candidates is not None or not ((users >= 0) & (users < len(lengths))).all():
        return False
    single = (np.diff(valid.target_indptr) == 1).all()
    return bool(single and (valid.queries.history.lengths == lengths[users]).all())


def _scores(model: Transitions, data: FitData, cases: Cases, score: ConformalScore) -> Float64:
    """float64[B]: what the model's distribution says of the targets."""
    found = [np.zeros(0)]
    for start, piece in cases.queries.chunks(max(1, min(256, CELLS // len(data.catalog)))):
        votes = np.maximum(model.score(piece, data.observation), 0) + LEAST
        votes[piece.history.rows, piece.history.items] = 0
        probability = (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)
        wanted = cases.targets[start : start + len(piece)]
        found.append(ScoreLadder.of(score, probability).scores(probability[np.arange(len(piece)), wanted]))
    return np.concatenate(found)

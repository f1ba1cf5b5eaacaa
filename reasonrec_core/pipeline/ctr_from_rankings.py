"""Click probabilities of systems that only rank, where clicks are drawn beside rankings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.predict import Answers, delegate_answers
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.routing import fit_monotone_platt
from reasonrec_core.types import Bool, Cases, Task


def delegate_clicks(prepared: Prepared, agent: Agent, label: str) -> Answers:
    """A delegate's click probabilities on test: its own, or made from where the items stand among its scores.

    The log-odds of an item's standing (`ranking.percentile_rank`), times a slope, plus a shift (Platt, 1999), both
    fitted on the validation rows: the order of the scores stays as it is (a slope below 0 is not taken), and neither
    their unit nor how many items there are matters.
    """
    test = delegate_answers(prepared, agent, label, Task.CTR, "test")
    if not prepared.config.draws_clicks:
        return test
    valid = delegate_answers(prepared, agent, label, Task.CTR, "valid")
    assert valid.probability is not None
    assert test.probability is not None
    cases = prepared.cases(Task.CTR, "valid")
    assert cases.labels is not None
    shown = _shown(cases)
    chance = fit_monotone_platt(valid.probability[shown].astype(np.float64), cases.labels[shown] > 0)
    made = chance(test.probability.ravel()).reshape(test.probability.shape)
    return replace(test, probability=made.astype(np.float32))


def _shown(cases: Cases) -> Bool:
    assert cases.queries.candidates is not None
    return np.asarray(cases.queries.candidates >= 0, np.bool_)

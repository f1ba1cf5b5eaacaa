"""The reporter ``faithfulness``: whether the policy's steps cause its answers, as a section of a run's results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasonrec_core.components import Empty, Reporter
from reasonrec_core.pipeline import EditedPolicy, EvaluatedRun
from reasonrec_explain.faithfulness import (
    DRAWS,
    LISTED,
    SHORTEST,
    choose_queries,
    measure_effects,
    summarise_effects,
)


class FaithfulnessReporter(Reporter[Empty]):
    """Measures; its numbers stand in ``metrics.json`` (``analyses.faithfulness``), where other reporters find them."""

    def analyse(self, run: EvaluatedRun) -> Mapping[str, Any] | None:
        """The tables of `summarise_effects`, or under ``skipped`` why there are none.

        None without a policy, or where ``evaluate.faithfulness`` is 0. Measured anew only where an answer changed.
        """
        settings, policy, found = run.config.evaluate, run.agent.policy, run.first
        if not settings.faithfulness or policy is None:
            return None
        refusal = EditedPolicy.refusal(run.agent) if found.task.ranks else f"the task {found.task} asks for no ranking"
        if refusal is not None:
            return {"skipped": refusal}
        queries = found.cases.queries
        key = [
            [found.answers[policy.label].digest, settings.faithfulness, settings.resamples, run.config.seed],
            *(each.tobytes() for each in (queries.users, queries.history.items, queries.history.indptr)),
        ]
        return run.keep(f"{run.reporter}-{found.task}", key, lambda: _measure(run, policy.label))


def _measure(run: EvaluatedRun, label: str) -> dict[str, Any]:
    """The section; ``label``: the policy's, whose steps can be edited."""
    settings, queries, seed = run.config.evaluate, run.first.cases.queries, run.config.seed
    rows = choose_queries(queries, settings.faithfulness, seed)
    if not len(rows):
        return {"skipped": f"no test query has {SHORTEST} history entries"}
    effects = measure_effects(
        EditedPolicy.of(run.agent),
        queries.take(rows),
        n_items=run.agent.n_items,
        seed=seed,
        progress=lambda done, total: run.prepared.progress(done, total, f"faithfulness of {label}"),
    )
    facts = {"task": str(run.first.task), "policy": label, "k": LISTED, "draws": DRAWS}
    return facts | summarise_effects(effects, seed=seed, resamples=settings.resamples)

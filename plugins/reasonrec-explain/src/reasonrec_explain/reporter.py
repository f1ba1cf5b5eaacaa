"""The reporter ``faithfulness``: whether what answers rest on by their own words causes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasonrec_core.components import Empty, Reporter
from reasonrec_core.pipeline import EditedPolicy, EvaluatedRun
from reasonrec_explain.delegate_reasons import SAMPLED, measure_delegate, summarise_delegates
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
        """Of the policy's steps the tables of `summarise_effects`, or under ``skipped`` why there are none.

        And under ``delegates`` what removing the reasons of delegates does (`summarise_delegates`). None where
        ``evaluate.faithfulness`` is 0, or there is nobody to ask. Measured anew only where an answer changed.
        """
        if not run.config.evaluate.faithfulness:
            return None
        section = {**self._analyse_policy(run), **self._analyse_delegates(run)}
        return section or None

    def _analyse_delegates(self, run: EvaluatedRun) -> dict[str, Any]:
        """The section ``delegates``; nothing where there are none, or none that ranks."""
        found, settings, labels = run.first, run.config.evaluate, list(run.agent.delegates)
        if not labels or not found.task.ranks:
            return {}
        key = [[found.answers[label].digest for label in labels], settings.faithfulness, settings.resamples]
        made = run.keep(
            f"{run.reporter}-delegates-{found.task}", [*key, run.config.seed], lambda: _measure_delegates(run)
        )
        return made if made["delegates"] else {}

    def _analyse_policy(self, run: EvaluatedRun) -> dict[str, Any]:
        """What holds for the policy's steps; nothing where there is no policy, or it does not rank."""
        settings, policy, found = run.config.evaluate, run.agent.policy, run.first
        if policy is None or not found.task.ranks:
            return {}
        refusal = EditedPolicy.refusal(run.agent)
        if refusal is not None:
            return {"skipped": refusal}
        queries = found.cases.queries
        key = [
            [found.answers[policy.label].digest, settings.faithfulness, settings.resamples, run.config.seed],
            *(each.tobytes() for each in (queries.users, queries.history.items, queries.history.indptr)),
        ]
        return run.keep(f"{run.reporter}-{found.task}", key, lambda: _measure(run, policy.label))


def _measure_delegates(run: EvaluatedRun) -> dict[str, Any]:
    """The rows of `summarise_delegates`."""
    settings, queries, seed = run.config.evaluate, run.first.cases.queries, run.config.seed
    rows = choose_queries(queries, min(settings.faithfulness, SAMPLED), seed)
    if not len(rows):
        return {"delegates": []}
    found = {
        label: measure_delegate(
            run.agent,
            label,
            queries.take(rows),
            seed=seed,
            progress=lambda done, total, label=label: run.prepared.progress(done, total, f"reasons of {label}"),  # type: ignore[misc]
        )
        for label in run.agent.delegates
    }
    return {"delegates": summarise_delegates(found, seed=seed, resamples=settings.resamples)}


def _measure(run: EvaluatedRun, label: str) -> dict[str, Any]:
    """The section; ``label``: the policy's, whose steps can be edited."""
    settings, queries, seed = run.config.evaluate, run.first.cases.queries, run.config.seed
    rows = choose_queries(queries, settings.faithfulness, seed)
    if not len(rows):
        return {"skipped": f"no test request has {SHORTEST} history entries"}
    effects = measure_effects(
        EditedPolicy.of(run.agent),
        queries.take(rows),
        n_items=run.agent.n_items,
        seed=seed,
        progress=lambda done, total: run.prepared.progress(done, total, f"faithfulness of {label}"),
    )
    facts = {"task": str(run.first.task), "policy": label, "k": LISTED, "draws": DRAWS}
    return facts | summarise_effects(effects, seed=seed, resamples=settings.resamples)

"""The reporter ``faithfulness``: whether the policy's steps cause its answers, as a section of a run's results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonrec_core.components import AnalysisInput, Empty, Reporter
from reasonrec_core.evaluate.schema import Results
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

    def analyse(self, asked: AnalysisInput) -> Mapping[str, Any]:
        """The tables of `summarise_effects`, or under ``skipped`` why there are none."""
        rows = choose_queries(asked.queries, asked.n_queries, asked.seed)
        if asked.policy is None:
            return {"skipped": asked.refusal}
        if not len(rows):
            return {"skipped": f"no test query has {SHORTEST} history entries"}
        effects = measure_effects(
            asked.policy,
            asked.queries.take(rows),
            n_items=asked.n_items,
            seed=asked.seed,
            progress=lambda done, total: asked.progress(done, total, f"faithfulness of {asked.label}"),
        )
        facts = {"task": str(asked.task), "policy": asked.label, "k": LISTED, "draws": DRAWS}
        return facts | summarise_effects(effects, seed=asked.seed, resamples=asked.resamples)

    def write(self, results: Results, run_folder: Path, out: Path) -> list[Path]:
        """Nothing: what was measured is in the results already."""
        return []

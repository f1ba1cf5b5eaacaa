"""What reporters measure of the policy beside the metrics (`Reporter.analyse`), kept in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonrec_core.components import AnalysisInput, Reporter
from reasonrec_core.hookspecs import Kind
from reasonrec_core.io import content_hash, read_json, write_json
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.evaluate import Assessed
from reasonrec_core.pipeline.interactive import EditedPolicy
from reasonrec_core.pipeline.prepare import Prepared, hash_source
from reasonrec_core.pipeline.reports import make_reporters

FAITHFULNESS = "faithfulness"


def run_analyses(prepared: Prepared, agent: Agent, found: Assessed) -> dict[str, Mapping[str, Any]]:
    """By reporter what it measured; nothing without a policy, or where ``evaluate.faithfulness`` is 0.

    Raises:
        PluginError: a reporter fails.
    """
    if not prepared.config.evaluate.faithfulness or agent.policy is None:
        return {}
    asked = _analysis_input(prepared, agent, found)
    reporters = [
        (name, reporter)
        for name, reporter in make_reporters(prepared.config.report, prepared.registry)
        if type(reporter).analyse is not Reporter.analyse
    ]
    if FAITHFULNESS not in [name for name, _ in reporters]:
        prepared.run.say(
            "Faithfulness is not measured: it takes the reporter 'faithfulness' of reasonrec-explain "
            "(evaluate.faithfulness = 0 says that it is not wanted)."
        )
    made = {name: _analyse(prepared, name, reporter, asked, found) for name, reporter in reporters}
    return {name: section for name, section in made.items() if section}


def _analysis_input(prepared: Prepared, agent: Agent, found: Assessed) -> AnalysisInput:
    assert agent.policy is not None
    config = prepared.config
    refusal = EditedPolicy.refusal(agent) if found.task.ranks else f"the task {found.task} asks for no ranking"
    return AnalysisInput(
        task=found.task,
        label=agent.policy.label,
        policy=EditedPolicy(agent) if refusal is None else None,
        refusal=refusal,
        queries=found.cases.queries,
        n_items=agent.n_items,
        n_queries=config.evaluate.faithfulness,
        seed=config.seed,
        resamples=config.evaluate.resamples,
        progress=prepared.progress,
    )


def _analyse(
    prepared: Prepared, name: str, reporter: Reporter[Any], asked: AnalysisInput, found: Assessed
) -> Mapping[str, Any]:
    """What one reporter measured; anew only where an answer, a setting or its code changed."""
    plugin, history = prepared.registry.spec(Kind.REPORTER, name), asked.queries.history
    answers = found.answers[asked.label].digest if asked.policy else asked.refusal
    key = content_hash(
        [answers, asked.n_queries, asked.seed, asked.resamples, reporter.config.model_dump(mode="json")],
        [plugin.distribution, plugin.version, hash_source(plugin)],
        *(each.tobytes() for each in (asked.queries.users, history.items, history.indptr)),
    )

    def make(folder: Path) -> None:
        with prepared.registry.guard(Kind.REPORTER, name, "analyse"):
            write_json(folder / "section.json", dict(reporter.analyse(asked) or {}))

    stage = prepared.run.stage(f"{name}-{found.task}", key, make)
    section: Mapping[str, Any] = read_json(stage.folder / "section.json")
    return section

"""Writing the trace of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from reasonrec_core.io import content_hash
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.artifacts import component_versions
from reasonrec_core.pipeline.calibrate_router import goals
from reasonrec_core.pipeline.evaluate import Assessed
from reasonrec_core.pipeline.latency import Latency
from reasonrec_core.pipeline.predict import CHUNK
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.pipeline.trace_export import calibration_rows, click_rows, decisions
from reasonrec_core.routing import feature_names
from reasonrec_core.trace import Hasher, Header, TraceBatch, TraceWriter, make_hasher
from reasonrec_core.types import Task

SUFFIXES = {"parquet": (".parquet",), "jsonl": (".jsonl",), "both": (".parquet", ".jsonl")}
FIRST = "trace"
"""The trace of a run's first task; those of others name their task."""


def write_traces(
    prepared: Prepared, agent: Agent, found: Sequence[Assessed], latency: Latency | None, folder: Path
) -> None:
    """Write a trace per task in the wanted formats; those that an earlier run left otherwise are removed.

    Args:
        prepared, agent: the run.
        found: its tasks; the first one's trace is ``trace``, that of another ``trace-TASK``; explanations have none.
        latency: of requests of the first.
        folder: the run folder.
    """
    found = [each for each in found if each.task is not Task.EXPLAIN]
    wanted = {each.task: FIRST if each is found[0] else f"{FIRST}-{each.task}" for each in found}
    for each in found:
        _write(prepared, agent, each, latency if each is found[0] else None, folder / wanted[each.task])
    kept = {f"{stem}{suffix}" for stem in wanted.values() for suffix in SUFFIXES[prepared.config.trace.format]}
    for stem in (FIRST, *(f"{FIRST}-{task}" for task in Task)):
        for name in {f"{stem}{suffix}" for suffix in SUFFIXES["both"]} - kept:
            (folder / name).unlink(missing_ok=True)


def _write(prepared: Prepared, agent: Agent, found: Assessed, latency: Latency | None, stem: Path) -> None:
    config, hasher = prepared.config.trace, make_hasher(prepared.config.trace)
    users = prepared.dataset.users.column("user_id").to_pylist()
    head, items, total = header(prepared, agent, found), prepared.dataset.catalog.ids, len(found.cases)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                TraceWriter(path, head, item_ids=items, user_ids=users, hasher=hasher, history=config.history)
            )
            for path in (stem.parent / f"{stem.name}{suffix}" for suffix in SUFFIXES[config.format])
        ]
        for batch in _rows(prepared, agent, found, latency, hasher):
            for writer in writers:
                writer.write_batch(batch)
            prepared.progress(min(batch.first + CHUNK, total), total, f"trace {found.task}")


def _rows(
    prepared: Prepared, agent: Agent, found: Assessed, latency: Latency | None, hasher: Hasher
) -> Iterator[TraceBatch]:
    """Decisions, and what another router could be calibrated on; click probabilities, which nobody routes."""
    if found.task is Task.CTR:
        yield from click_rows(prepared, agent, found, hasher)
        return
    yield from decisions(prepared, agent, found, latency, hasher)
    yield from calibration_rows(prepared, agent, found, hasher)


def header(prepared: Prepared, agent: Agent, found: Assessed) -> Header:
    """What holds for the whole trace."""
    router, config = agent.routers.get(found.task), prepared.config
    stages = {label: str(named.part.stage) for label, named in agent.estimators.items()}
    if router is not None:
        stages |= dict.fromkeys(feature_names(tuple(agent.delegates)), "before")
    versions = component_versions(agent, prepared.dataset.hash, prepared.split.hash)
    quality, hit = (None, None) if found.task is Task.CTR else goals(prepared, next(iter(found.scores.values())))
    return Header(
        name=config.name,
        task=found.task,
        policy=agent.policy.label if agent.policy else None,
        delegates=tuple(agent.delegates),
        estimators=stages,
        router=router.to_dict() if router else None,
        quality=quality,
        hit=hit,
        costs=router.report.get("costs") if router else None,
        k=config.evaluate.k,
        batch_seconds={label: a.seconds / max(len(found.cases), 1) for label, a in found.answers.items()},
        seed=config.seed,
        resamples=config.evaluate.resamples,
        config=content_hash(config.model_dump(mode="json")),
        data=prepared.dataset.hash,
        split=prepared.splits[found.task].hash,
        versions={content_hash(versions)[:16]: versions},
    )

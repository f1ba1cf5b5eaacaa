"""Writing the trace of an evaluation."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from reasonrec_core.act import clue_names
from reasonrec_core.files import content_hash
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.assess import Assessed
from reasonrec_core.pipeline.latency import Latency
from reasonrec_core.pipeline.predict import CHUNK
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.pipeline.record import component_versions
from reasonrec_core.pipeline.routing import goals
from reasonrec_core.pipeline.trace_rows import calibration_rows, decisions
from reasonrec_core.trace import Header, TraceWriter, hasher_of

FILES = {"parquet": ("trace.parquet",), "jsonl": ("trace.jsonl",), "both": ("trace.parquet", "trace.jsonl")}


def write_trace(prepared: Prepared, agent: Agent, found: Assessed, latency: Latency | None, folder: Path) -> None:
    """Write the trace in the wanted formats; one of another format that an earlier run left is removed."""
    config, hasher = prepared.config.trace, hasher_of(prepared.config.trace)
    users = prepared.dataset.users.column("user_id").to_pylist()
    head, items, total = header(prepared, agent, found), prepared.dataset.catalog.ids, len(found.cases)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                TraceWriter(folder / name, head, item_ids=items, user_ids=users, hasher=hasher, history=config.history)
            )
            for name in FILES[config.format]
        ]
        decided = decisions(prepared, agent, found, latency, hasher)
        for batch in chain(decided, calibration_rows(prepared, agent, found, hasher)):
            for writer in writers:
                writer.write_batch(batch)
            prepared.progress(min(batch.first + CHUNK, total), total, f"trace {found.task}")
    for name in set(FILES["both"]) - set(FILES[config.format]):
        (folder / name).unlink(missing_ok=True)


def header(prepared: Prepared, agent: Agent, found: Assessed) -> Header:
    """What holds for the whole trace."""
    router, config = agent.routers.get(found.task), prepared.config
    stages = {label: str(named.part.stage) for label, named in agent.estimators.items()}
    if router is not None:
        stages |= dict.fromkeys(clue_names(tuple(agent.delegates)), "before")
    versions = component_versions(prepared, agent)
    quality, hit = goals(prepared, next(iter(found.scores.values())))
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

"""What is said once for a whole trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reasonrec_core import __version__
from reasonrec_core.components import Kind
from reasonrec_core.io import content_hash
from reasonrec_trace.schema import Header

if TYPE_CHECKING:
    from reasonrec_core.config import PipelineConfig
    from reasonrec_core.data.dataset import Dataset
    from reasonrec_core.pipeline import Agent
    from reasonrec_core.types import Task
    from reasonrec_trace.config import TraceConfig


def make_header(
    agent: Agent, config: PipelineConfig, trace: TraceConfig, task: Task, dataset: Dataset, division: str, **more: Any
) -> Header:
    """What holds for a whole trace; ``division`` is the hash of the split that decisions depend on, "" for none."""
    router = agent.routers.get(task)
    stages = {label: str(named.part.stage) for label, named in agent.estimators.items()}
    if router is not None:
        stages |= {name: "before" for each in agent.looks_at for name in each.names(tuple(agent.delegates))}
    versions = list_versions(agent, dataset.hash, division)
    settings = {**config.model_dump(mode="json"), "trace": trace.model_dump(mode="json")}
    return Header(
        name=config.name,
        task=task,
        policy=agent.policy.label if agent.policy else None,
        delegates=tuple(agent.delegates),
        estimators=stages,
        router=router.to_dict() if router else None,
        costs=router.report.get("costs") if router else None,
        k=config.evaluate.k,
        seed=config.seed,
        resamples=config.evaluate.resamples,
        config=content_hash(settings),
        data=dataset.hash,
        versions={content_hash(versions)[:16]: versions},
        **more,
    )


def list_versions(agent: Agent, dataset: str, split: str) -> dict[str, str]:
    """Owner and version of every component, and the hashes of the data and the split: what a decision depends on."""
    found = {"reasonrec": __version__, "dataset": dataset, "split": split, "models": agent.models}
    kinds = [(Kind.POLICY, agent.policy)] if agent.policy else []
    kinds += [(Kind.DELEGATE, named) for named in agent.delegates.values()]
    kinds += [(Kind.UNCERTAINTY, named) for named in agent.estimators.values()]
    for kind, named in kinds:
        owner = agent.registry.spec(kind, named.name)
        found[f"{kind}:{named.label}"] = f"{named.name} of {owner.distribution} {owner.version}"
    return found

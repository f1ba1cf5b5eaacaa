"""What a page says of a run: name, policy, date, protocol, how well it did, what can be assumed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reasonrec_core import __version__
from reasonrec_core.components import Kind
from reasonrec_core.errors import ReasonRecError
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.pipeline import EditedPolicy
from reasonrec_serve.recommender import Recommender

SHARED = 2
"""Items that have a value of a field, on average: below this its values are texts of single items."""
LABELS = 50
"""Labels of a field that are listed; GET /v1/labels finds the others."""


def describe_run(run: Recommender) -> dict[str, Any]:
    """JSON values; ``metrics`` is None where the run was not evaluated."""
    dataset, agent, path = run.dataset, run.agent, run.run.path
    labels = find_labels(run)
    return {
        "name": run.config.name,
        "version": __version__,
        "fitted": _date(path / "stages" / "agent" / "stage.json"),
        "task": str(run.task),
        "policy": agent.policy.label if agent.policy else None,
        "delegates": list(agent.delegates),
        "systems": [
            {
                "label": each.label,
                "policy": kind is Kind.POLICY,
                "summary": agent.registry.spec(kind, each.name).spec.summary,
            }
            for kind in (Kind.POLICY, Kind.DELEGATE)
            for found, each in agent.parts
            if found is kind
        ],
        "models": agent.models,
        "router": {str(task): router.config.model_dump(mode="json") for task, router in agent.routers.items()},
        "cutoff": max(run.config.evaluate.k),
        "dataset": {
            "name": dataset.name,
            "users": dataset.n_users,
            "items": dataset.n_items,
            "interactions": len(dataset),
            "pictures": bool(dataset.catalog.has_image.any()),
        },
        "reads_words": run.text_queries.find_label(),
        "editable": EditedPolicy.refusal(agent) is None,
        "fields": [
            {"field": field, "labels": list(names[:LABELS]), "count": len(names)} for field, names in labels.items()
        ],
        "filters": [{"field": name, "kind": run.item_filter.kind(name)} for name in find_filters(run)],
        "results": _read_results(run),
    }


def find_labels(run: Recommender) -> dict[str, tuple[str, ...]]:
    """What can be assumed, by item field; nothing where steps cannot be edited."""
    return dict(EditedPolicy.of(run.agent).labels) if EditedPolicy.refusal(run.agent) is None else {}


def find_filters(run: Recommender) -> tuple[str, ...]:
    """Item fields that a person can set a condition on: numbers, times, and values that items share (not titles)."""
    kept = []
    for name in run.dataset.catalog.fields:
        values = run.item_filter.values(name) if run.item_filter.kind(name) == "text" else {}
        if run.item_filter.kind(name) != "text" or sum(values.values()) >= SHARED * max(len(values), 1):
            kept.append(name)
    return tuple(kept)


def _read_results(run: Recommender) -> dict[str, Any] | None:
    """Protocol and metrics of every system, as they were measured."""
    path = run.run.path / "metrics.json"
    try:
        results = Results.read(run.run.path) if path.is_file() else None
    except ReasonRecError:
        return None
    if results is None:
        return None
    return {
        "protocol": results.protocol,
        "measured": _date(path),
        "systems": {
            name: {metric: value.model_dump() for metric, value in each.items()}
            for name, each in results.systems.items()
        },
        "metrics": {name: facts.model_dump() for name, facts in results.metrics.items()},
    }


def _date(path: Any) -> str | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except OSError:
        return None

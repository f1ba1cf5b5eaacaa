"""Fitting: every component once, kept in the run folder, reused while nothing that it depends on changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonrec_core.components import Component, Delegate, Kind
from reasonrec_core.config import ComponentConfig
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.files import content_hash
from reasonrec_core.pipeline.agent import Agent, Named
from reasonrec_core.pipeline.prepare import Prepared


def fit_all(prepared: Prepared) -> tuple[Agent, dict[str, float]]:
    """Fit (or load) delegates, policy and estimators.

    Returns:
        The agent, still without routers, and the seconds each fit took (when it was really fitted).
    """
    config, seconds = prepared.config, dict[str, float]()
    check_tasks(prepared)
    delegates = {each.label: _fitted(prepared, Kind.DELEGATE, each, seconds) for each in config.delegates}
    policy = _fitted(prepared, Kind.POLICY, config.policy, seconds) if config.policy else None
    estimators = {each.label: _fitted(prepared, Kind.UNCERTAINTY, each, seconds) for each in config.estimators}
    agent = Agent(
        prepared.registry,
        len(prepared.dataset.catalog),
        max(config.evaluate.k) + 1,
        prepared.items,
        prepared.horizon,
        delegates,
        policy,
        estimators,
    )
    return agent, seconds


def check_tasks(prepared: Prepared) -> None:
    """Refuse a component that cannot do what the pipeline asks, before anything is fitted."""
    config = prepared.config
    wanted = {str(task) for task in config.tasks}
    for kind, each in _all(config.policy, config.delegates):
        offered = set(prepared.registry.spec(kind, each.name).spec.tasks)
        missing = sorted(wanted - offered)
        if offered and missing:
            raise ConfigError(
                f"{kind} {each.name!r} cannot do the task {missing[0]!r}",
                where="evaluate.tasks",
                fix=f"It does: {', '.join(sorted(offered))}.",
            )


def fresh(prepared: Prepared, kind: Kind, each: ComponentConfig) -> Component[Any]:
    """An unfitted component with the pipeline's settings."""
    return prepared.registry.create(kind, each.name, each.settings, where=f"{kind} {each.label}")


def _fitted(prepared: Prepared, kind: Kind, each: ComponentConfig, seconds: dict[str, float]) -> Named:
    registry, plugin = prepared.registry, prepared.registry.spec(kind, each.name)
    component = fresh(prepared, kind, each)
    settings = component.config.model_dump(mode="json")
    key = content_hash(
        prepared.key, kind, each.name, settings, plugin.distribution, plugin.version, prepared.config.seed
    )
    used: dict[str, str] = {}

    def delegate(label: str) -> Delegate[Any]:
        other = _delegate_config(prepared, label)
        used[label] = _identity(prepared, other)
        return fresh(prepared, Kind.DELEGATE, other)  # type: ignore[return-value]

    def make(folder: Path) -> Mapping[str, Any]:
        with registry.guard(kind, each.name, "fit"):
            component.fit(prepared.fit_data(f"{kind}-{each.label}", delegate=delegate))
        with registry.guard(kind, each.name, "save"):
            (folder / "component").mkdir()
            component.save(folder / "component")
        return {"uses": used}

    def unchanged(notes: Mapping[str, Any]) -> bool:
        labels = {d.label for d in prepared.config.delegates}
        uses: Mapping[str, str] = notes.get("uses", {})
        return all(u in labels and _identity(prepared, _delegate_config(prepared, u)) == i for u, i in uses.items())

    prepared.progress(0, 1, f"fit {each.label}")
    stage = prepared.run.stage(f"{kind}-{each.label}", key, make, still_good=unchanged)
    prepared.progress(1, 1, f"fit {each.label}")
    seconds[each.label] = stage.seconds
    if not stage.reused:
        return Named(each.label, each.name, component)
    with registry.guard(kind, each.name, "load"):
        loaded = type(component).load(stage.folder / "component", prepared.dataset.catalog)
    return Named(each.label, each.name, loaded)


def _delegate_config(prepared: Prepared, label: str) -> ComponentConfig:
    for each in prepared.config.delegates:
        if each.label == label:
            return each
    known = ", ".join(d.label for d in prepared.config.delegates)
    raise PluginError(f"asked for a delegate {label!r} that the pipeline does not have", fix=f"Delegates: {known}.")


def _identity(prepared: Prepared, each: ComponentConfig) -> str:
    plugin = prepared.registry.spec(Kind.DELEGATE, each.name)
    return content_hash(each.name, each.settings, plugin.distribution, plugin.version)


def _all(policy: ComponentConfig | None, delegates: tuple[ComponentConfig, ...]) -> list[tuple[Kind, ComponentConfig]]:
    first = [(Kind.POLICY, policy)] if policy else []
    return [*first, *((Kind.DELEGATE, d) for d in delegates)]

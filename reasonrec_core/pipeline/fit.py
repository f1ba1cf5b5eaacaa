"""Fitting: every component once, kept in the run folder, reused while nothing that it depends on changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonrec_core.components import Component, ConsultingPolicy, Delegate, Kind, UncertaintyEstimator
from reasonrec_core.config import ComponentConfig, PipelineConfig
from reasonrec_core.config_errors import validated
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.io import content_hash
from reasonrec_core.pipeline.agent import Agent, Named
from reasonrec_core.pipeline.component_key import component_key
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.registry import Registry
from reasonrec_core.routing.consulting import HORIZON
from reasonrec_core.types import Task


def fit_components(prepared: Prepared) -> Agent:
    """Fit (or load) delegates, policy and estimators: the agent, still without routers."""
    config = prepared.config
    asking = {d.label: needs_policy(prepared.registry.load(Kind.DELEGATE, d.name)) for d in config.delegates}
    first = [each for each in config.delegates if not asking[each.label]]
    delegates = {each.label: _fitted(prepared, Kind.DELEGATE, each) for each in first}
    policy = _fitted(prepared, Kind.POLICY, config.policy) if config.policy else None
    for each in config.delegates:
        if asking[each.label]:
            delegates[each.label] = _fitted(prepared, Kind.DELEGATE, each, policy)
    delegates = {each.label: delegates[each.label] for each in config.delegates}
    estimators = {each.label: _fitted(prepared, Kind.UNCERTAINTY, each, policy) for each in config.estimators}
    return Agent(
        prepared.registry,
        len(prepared.dataset.catalog),
        max(config.evaluate.k) + 1,
        prepared.items,
        prepared.horizon,
        delegates,
        policy,
        estimators,
    )


def check_components(config: PipelineConfig, registry: Registry) -> None:
    """Refuse names, tasks and settings that cannot work, before any data is read.

    All names first (nothing is imported for that), then the settings of each.
    """
    every = _all(config)
    for kind, name, where, _ in every:
        spec = registry.spec(kind, name, where=where).spec
        # Delegates do not explain, and beside rankings tell clicks from their scores.
        others = {Task.EXPLAIN} | ({Task.CTR} if config.draws_clicks else set())
        asked = {str(t) for t in config.tasks if kind is not Kind.DELEGATE or t not in others}
        missing = sorted(asked - set(spec.tasks)) if spec.tasks else []
        if missing and kind in {Kind.POLICY, Kind.DELEGATE}:
            what, does = f"{kind} {name!r} cannot do the task {missing[0]!r}", ", ".join(sorted(spec.tasks))
            raise ConfigError(what, where="evaluate.tasks", fix=f"It does: {does}.")
    for kind, name, where, settings in every:
        validated(registry.load(kind, name).Config, settings, where=where)
    if config.router is not None and config.router.consult is not None:
        check_consulting(config, registry)


def check_consulting(config: PipelineConfig, registry: Registry) -> None:
    """Refuse to consult delegates with a policy that cannot decide again, or without knowing where."""
    assert config.policy is not None
    name, where = config.policy.name, "router.consult"
    policy = registry.create(Kind.POLICY, name, config.policy.settings, where="policy")
    if not (isinstance(policy, ConsultingPolicy) and policy.consults):
        what = f"the policy {name!r} cannot decide again with delegates' answers in view"
        fix = 'Take router.consult out, or use cot with answer = "label" or chain with consulted = ["LABEL"].'
        raise ConfigError(
            what + (", as it is set" if isinstance(policy, ConsultingPolicy) else ""), where=where, fix=fix
        )
    if HORIZON not in {each.label for each in config.estimators}:
        fix = f'Add "{HORIZON}" to router.estimators.'
        what = f"{HORIZON!r} decides where delegates are consulted, but is not estimated"
        raise ConfigError(what, where=where, fix=fix)


def make_component(prepared: Prepared, kind: Kind, each: ComponentConfig) -> Component[Any]:
    """An unfitted component with the pipeline's settings."""
    made: Component[Any] = prepared.registry.create(kind, each.name, each.settings, where=f"{kind} {each.label}")
    return made


def _fitted(prepared: Prepared, kind: Kind, each: ComponentConfig, policy: Named | None = None) -> Named:
    registry, component = prepared.registry, make_component(prepared, kind, each)
    key = {
        "data": prepared.key,
        **component_key(registry, kind, each.name, component.config.model_dump(mode="json")),
        "seed": prepared.config.seed,
        "policy": policy.identity if policy and needs_policy(type(component)) else None,
    }
    used: dict[str, str] = {}

    def delegate(label: str) -> Delegate[Any]:
        other = _delegate_config(prepared, label)
        used[label] = _identity(prepared, other)
        return make_component(prepared, Kind.DELEGATE, other)  # type: ignore[return-value]

    def make(folder: Path) -> Mapping[str, Any]:
        with registry.guard(kind, each.name, "fit"):
            _attach(component, policy)
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
    if stage.reused:
        catalog = prepared.dataset.catalog
        component = prepared.run.load_part(registry, kind, each.name, stage.folder / "component", catalog)
        with registry.guard(kind, each.name, "attach"):
            _attach(component, policy)
    return Named(each.label, each.name, component, stage.stamp.identity, stage.stamp.seconds)


def needs_policy(component: type[Component[Any]]) -> bool:
    """Whether components of this class are fitted to a policy, and belong to it."""
    return any(
        issubclass(component, base) and component.attach is not base.attach for base in (Delegate, UncertaintyEstimator)
    )


def _attach(component: Component[Any], policy: Named | None) -> None:
    if isinstance(component, Delegate | UncertaintyEstimator) and policy is not None:
        component.attach(policy.part)


def _delegate_config(prepared: Prepared, label: str) -> ComponentConfig:
    for each in prepared.config.delegates:
        if each.label == label:
            return each
    known = ", ".join(d.label for d in prepared.config.delegates)
    raise PluginError(f"asked for a delegate {label!r} that the pipeline does not have", fix=f"Delegates: {known}.")


def _identity(prepared: Prepared, each: ComponentConfig) -> str:
    return content_hash(component_key(prepared.registry, Kind.DELEGATE, each.name, each.settings))


def _all(config: PipelineConfig) -> list[tuple[Kind, str, str, dict[str, Any]]]:
    """Kind, plugin name, config key and settings of every component, the router included."""
    found = [(Kind.ENCODER, e.encoder, f"observe.{name}", e.settings) for name, e in config.observe.items()]
    named = [(Kind.POLICY, config.policy, "policy")] if config.policy else []
    named += [(Kind.DELEGATE, each, f"delegates.{each.label}") for each in config.delegates]
    named += [(Kind.UNCERTAINTY, each, f"uncertainty.{each.label}") for each in config.estimators]
    found += [(kind, each.name, where, each.settings) for kind, each, where in named]
    return found + ([(Kind.ROUTER, config.router.kind, "router", config.router.own)] if config.router else [])

"""Routers by the name of their kind: made from settings, read from what a run or a trace keeps."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from reasonrec_core.config_errors import validated
from reasonrec_core.errors import PluginError
from reasonrec_core.hookspecs import Kind
from reasonrec_core.registry import Registry
from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.router import FORMAT, Router
from reasonrec_core.routing.signals import AnswerFeatures


def router_class(kind: str, registry: Registry | None = None) -> type[Router[Any]]:
    """The class of a kind of router, of the core or of an installed plugin."""
    found: type[Router[Any]] = (registry or Registry.discover()).load(Kind.ROUTER, kind)
    return found


def list_features(registry: Registry) -> tuple[AnswerFeatures, ...]:
    """What installed kinds look at besides estimators, each once; a kind that cannot be loaded disturbs no other."""
    found = dict[AnswerFeatures, None]()
    for kind in registry.names(Kind.ROUTER):
        with suppress(PluginError):
            found[router_class(kind, registry).features] = None
    return tuple(found)


def make_router(config: RouterConfig, registry: Registry | None = None) -> Router[Any]:
    """An unfitted router; its kind checks the settings that only it knows.

    Raises:
        ConfigError: an unknown kind or setting.
    """
    kind = router_class(config.kind, registry)
    return kind(validated(kind.Config, config.own, where="router"))


def read_router(value: Mapping[str, Any], registry: Registry | None = None) -> Router[Any]:
    """What `Router.to_dict` gave.

    Raises:
        ConfigError: it is of an unknown kind.
        PluginError: it is of another format.
    """
    again = "Fit the run again: reasonrec fit."
    if value.get("format") != FORMAT:
        raise PluginError("the router was fitted by another version", fix=again)
    kind = router_class(str(value["config"]["kind"]), registry)
    try:
        return kind(kind.Config.model_validate(value["config"]), kind.State.model_validate(value["state"]))
    except (ValidationError, KeyError) as error:
        raise PluginError(f"the router cannot be read: {error}", fix=again) from error

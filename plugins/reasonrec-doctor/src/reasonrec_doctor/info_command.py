"""``reasonrec plugins info``: what one component is, what can be set, where its weights come from."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError
from reasonrec_datasets.facts_table import print_facts

from reasonrec_core.cli.console import out, plain, print_json
from reasonrec_core.errors import ConfigError, WeightsError, did_you_mean
from reasonrec_core.hookspecs import Kind
from reasonrec_core.registry import Registry, owner_hint
from reasonrec_doctor.tables import print_table

if TYPE_CHECKING:
    from reasonrec_core.components import MetricInfo
    from reasonrec_core.plugins import Registered

EXAMPLES = """\b
Examples:
  reasonrec plugins info transitions
  reasonrec plugins info chain network
  reasonrec plugins info entropy --kind uncertainty
  reasonrec plugins info transitions --json | jq .settings
"""


@click.command("info", epilog=EXAMPLES)
@click.argument("name")
@click.argument("part", required=False)
@click.option(
    "--kind",
    type=click.Choice([str(kind) for kind in Kind]),
    help="Kind of the component, if several kinds have one with this name.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the settings as JSON schema.")
def info_command(name: str, part: str | None, kind: str | None, as_json: bool) -> None:
    """Explain the component NAME: what it is, its settings with their defaults, its weights and their licence.

    Settings that form a table of their own are shown with PART, e.g. ``plugins info chain network``; one inside another
    is called OUTER.INNER.
    """
    registry = Registry.discover()
    info = describe(registry, find(registry, name, kind))
    if as_json:
        print_json(info)
    elif part is not None:
        print_settings(name, part_of(info["settings"], part, name), part)
    else:
        _print_info(info)


def find(registry: Registry, name: str, kind: str | None) -> Registered:
    """The one component of that name (and kind)."""
    if kind is not None:
        return registry.spec(kind, name)
    found = [each for each in registry.components() if name in {registry.name_of(each), each.qualified}]
    if len(found) > 1:
        kinds = " or ".join(f"--kind {each.kind}" for each in found)
        raise ConfigError(f"several components are called {name!r}", fix=f"Add {kinds}.")
    if not found:
        problem = next((p for p in registry.problems if name in {p.name, p.distribution}), None)
        rivals = [each.qualified for each in registry.components() if each.spec.name == name]
        known = rivals or {each.spec.name for each in registry.components()}
        fix = f"{problem}." if problem else owner_hint(name) or did_you_mean(name, known)
        raise ConfigError(f"there is no component called {name!r}", fix=fix)
    return found[0]


def describe(registry: Registry, found: Registered) -> dict[str, Any]:
    """All that is known about a component; its class is imported."""
    component = registry.load(found.kind, registry.name_of(found))
    stated = metadata.metadata(found.distribution).json
    return {
        "name": found.spec.name,
        "kind": str(found.kind),
        "summary": found.spec.summary,
        "description": _meaning(component) if found.kind is Kind.METRIC else inspect.getdoc(component) or "",
        "tasks": list(found.spec.tasks),
        "distribution": found.distribution,
        "version": found.version,
        "licence": stated.get("license_expression") or stated.get("license") or "not stated",
        "source": found.spec.target,
        "settings": component.Config.model_json_schema() if hasattr(component, "Config") else {},
        "weights": _weights(registry, found, component),
    }


def _meaning(metric: MetricInfo) -> str:
    """What a reader must know, and the formula."""
    meaning = metric.meaning.format(k="k")
    formula = metric.definition.replace("\\|", "|")  # Markdown's, in a table
    return f"{meaning}\n\n{formula}" if formula else meaning


def _weights(registry: Registry, found: Registered, component: Any) -> dict[str, str]:
    """What the component says of its default weights; empty where it has none."""
    if not hasattr(component, "weights_info"):
        return {}
    try:
        with registry.guard(found.kind, registry.name_of(found), "weights_info"):
            return dict(component.weights_info(component.Config()))
    except WeightsError as error:
        return {"source": f"not found: {error.message}"}
    except ValidationError:
        return {"source": "depends on settings without a default"}


def settings_rows(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Key, what is allowed, default and description of every setting of a JSON schema; nested keys with dots."""
    definitions = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    for key, setting in schema.get("properties", {}).items():
        nested = definitions.get(str(setting.get("$ref", "")).rpartition("/")[2], {})
        default = "required" if key in required else _word(setting.get("default"))
        meaning = setting.get("description") or nested.get("description", "")  # one that says the same is left out
        yield key, _allowed(setting, definitions), default, meaning
        if "properties" in nested:
            for sub, allowed, given, meaning in settings_rows({**nested, "$defs": definitions}):
                yield f"{key}.{sub}", allowed, given, meaning


def _allowed(setting: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in setting:
        named = setting["$ref"].rpartition("/")[2]
        target = definitions.get(named, {})
        return "table" if "properties" in target else _allowed(target, definitions)
    if "enum" in setting:
        return " | ".join(_word(value) for value in setting["enum"])
    if "const" in setting:
        return _word(setting["const"])
    if "anyOf" in setting:
        return " | ".join(_allowed(each, definitions) for each in setting["anyOf"])
    kind = str(setting.get("type", "any")).replace("null", "none")
    if kind == "array":
        return f"list of {_allowed(setting.get('items', {}), definitions)}"
    return f"{kind} {', '.join(_bounds(setting))}".rstrip()


def _bounds(setting: Mapping[str, Any]) -> Iterator[str]:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<", "pattern": "like"}
    for key, sign in signs.items():
        if key in setting:
            yield f"{sign} {setting[key]}"


def _word(value: Any) -> str:
    return "none" if value is None else json.dumps(value)


def _print_info(info: Mapping[str, Any]) -> None:
    owner = f"{info['distribution']} {info['version']}"
    facts = {**info, "tasks": ", ".join(info["tasks"]), "distribution": owner}
    shown = [(key, facts[key]) for key in ("kind", "summary", "tasks", "distribution", "licence", "source")]
    shown += [("weights" if key == "source" else f"weights {key}", value) for key, value in info["weights"].items()]
    print_facts([(key, value) for key, value in shown if value], info["name"])
    out.print(f"\n{plain(info['description'])}\n")
    if info["settings"].get("properties"):
        print_settings(info["name"], info["settings"])
    else:
        out.print("No settings.")


def part_of(schema: Mapping[str, Any], part: str, name: str) -> Mapping[str, Any]:
    """The schema of a setting that is a table of its own; one inside another is called ``outer.inner``.

    Raises:
        ConfigError: there is no such table.
    """
    found, owner = schema, name
    for key in part.split("."):
        tables = list_tables(found)
        if key not in tables:
            fix = did_you_mean(key, tables) if tables else "It has none: leave out PART."
            raise ConfigError(f"{owner} has no table of settings called {key!r}", where="PART", fix=fix)
        found, owner = tables[key], f"{name} {part}"
    return found


def print_settings(name: str, schema: Mapping[str, Any], part: str = "") -> None:
    """A line for each setting; those that are tables of their own come last, by name."""
    tables = list_tables(schema)
    rows = [row for row in settings_rows(schema) if row[0].partition(".")[0] not in tables]
    if rows:
        print_table(("setting", "allowed", "default", "meaning"), rows, whole={"setting"})
    for key, table in tables.items():
        setting = schema["properties"][key]
        meaning = setting.get("description") or table.get("description", "")
        where, count = f"{part}.{key}".lstrip("."), len(table["properties"])
        settings = "1 setting" if count == 1 else f"{count} settings"
        out.print(f"[{key}] {plain(meaning)} {settings}: reasonrec plugins info {name} {where}", soft_wrap=True)


def list_tables(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The schemas of the settings that are tables of their own, or lists of such, or may be left unset."""
    definitions = schema.get("$defs", {})
    found = {key: _target(setting, definitions) for key, setting in schema.get("properties", {}).items()}
    return {key: {**table, "$defs": definitions} for key, table in found.items() if "properties" in table}


def _target(setting: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """What a setting refers to, directly, as a choice or as the entries of a list; empty where it is a plain value."""
    if "$ref" in setting:
        return dict(definitions.get(str(setting["$ref"]).rpartition("/")[2], {}))
    inner = [*setting.get("anyOf", ()), *([setting["items"]] if "items" in setting else [])]
    return next((table for each in inner if "properties" in (table := _target(each, definitions))), {})

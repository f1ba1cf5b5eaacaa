"""Writes the parts of the documentation that come from the code; with ``--check``, says which are out of date.

python docs/generate.py [--check]
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
from house import picture
from models import delegate_table, result_tables
from reasonrec_datasets import TableSettings
from reasonrec_datasets.import_command import import_command
from reasonrec_datasets.importing.column_matching import ALIASES
from reasonrec_trace.schema import describe_columns
from settings_page import NOTE, OURS, settings_page, shown

from reasonrec_core import hookspecs
from reasonrec_core.cli.main import cli
from reasonrec_core.data import list_sources
from reasonrec_core.hookspecs import Kind
from reasonrec_core.plugins import OFFICIAL, installed
from reasonrec_core.registry import Registry

DOCS = Path(__file__).parent
TEMPLATE = DOCS.parent / "plugins" / "_template"


def plugin_table(registry: Registry) -> str:
    """A row per component of the core and of the plugins in this repository."""
    rows = ["| name | kind | tasks | package | what it is |", "|---|---|---|---|---|"]
    for item in registry.components():
        if item.distribution.startswith(OURS) and item.kind is not Kind.METRIC:
            tasks = ", ".join(item.spec.tasks) or "any"
            rows.append(f"| `{item.spec.name}` | {item.kind} | {tasks} | `{item.distribution}` | {item.spec.summary} |")
    return "\n".join(rows) + "\n"


def cli_page() -> str:
    """Every verb's help."""
    parts = [f"{NOTE}# The command line\n"]
    for path, command in verbs(cli, ("reasonrec",)):
        options = {"help_option_names": cli.context_settings["help_option_names"], "terminal_width": 100}
        context = click.Context(command, info_name=" ".join(path), max_content_width=100, **options)
        parts.append(f"## `{' '.join(path)}`\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def verbs(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it, in alphabetical order."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from verbs(below, (*path, name))


def hooks_page() -> str:
    """Every hook, with the plugin that the template makes for it."""
    parts = [f"{NOTE}# Hooks\n\n{inspect.cleandoc(hookspecs.__doc__ or '')}\n\n{template_project()}"]
    kind_of_hook = {hook: str(kind) for kind, hook in hookspecs.HOOK_OF_KIND.items()}
    for name in sorted(n for n in vars(hookspecs) if n.startswith("reasonrec_")):
        kind = kind_of_hook.get(name, "command")
        text = inspect.cleandoc(getattr(hookspecs, name).__doc__ or "")
        parts.append(f"## `{name}`\n\n{text}\n\n{template_example(kind)}")
    return "\n".join(parts)


def template_project() -> str:
    """The project file of every example."""
    text = (TEMPLATE / "common" / "pyproject.toml").read_text(encoding="utf-8")
    intro = "Every example below is a package with this project file, and what it imports besides under dependencies"
    return f"{intro}:\n\n```toml\n# pyproject.toml\n{text}```\n"


def template_example(kind: str) -> str:
    """The files that ``reasonrec plugins new KIND template`` adds to that."""
    files = sorted(
        (TEMPLATE / kind).glob("**/*.py"), key=lambda path: (path.parts[-2] == "tests", path.name != "plugin.py")
    )
    quoted = [f"# {path.relative_to(TEMPLATE / kind)}\n{path.read_text(encoding='utf-8')}" for path in files]
    if not quoted:
        return "There is no example yet.\n"
    return (
        f"`reasonrec plugins new {kind} template` makes it:\n\n"
        + "".join(f"```python\n{q}```\n\n" for q in quoted).rstrip()
        + "\n"
    )


def official_table() -> str:
    """JSON: what each distribution offers that the distribution `reasonrec` names, by ``kind name``."""
    project = tomllib.loads((DOCS.parent / "plugins/reasonrec/pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    ours = {re.match(r"[\w-]+", line)[0] for line in lines}  # type: ignore[index]
    offers: dict[str, list[str]] = {name: [] for name in sorted(ours) if name.startswith("reasonrec")}
    for each in installed().components:
        if each.distribution in offers:
            offers[each.distribution].append(f"{each.kind} {each.spec.name}")
    for command in installed().commands:
        if command.distribution in offers:
            offers[command.distribution].append(f"command {command.spec.name}")
    return json.dumps({name: sorted(names) for name, names in offers.items() if names}, indent=2) + "\n"


def between(text: str, mark: str, content: str) -> str:
    """``text`` with what stands between ``<!-- mark -->`` and ``<!-- /mark -->`` replaced."""
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, _, rest = text.partition(start)
    _, _, tail = rest.partition(end)
    return f"{head}{start}\n{content}{end}{tail}"


def pages() -> dict[Path, str]:
    """What each generated file should hold."""
    registry = Registry.discover()
    readme, contributing = DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"
    return {
        readme: between(
            between(readme.read_text(encoding="utf-8"), "plugins", plugin_table(registry)),
            "delegate",
            template_example("delegate"),
        ),
        contributing: between(contributing.read_text(encoding="utf-8"), "house", picture()),
        DOCS / "cli.md": cli_page(),
        DOCS / "settings.md": settings_page(registry),
        DOCS / "hooks.md": hooks_page(),
        DOCS / "data.md": data_page(registry),
        DOCS / "metrics.md": metrics_page(registry),
        DOCS / "models.md": between(
            between((DOCS / "models.md").read_text(encoding="utf-8"), "delegates", delegate_table(registry)),
            "results",
            result_tables(),
        ),
        DOCS / "trace.md": between((DOCS / "trace.md").read_text(encoding="utf-8"), "columns", column_table()),
        Path(OFFICIAL): official_table(),
    }


def column_table() -> str:
    """A row per column of a trace."""
    rows = [f"| `{name}` | {kind} | {text} |" for name, (kind, text) in describe_columns().items()]
    return "\n".join(["| column | type | what it is |", "|---|---|---|", *rows, ""])


def data_page(registry: Registry) -> str:
    """The page of data with its tables of layouts, of settings, and of names that are recognised."""
    text = (DOCS / "data.md").read_text(encoding="utf-8")
    tables = {"layouts": layout_table(registry), "reading": reading_table(registry), "names": name_table()}
    for mark, content in tables.items():
        text = between(text, mark, content)
    return text


def list_our_sources(registry: Registry) -> list[str]:
    """The data sources of this repository, in the order in which they are asked."""
    return [
        name for name in list_sources(registry) if registry.spec(Kind.DATA_SOURCE, name).distribution.startswith(OURS)
    ]


def layout_table(registry: Registry) -> str:
    """A row per data source, in the order in which they are asked."""
    rows = [
        f"| `{name}` | {registry.spec(Kind.DATA_SOURCE, name).spec.summary} |" for name in list_our_sources(registry)
    ]
    return "\n".join(["| `--format` | what is there |", "|---|---|", *rows, ""])


def reading_table(registry: Registry) -> str:
    """A row per setting that all sources of tables have, and those that some have besides."""
    options = {o.name: o.opts[0] for o in import_command.params if isinstance(o, click.Option)}
    parts = ["| setting | option of `data import` | default | meaning |", "|---|---|---|---|"]
    for name, field in TableSettings.model_fields.items():
        default = shown(field.get_default(call_default_factory=True))
        option = f"`{options[name]}`" if name in options else "`--option`"
        parts.append(f"| `{name}` | {option} | `{default}` | {(field.description or '').replace('|', chr(92) + '|')} |")
    parts += ["", "Some layouts have settings besides (`--option NAME=VALUE`):", ""]
    parts += ["| layout | setting | default | meaning |", "|---|---|---|---|"]
    for name in list_our_sources(registry):
        for key, field in registry.load(Kind.DATA_SOURCE, name).Config.model_fields.items():
            if key not in TableSettings.model_fields:
                default = shown(field.get_default(call_default_factory=True))
                parts.append(f"| `{name}` | `{key}` | `{default}` | {field.description or ''} |")
    return "\n".join([*parts, ""])


def name_table() -> str:
    """A row per column of ours: what people call it."""
    rows = [f"| `{ours}` | {', '.join(f'`{name}`' for name in names)} |" for ours, names in ALIASES.items()]
    return "\n".join(["| ours | is also recognised as |", "|---|---|", *rows, ""])


def metric_definitions(registry: Registry, task: str) -> str:
    """A row per metric of a task, as their records define them."""
    rows = ["| metric | definition | better |", "|---|---|---|"]
    for info in registry.metrics(task):
        rows.append(f"| `{info.name}{'@k' if info.cutoff else ''}` | {info.definition} | {info.better} |")
    return "\n".join(rows) + "\n"


def metrics_page(registry: Registry) -> str:
    """The page of metrics with its tables of definitions."""
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    for mark, task in (("ranking", "sequential"), ("click", "ctr"), ("explanation", "explain")):
        text = between(text, f"{mark}-metrics", metric_definitions(registry, task))
    return text


def main() -> int:
    """Write or check."""
    wanted = pages()
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"out of date: {path.relative_to(DOCS.parent)}; run python docs/generate.py")
        return bool(stale)
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

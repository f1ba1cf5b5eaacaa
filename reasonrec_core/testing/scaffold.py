"""``reasonrec plugins new``: a package that installs and passes its conformance tests at once."""

from __future__ import annotations

import ast
import keyword
from pathlib import Path

import click

from reasonrec_core.hookspecs import Kind

KINDS = (*(str(kind) for kind in Kind), "command")
EPILOG = """\b
Examples:
  reasonrec plugins new delegate my-model
  reasonrec plugins new encoder sound-features --out ~/src
  cd reasonrec-my-model && pip install -e '.[test]' && pytest
"""


@click.command("new", epilog=EPILOG)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Where the folder reasonrec-NAME is made; here, if not given.",
)
def new_command(kind: str, name: str, out: Path) -> None:
    """Start a plugin of KIND called NAME: a folder reasonrec-NAME with a working component and its tests."""
    folder = new_plugin(kind, name, out)
    click.echo(f"{folder}\nNext: cd {folder} && pip install -e '.[test]' && pytest")


def new_plugin(kind: str, name: str, out: Path) -> Path:
    """Write the package and give its folder.

    Raises:
        ConfigError: the name cannot be used, or the folder exists.
    """
    from reasonrec_core.errors import ConfigError
    from reasonrec_core.io import whole_folder
    from reasonrec_core.plugins.checks import NAME

    name = name.removeprefix("reasonrec-")
    module = name.replace("-", "_")
    if not NAME.fullmatch(name) or name[0].isdigit() or keyword.iskeyword(module) or name == "core":
        fix = "Use lower-case letters, digits and hyphens, starting with a letter, e.g. my-model."
        raise ConfigError(f"{name!r} cannot be a plugin's name", fix=fix)
    folder = out / f"reasonrec-{name}"
    if folder.exists():
        raise ConfigError("the folder exists already", where=str(folder), fix="Choose another name or --out.")
    words = {
        "reasonrec_template": f"reasonrec_{module}",
        "reasonrec-template": f"reasonrec-{name}",
        '"template"': f'"{name}"',
        "`template`": f"`{name}`",
        "template =": f"{name} =",
        "Template": "".join(word.capitalize() for word in name.split("-")),
        "def template": f"def {module}",
        ":template": f":{module}",
        "reasonrec template": f"reasonrec {name}",
    }
    if not (template_folder() / kind).is_dir():
        raise ConfigError(f"there is no template of kind {kind!r}", where=str(template_folder()))
    with whole_folder(folder) as aside:
        for part in ("common", kind):
            _copy(template_folder() / part, aside, words)
        _declare(aside)
    return folder


def _declare(folder: Path) -> None:
    """Name what the package imports among its dependencies: other plugins in the versions that the core has, what the
    core requires from the same versions on.
    """
    import re
    from importlib import metadata

    from reasonrec_core.plugins.metadata import normalised

    used: set[str] = set()
    for path in folder.glob("src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                used |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                used.add(node.module.partition(".")[0])
    owners = metadata.packages_distributions()
    named = {normalised(owner) for module in used for owner in owners.get(module, ())}
    lines = (line for line in metadata.requires("reasonrec-core") or [] if ";" not in line)
    wanted = sorted(line for line in lines if normalised(re.split(r"[^\w.-]", line)[0]) in named)
    project = folder / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    if core := re.search('"reasonrec-core([^"]*)"', text):
        plugins = {normalised(module) for module in used if module.startswith("reasonrec_")}
        wanted += [f"{name}{core[1]}" for name in sorted(plugins - {"reasonrec-core", folder.name})]
    more = "".join(f'"{line}", ' for line in wanted)
    text = text.replace('dependencies = ["reasonrec-core', f'dependencies = [{more}"reasonrec-core')
    project.write_text(text, encoding="utf-8")


def template_folder() -> Path:
    """Where the templates are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "_template"
    return inside if inside.is_dir() else package.parent / "plugins" / "_template"


def _copy(source: Path, target: Path, words: dict[str, str]) -> None:
    for path in sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        copy = target / str(path.relative_to(source)).replace("reasonrec_template", words["reasonrec_template"])
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        for old, new in words.items():
            text = text.replace(old, new)
        copy.write_text(text, encoding="utf-8")

"""What the README says is true: its files, verbs and pipelines exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from reasonrec_core.cli.main import cli
from reasonrec_core.config import check_config, load_config

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = sorted(ROOT.glob("examples/*.toml"))


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_pipelines_of_the_readme_are_valid_and_the_first_is_the_example() -> None:
    first, _ = pipelines = [check_config(tomllib.loads(text), "README.md") for text in blocks("toml")]
    assert all(each.router is not None for each in pipelines)
    example = load_config(ROOT / "examples" / "quickstart.toml")
    assert first.model_copy(update={"data": example.data}) == example


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_a_valid_pipeline(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_every_verb_that_the_readme_uses_exists() -> None:
    for line in re.findall(r"(?<!import )reasonrec ([a-z]+(?: [a-z]+)?)", "\n".join([*blocks("console"), README])):
        verb = line.split()[0]
        assert verb in cli.list_commands(None), line  # type: ignore[arg-type]


def test_every_file_that_the_readme_links_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target

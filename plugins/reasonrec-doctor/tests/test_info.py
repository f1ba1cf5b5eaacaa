"""``reasonrec plugins info``: a component explained."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from installed import install, install_module, reasonrec

DELEGATE = """
@hookimpl
def reasonrec_delegates():
    return [ComponentSpec("mine", "reasonrec_a_impl:Mine", "My own", ("sequential",))]
"""
COMPONENT = '''
from pydantic import Field
from typing import Literal
from reasonrec_core.components import Delegate, Settings

class Innermost(Settings):
    """What lies deepest."""
    colour: str = Field("red", description="Which colour.")

class Inner(Settings):
    depth: int = Field(3, ge=1, description="How deep.")
    core: Innermost = Field(Innermost(), description="What lies deepest.")

class MineConfig(Settings):
    rate: float = Field(0.5, gt=0, le=1, description="How fast.")
    mode: Literal["a", "b"] = Field("a", description="Which way.")
    limit: int | None = Field(None, description="At most.")
    inner: Inner = Field(Inner(), description="Inside.")
    spare: Inner | None = Field(None, description="A second one.")
    more: list[Inner] = Field([], description="Any number of them.")

class Mine(Delegate[MineConfig]):
    """Scores by [bold]magic[/bold]."""
    Config = MineConfig
    def score(self, batch, observation):
        raise NotImplementedError
    @classmethod
    def weights_info(cls, config):
        return {"source": "hub: someone/some-model", "licence": "MIT"}
'''


def plugins_info(site: Path, *args: str) -> CompletedProcess[str]:
    return reasonrec(site, "plugins", "info", *args, real="reasonrec-doctor")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    install_module(folder, "reasonrec-a", DELEGATE, version="1.2.3")
    folder.joinpath("reasonrec_a_impl.py").write_text(COMPONENT)
    return folder


def test_info_shows_settings_source_and_weights(site: Path) -> None:
    text = plugins_info(site, "mine").stdout
    for expected in (
        "reasonrec-a 1.2.3",
        "reasonrec_a_impl:Mine",
        "Scores by [bold]magic[/bold].",
        "hub: someone/some-model",
        "weights licence",
        "MIT",
    ):
        assert expected in text
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "rate number > 0, <= 1 0.5 How fast." in rows
    assert 'mode "a" | "b" "a" Which way.' in rows
    assert "limit integer | none none At most." in rows
    for key, meaning in (("inner", "Inside."), ("spare", "A second one."), ("more", "Any number of them.")):
        assert f"[{key}] {meaning} 2 settings: reasonrec plugins info mine {key}" in rows
    inner = [" ".join(line.split()) for line in plugins_info(site, "mine", "inner").stdout.splitlines()]
    assert "depth integer >= 1 3 How deep." in inner
    deepest = "[core] What lies deepest. 1 setting: reasonrec plugins info mine inner.core"
    assert deepest in inner, "a description that repeats the docstring is shown as well"
    assert plugins_info(site, "mine", "spare").stdout == plugins_info(site, "mine", "inner").stdout.replace(
        "mine inner.", "mine spare."
    )
    assert "Which colour." in plugins_info(site, "mine", "inner.core").stdout
    wrong = plugins_info(site, "mine", "iner")
    assert wrong.returncode == 2
    assert "Did you mean 'inner'?" in wrong.stderr


def test_info_as_json_holds_the_schema(site: Path) -> None:
    told = json.loads(plugins_info(site, "mine", "--json").stdout)
    assert told["settings"]["properties"]["rate"]["default"] == 0.5
    assert told["weights"] == {"source": "hub: someone/some-model", "licence": "MIT"}


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("reasonrec_a_impl:Nine", "module 'reasonrec_a_impl' has no 'Nine'"),
        ("no_such_module:Mine", "missing dependency: no module named 'no_such_module'"),
        ("json:JSONDecoder", "json:JSONDecoder is not a subclass of Delegate"),
        ("json:loads", "json:loads is not a subclass of Delegate"),
    ],
)
def test_a_component_that_cannot_be_used_names_its_distribution(tmp_path: Path, target: str, reason: str) -> None:
    install_module(tmp_path, "reasonrec-a", DELEGATE.replace("reasonrec_a_impl:Mine", target))
    tmp_path.joinpath("reasonrec_a_impl.py").write_text("x = 1")
    done = plugins_info(tmp_path, "mine")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: delegate 'mine' of reasonrec-a 0.1.0: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_misspelt_name_gets_the_nearest(site: Path) -> None:
    done = plugins_info(site, "popularit")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no component called 'popularit'. Did you mean 'popularity'?\n"


def test_info_on_a_broken_plugin_says_why(site: Path) -> None:
    install(site, "reasonrec-b", {"reasonrec_b.py": "1/0"}, {"thing": "reasonrec_b"})
    done = plugins_info(site, "thing")
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stderr.splitlines()[-1]


def test_info_on_what_is_not_installed_says_how_to_get_it(site: Path) -> None:
    done = plugins_info(site, "clip-catalogue")
    assert done.stderr == (
        "error: there is no component called 'clip-catalogue'. "
        "It comes with reasonrec-clip: pip install reasonrec-clip.\n"
    )


def test_info_on_a_metric_has_its_formula(site: Path) -> None:
    text = plugins_info(site, "hr").stdout
    assert "among the first k\n" in text
    assert "1 if any relevant item has rank <= k" in text
    assert "min(k, |R|)" in plugins_info(site, "ndcg").stdout

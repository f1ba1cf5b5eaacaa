"""What is fitted again, and why: edited code of editable plugins, asked-for stages, encoders with one fingerprint."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from installed import install

from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline.run import fit_pipeline, run_pipeline
from reasonrec_core.plugins import discover
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent

HOOKS = """
from reasonrec_core.hookspecs import ComponentSpec, hookimpl

@hookimpl
def reasonrec_delegates():
    return [ComponentSpec("edited", "reasonrec_edited.model:Edited", "Most popular.", ("sequential", "direct"))]

@hookimpl
def reasonrec_encoders():
    return [ComponentSpec("forgetful", "reasonrec_edited.model:Forgetful", "Learns one number.")]
"""
MODEL = """
import numpy as np

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Empty, Encoder
from reasonrec_core.ranking import rank

class Edited(Popularity):
    pass

class Forgetful(Encoder[Empty]):
    modality = "text"
    learned = 0.0

    def fit(self, data):
        self.learned = float(len(data.train))

    def encode(self, inputs):
        return np.full((len(inputs), 2), self.learned + 1, np.float32)

    def fingerprint(self):
        return "the same, whatever was learned"

    def save(self, folder):
        super().save(folder)
        np.save(folder / "learned.npy", self.learned)

    @classmethod
    def load(cls, folder, catalog):
        self = super().load(folder, catalog)
        self.learned = float(np.load(folder / "learned.npy"))
        return self
"""
Discover = Callable[[], Registry]


def forget_modules() -> None:
    for name in [name for name in sys.modules if name.startswith("reasonrec_edited")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with the plugin ``reasonrec-edited``."""
    files = {
        f"reasonrec_edited/{name}.py": text for name, text in (("__init__", ""), ("hooks", HOOKS), ("model", MODEL))
    }
    install(tmp_path / "site", "reasonrec-edited", files, {"main": "reasonrec_edited.hooks"})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path / "site"
    forget_modules()


@pytest.fixture
def look(site: Path) -> Discover:
    """Import the plugin as it is now."""

    def again() -> Registry:
        forget_modules()
        return Registry(discover())

    return again


def make_editable(site: Path) -> None:
    origin = {"url": site.as_uri(), "dir_info": {"editable": True}}
    (site / "reasonrec_edited-0.1.0.dist-info" / "direct_url.json").write_text(json.dumps(origin))


def fits(data: Path, folder: Path, registry: Registry, **options: object) -> list[str]:
    """Fit a pipeline with the plugin's delegate; what was said."""
    said: list[str] = []
    settings = pipeline(data, policy=None, router=None, delegates=["popularity", "edited"])
    fit_pipeline(check_config(settings, "x.toml"), folder, registry, silent, say=said.append, **options)
    return said


def test_edited_code_is_fitted_again_where_the_plugin_is_editable(
    data: Path, tmp_path: Path, site: Path, look: Discover
) -> None:
    make_editable(site)
    assert fits(data, tmp_path / "run", look()) == []
    assert fits(data, tmp_path / "run", look()) == []
    with (site / "reasonrec_edited" / "model.py").open("a") as file:
        file.write("\n# edited\n")
    assert fits(data, tmp_path / "run", look()) == ["delegate-edited is fitted again: its code changed."]
    assert fits(data, tmp_path / "run", look()) == []


def test_a_library_that_an_editable_plugin_requires_counts_as_its_code(
    data: Path, tmp_path: Path, site: Path, look: Discover
) -> None:
    install(site, "reasonrec-library", {"library/reasonrec_library/__init__.py": "x = 1"}, {})
    for name, root in (("edited", site), ("library", site / "library")):
        origin = {"url": root.as_uri(), "dir_info": {"editable": True}}
        (site / f"reasonrec_{name}-0.1.0.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    with (site / "reasonrec_edited-0.1.0.dist-info" / "METADATA").open("a") as file:
        file.write("Requires-Dist: reasonrec-library>=0.1\n")
    fits(data, tmp_path / "run", look())
    (site / "library" / "reasonrec_library" / "__init__.py").write_text("x = 2")
    assert fits(data, tmp_path / "run", look()) == ["delegate-edited is fitted again: its code changed."]


def test_an_installed_plugin_is_known_by_its_version(data: Path, tmp_path: Path, site: Path, look: Discover) -> None:
    fits(data, tmp_path / "run", look())
    (site / "reasonrec_edited" / "model.py").write_text(MODEL + "\n# a pip install that was patched by hand\n")
    assert fits(data, tmp_path / "run", look()) == []


def test_what_depends_on_edited_code_is_asked_again(data: Path, tmp_path: Path, site: Path, look: Discover) -> None:
    """The answers of a delegate that now scores the other way round are other answers."""
    make_editable(site)
    config = check_config(pipeline(data, policy=None, router=None, delegates=["edited"]), "x.toml")
    before = run_pipeline(config, tmp_path / "run", look(), silent).systems["edited"]["NDCG@5"]
    turned = "def recommend(self, batch, observation): return rank(-self.score(batch, observation), batch)"
    (site / "reasonrec_edited" / "model.py").write_text(MODEL.replace("pass", turned, 1))
    assert run_pipeline(config, tmp_path / "run", look(), silent).systems["edited"]["NDCG@5"] != before


@pytest.fixture
def fitted(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_stages_are_made_again_on_demand_with_what_depends_on_them(data: Path, fitted: Path) -> None:
    config, said = check_config(pipeline(data), "tiny.toml"), list[str]()
    before = {path.parent.name: path.stat().st_mtime_ns for path in fitted.glob("stages/*/stage.json")}
    run_pipeline(config, fitted, Registry.discover(), silent, refit=["transitions"], say=said.append)
    assert said == ["delegate-transitions is fitted again: it was asked for."]
    after = {path.parent.name: path.stat().st_mtime_ns for path in fitted.glob("stages/*/stage.json")}
    again = {name for name in after if after[name] != before[name]}
    assert {"delegate-transitions", "answers-sequential-test-transitions", "router-sequential"} <= again
    assert not {"delegate-popularity", "policy-profile", "answers-sequential-test-profile", "data"} & again
    run_pipeline(config, fitted, Registry.discover(), silent)
    assert {path.parent.name: path.stat().st_mtime_ns for path in fitted.glob("stages/*/stage.json")} == after


def test_everything_is_made_again_on_demand(data: Path, fitted: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in fitted.glob("stages/*/stage.json")}
    fit_pipeline(check_config(pipeline(data), "tiny.toml"), fitted, Registry.discover(), silent, refit=["*"])
    kept = {path.parent.name for path in before if path.stat().st_mtime_ns == before[path]}
    assert all(name.startswith(("answers-", "faithfulness-", "not-inferior-")) for name in kept)  # of the evaluation


def test_a_stage_that_the_pipeline_does_not_have_is_said(data: Path, tmp_path: Path) -> None:
    config = check_config(pipeline(data), "tiny.toml")
    with pytest.raises(ConfigError, match=r"--refit: the pipeline has no stage 'transition'. It fits: .*transitions"):
        fit_pipeline(config, tmp_path / "run", Registry.discover(), silent, refit=["transition"])
    assert not (tmp_path / "run").exists()


def test_encoders_of_one_fingerprint_that_learned_different_things_share_no_vectors(
    data: Path, tmp_path: Path, look: Discover
) -> None:
    found = []
    for kind in ("leave-one-out", "temporal"):  # they are fitted on training parts of other sizes
        settings = pipeline(data, policy=None, router=None, delegates=["popularity"], split={"kind": kind})
        settings["observe"] = {"text": {"encoder": "forgetful"}}
        settings["evaluate"] = {"tasks": ["sequential"], "k": [3]}
        fitted = fit_pipeline(check_config(settings, "x.toml"), tmp_path / kind, look(), silent)
        learned = np.load(tmp_path / kind / "stages" / "encoder-text" / "learned.npy")
        features = fitted.prepared.items.features["text"]
        assert np.nanmax(features) == np.nanmin(features) == learned + 1
        found.append(float(learned))
    assert found[0] != found[1]


def test_the_command_line_refits_one_stage_or_everything(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = pipeline(data, delegates=["popularity", "transitions"])
    text = tomli_w.dumps({name: value for name, value in settings.items() if name not in {"policy", "router"}})
    (tmp_path / "p.toml").write_text(text)
    said = []
    for options in ([], ["--refit", "popularity"], ["--refit"]):
        with pytest.raises(SystemExit) as left:
            main(["fit", str(tmp_path / "p.toml"), "--out", str(tmp_path / "run"), *options])
        assert not left.value.code
        said.append(re.findall(r"delegate-(\w+) is fitted again: it was asked for\.", capsys.readouterr().err))
    assert said == [[], ["popularity"], ["popularity", "transitions"]]

"""The conformance suite of reporters."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from reasonrec_core.components import Reporter
from reasonrec_core.config import check_config
from reasonrec_core.errors import ReasonRecError
from reasonrec_core.evaluate.schema import VERSION, Results
from reasonrec_core.hookspecs import ComponentSpec, Kind
from reasonrec_core.pipeline import EvaluatedRun
from reasonrec_core.pipeline.evaluate import evaluate_tasks
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.plugins import Installed, Registered, installed
from reasonrec_core.registry import Registry
from reasonrec_core.testing.tiny import tiny_dataset

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)> & \"quotes\" \x1b[2J"
"""A title, a name of data and of a system that must do no harm."""
REMOTE = re.compile(r"""(?:src|href|url|@import)\s*[=(]?\s*["']?\s*(?:https?:)?//""", re.IGNORECASE)
MARKUP = {".html", ".htm", ".svg", ".xml"}


def sample_run(folder: Path) -> Results:
    """A finished run in ``folder`` with names that try to be markup; gives its results."""
    results = Results.model_validate(
        {
            "version": VERSION,
            "dataset": {"name": HOSTILE, "users": 3, "items": 4, "interactions": 12},
            "protocol": "sequential, full ranking: every item",
            "systems": {
                HOSTILE: {"NDCG@10": {"value": 0.2, "low": 0.1, "high": 0.3}, "HR@10": {"value": 0.4}},
                "popularity": {"NDCG@10": {"value": 0.1, "low": 0.05, "high": 0.15}, "mine": {"value": None}},
            },
            "comparisons": [
                {
                    "a": HOSTILE,
                    "b": "popularity",
                    "metric": "NDCG@10",
                    "difference": 0.1,
                    "low": 0.0,
                    "high": 0.2,
                    "p": 0.5,
                }
            ],
            "roles": {"policy": HOSTILE, "delegates": ["popularity"]},
        }
    )
    results.write(folder)
    results = Results.read(folder)
    item = {"id": HOSTILE, "title": HOSTILE, "image": None, "score": 1.0}
    step = {"kind": "decide", "claim": HOSTILE, "evidence": [0, HOSTILE], "weight": 1.0}
    card = {"query": 0, "user": HOSTILE, "outcome": "hit", "route": "self", "reason": HOSTILE, "history": [item]}
    cards = [{**card, "target": [item], "ranking": [item], "steps": [step]}]
    (folder / "cards.json").write_text(json.dumps(cards), encoding="utf-8")
    (folder / "config.toml").write_text('name = "hostile"\nseed = 7\n', encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps({"command": ["reasonrec", HOSTILE]}), encoding="utf-8")
    return results


def evaluate_sample(folder: Path) -> EvaluatedRun:
    """A small run, fitted and evaluated in ``folder``: a policy that can be edited, a delegate, a router."""
    target = "reasonrec_core.testing.toy_policy:ToyPolicy"
    spec = ComponentSpec("toy-of-the-suite", target, "What followed", ("sequential", "direct"))
    toy = "reasonrec_core.testing.toy_router"
    router = ComponentSpec("router-of-the-suite", f"{toy}:ToyRouter", "Little known first")
    estimator = ComponentSpec("horizon-of-the-suite", f"{toy}:ToyEstimator", "How little is known")
    found = installed()
    made = ((Kind.POLICY, spec), (Kind.ROUTER, router), (Kind.UNCERTAINTY, estimator))
    toys = (Registered(kind, each, "reasonrec-core", "0") for kind, each in made)
    registry = Registry(Installed((*found.components, *toys), found.commands, found.problems))
    settings = {
        "data": {"path": str(tiny_dataset(folder / "data").folder)},
        "policy": spec.name,
        "delegates": ["popularity"],
        "router": {"kind": router.name, "estimators": [estimator.name], "share": 0.3, "abstain": 0.1},
        "evaluate": {"k": [5], "resamples": 100, "latency_sample": 4, "faithfulness": 8},
        "report": {"cards": 2},
    }
    config = check_config(settings, "suite.toml")
    fitted = fit_pipeline(config, folder / "run", registry, lambda done, total, label: None)
    return evaluate_tasks(fitted.prepared, fitted.agent)


class ReporterConformance:
    """Subclass it in a plugin's tests and set ``component``.

    Attributes:
        component: the reporter's name, as in a pipeline file.
        settings: of the reporter.
        measures_time: whether what it measures differs between two looks at one run.
    """

    component: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    measures_time: ClassVar[bool] = False

    @pytest.fixture
    def reporter(self) -> Reporter[Any]:
        made: Reporter[Any] = Registry.discover().create(Kind.REPORTER, self.component, self.settings)
        return made

    @pytest.fixture
    def evaluated(self, tmp_path: Path) -> EvaluatedRun:
        return replace(evaluate_sample(tmp_path), reporter=self.component)

    def test_it_does_something(self, reporter: Reporter[Any]) -> None:
        verbs = ("analyse", "export", "write", "tabulate", "summarise")
        assert any(getattr(type(reporter), verb) is not getattr(Reporter, verb) for verb in verbs)

    def test_what_it_measures_can_be_written(self, reporter: Reporter[Any], evaluated: EvaluatedRun) -> None:
        found, results = reporter.analyse(evaluated), _minimal()
        if reporter.sections:
            assert set(reporter.sections) <= Results.model_fields.keys(), "a section that the results do not have"
            assert set(found or ()) <= set(reporter.sections), "a section that is not among the reporter's"
        sections = dict(found or {}) if reporter.sections else {"analyses": {self.component: dict(found or {})}}
        first = Results.model_validate({**results, **sections}).to_json()
        assert json.loads(first).keys() >= sections.keys(), "what was measured is not in the results"
        again = reporter.analyse(evaluated)
        assert (found or {}).keys() == (again or {}).keys()
        if not self.measures_time:
            same = dict(again or {}) if reporter.sections else {"analyses": {self.component: dict(again or {})}}
            assert Results.model_validate({**results, **same}).to_json() == first, "the same run gave another section"

    def test_what_it_keeps_lies_in_the_run_folder(self, reporter: Reporter[Any], evaluated: EvaluatedRun) -> None:
        before = _content(evaluated.folder)
        files = [path.resolve() for path in reporter.export(evaluated)]
        after = _content(evaluated.folder)
        assert {evaluated.folder / name for name in after if after[name] != before.get(name)} <= {*files}
        assert all(path.is_relative_to(evaluated.folder.resolve()) and path.is_file() for path in files)
        reporter.export(evaluated)
        assert _content(evaluated.folder) == after, "the same run gave other files"

    def test_writes_files_into_the_folder_that_it_is_given(self, reporter: Reporter[Any], tmp_path: Path) -> None:
        run, out = _folders(tmp_path)
        results = sample_run(run)
        before = _content(run)
        files = reporter.write(results, run, out)
        if type(reporter).write is not Reporter.write:
            assert files, "nothing was written"
        assert {path.resolve() for path in files} == {path.resolve() for path in out.rglob("*") if path.is_file()}
        assert _content(run) == before, "the run folder was changed"

    def test_the_same_run_gives_the_same_files(self, reporter: Reporter[Any], tmp_path: Path) -> None:
        run, out = _folders(tmp_path)
        results = sample_run(run)
        reporter.write(results, run, out)
        first = _content(out)
        reporter.write(Results.read(run), run, out)
        assert _content(out) == first

    def test_writes_whole_files_or_none(self, reporter: Reporter[Any], tmp_path: Path) -> None:
        run, out = _folders(tmp_path)
        results = sample_run(run)
        reporter.write(results, run, out)
        before = _content(out)
        if not before:
            pytest.skip("writes no files")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", _no_space)
            with pytest.raises((OSError, ReasonRecError)):
                reporter.write(results, run, out)
        assert _content(out) == before, "a write that failed left something behind"

    def test_titles_are_no_markup_and_nothing_is_fetched(self, reporter: Reporter[Any], tmp_path: Path) -> None:
        run, out = _folders(tmp_path)
        for path in reporter.write(sample_run(run), run, out):
            if path.suffix in MARKUP:
                text = path.read_text(encoding="utf-8")
                assert "<script>alert" not in text, "a title became a script"
                assert "<img src=x" not in text, "a title became an element"
                assert "\x1b" not in text
                assert not REMOTE.search(text), "the file asks another machine for something"

    def test_says_sentences(self, reporter: Reporter[Any], tmp_path: Path) -> None:
        said = reporter.summarise(sample_run(tmp_path), tmp_path)
        assert all(isinstance(each, str) and each.strip() for each in said)


def _minimal() -> dict[str, Any]:
    return {"version": VERSION, "dataset": {"name": "suite"}, "systems": {"toy": {}}}


def _folders(tmp_path: Path) -> tuple[Path, Path]:
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir()
    out.mkdir()
    return run, out


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")

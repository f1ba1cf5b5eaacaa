"""Reporters of a run: what one that is not installed leaves out, and who is told of requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from reasonrec_serve import Recommender

from reasonrec_core.components import Kind
from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.plugins import installed
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent


@pytest.fixture
def without_trace() -> Registry:
    """What is installed but reasonrec-trace."""
    found = installed()
    kept = tuple(each for each in found.components if (each.kind, each.spec.name) != (Kind.REPORTER, "trace"))
    return Registry(found._replace(components=kept))


def test_a_run_without_the_package_leaves_no_trace_and_answers(
    data: Path, tmp_path: Path, without_trace: Registry
) -> None:
    run_pipeline(check_config(pipeline(data), "tiny.toml"), tmp_path / "run", without_trace, silent)
    assert not list((tmp_path / "run").glob("trace*"))
    assert (tmp_path / "run" / "metrics.json").exists()
    service = Recommender.open(tmp_path / "run", without_trace)
    assert service.on_answer is None
    with pytest.raises(ConfigError, match=r"trace: no reporter is called 'trace'.*pip install reasonrec-trace"):
        Recommender.open(tmp_path / "run", without_trace, trace=True)


def test_its_settings_without_the_package_say_what_to_install(tmp_path: Path, without_trace: Registry) -> None:
    config = check_config(pipeline(tmp_path / "there are no data", trace={"format": "jsonl"}), "tiny.toml")
    with pytest.raises(ConfigError, match=r"trace: no reporter is called 'trace'.*pip install reasonrec-trace"):
        run_pipeline(config, tmp_path / "run", without_trace, silent)
    assert not (tmp_path / "run").exists()


def test_who_watches_is_told_of_every_request_that_was_answered(finished: Path) -> None:
    service, heard = Recommender.open(finished), []
    service.on_answer = lambda batch, outcome, user: heard.append((len(batch), outcome.decisions.route[0], user))
    user = service.dataset.users.column("user_id").to_pylist()[0]
    answers = [service.recommend(user=user), service.recommend(history=list(service.dataset.catalog.ids[:2]))]
    assert heard == [(1, answers[0].route, user), (1, answers[1].route, None)]

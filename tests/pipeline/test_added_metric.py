"""A metric of a plugin stands in the table, in reports and in the results, with interval and significance."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from reasonrec_core.config import ReportConfig, check_config
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.hookspecs import ComponentSpec, Kind
from reasonrec_core.pipeline.reports import tabulate_results
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.plugins import Installed, Registered, installed
from reasonrec_core.registry import Registry

from .conftest import PIPELINE, pipeline, silent

CODE = """
from reasonrec_core.components import MetricInfo

def first_is_right(lists, k):
    return lists.sum_hits(1.0 * (lists.hits.rank == 1), k) + lists.undefined

def of_wrong_length(lists):
    return lists.undefined[1:]

TOP = MetricInfo("Top", first_is_right, "higher", "share of queries whose first of {k} is right")
BROKEN = MetricInfo("Broken", of_wrong_length, "lower", "no metric", cutoff=False)
"""
RANKING = ("sequential", "direct")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    site = tmp_path_factory.mktemp("site")
    (site / "added_metric.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        found = installed()
        specs = [ComponentSpec(n.lower(), f"added_metric:{n.upper()}", n, RANKING) for n in ("Top", "Broken")]
        added = [Registered(Kind.METRIC, spec, "reasonrec-added", "0.1.0") for spec in specs]
        yield Registry(Installed((*found.components, *added), found.commands, found.problems))
    sys.modules.pop("added_metric", None)


def settings(data: Path, metrics: list[str], **more: object) -> dict[str, object]:
    evaluate = {**PIPELINE["evaluate"], "faithfulness": 0, "metrics": metrics, **more}  # type: ignore[dict-item]
    return pipeline(data, evaluate=evaluate)


@pytest.fixture(scope="module")
def run(data: Path, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    folder = tmp_path_factory.mktemp("runs") / "added"
    wanted = ["top", "mrr", "recall", "precision", "map", "coverage", "novelty", "popularity"]
    return folder, run_pipeline(check_config(settings(data, wanted), "tiny.toml"), folder, registry, silent)


def test_it_stands_in_the_results_with_interval_and_p_value(run: tuple[Path, Results]) -> None:
    folder, results = run
    assert Results.read(folder) == results
    for system, values in results.systems.items():
        for name in ("Top@3", "Top@5", "Top@5[uni9]"):
            found = values[name]
            assert found.value is not None, system
            assert found.low is not None
            assert found.high is not None
            assert found.low <= found.value <= found.high
    compared = [row for row in results.comparisons if row.metric == "Top@5"]
    assert {(row.a, row.b) for row in compared} == {(r.a, r.b) for r in results.comparisons if r.metric == "NDCG@5"}
    assert all(row.p is not None and row.p_corrected is not None and row.p <= row.p_corrected for row in compared)
    assert results.metrics["Top"].meaning == "share of queries whose first of {k} is right"


def test_it_moves_no_other_number(run: tuple[Path, Results], finished: Path) -> None:
    before, after = Results.read(finished), run[1]
    for system, values in before.systems.items():
        for name, found in values.items():
            assert after.systems[system][name] == found, (system, name)
    p = {(row.a, row.b, row.metric): row.p for row in after.comparisons}
    assert all(p[row.a, row.b, row.metric] == row.p for row in before.comparisons)


def test_it_stands_in_the_table_and_in_the_report(run: tuple[Path, Results]) -> None:
    folder, results = run
    sink = io.StringIO()
    table = tabulate_results(results, ReportConfig(), Registry.discover())
    Console(file=sink, width=200).print(table)
    header = next(line for line in sink.getvalue().splitlines() if line.startswith("system"))
    assert "Top@5" in header
    page = (folder / "report.html").read_text()
    assert "Top@5" in page
    assert "share of queries whose first of 5 is right" in page


def test_only_what_is_wanted_is_computed(data: Path, registry: Registry, tmp_path: Path) -> None:
    config = check_config(settings(data, ["coverage"], tasks=["sequential"]), "tiny.toml")
    results = run_pipeline(config, tmp_path / "run", registry, silent)
    families = {name.partition("@")[0] for values in results.systems.values() for name in values}
    assert families == {"NDCG", "HR", "Coverage"}


def test_a_metric_that_breaks_its_word_is_named(data: Path, registry: Registry, tmp_path: Path) -> None:
    config = check_config(settings(data, ["broken"]), "tiny.toml")
    with pytest.raises(PluginError, match=r"metric 'Broken': returned float64\[\d+\] for \d+ values"):
        run_pipeline(config, tmp_path / "run", registry, silent)


def test_a_metric_that_is_not_there(data: Path, registry: Registry, tmp_path: Path) -> None:
    config = check_config(settings(data, ["ndgc"]), "tiny.toml")
    with pytest.raises(ConfigError, match="ndcg"):
        run_pipeline(config, tmp_path / "run", registry, silent)

"""What reporters measure, export and write of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonrec_core.components import Reporter
from reasonrec_core.config import CHECKS, TRACE, PipelineConfig, ReportConfig
from reasonrec_core.errors import PluginError
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.hookspecs import Kind
from reasonrec_core.io import write_json
from reasonrec_core.pipeline.evaluate import EvaluatedRun
from reasonrec_core.registry import Registry

if TYPE_CHECKING:
    from rich.console import RenderableType

REPORTS = "reports.json"
"""Names of the files that reporters wrote into a run folder."""
FAITHFULNESS = "faithfulness"


def check_reporters(config: PipelineConfig, registry: Registry) -> None:
    """Refuse reporters that are not installed, and settings that none could work with, before any data is read.

    Raises:
        ConfigError: what is wrong, and what to do.
    """
    for name, reporter in make_reporters(config.report, registry, config.trace_settings):
        with registry.guard(Kind.REPORTER, name, "check"):
            reporter.check()


def run_analyses(run: EvaluatedRun) -> dict[str, Any]:
    """Fields of `Results` that reporters measured (`Reporter.analyse`).

    Raises:
        PluginError: a reporter fails, gives a section that it does not declare, or one that another gave.
    """
    prepared, sections, analyses = run.prepared, dict[str, Any](), dict[str, dict[str, Any]]()
    reporters = list(make_reporters(run.config.report, prepared.registry, run.config.trace_settings))
    if run.agent.policy is not None and run.config.evaluate.faithfulness and FAITHFULNESS not in dict(reporters):
        prepared.run.say(
            "Faithfulness is not measured: that needs the reporter 'faithfulness' (pip install "
            "reasonrec-explain). If you do not want it, set evaluate.faithfulness = 0."
        )
    for name, reporter in reporters:
        with prepared.registry.guard(Kind.REPORTER, name, "analyse"):
            found = reporter.analyse(replace(run, reporter=name))
        if not found:
            continue
        if not reporter.sections:
            analyses[name] = dict(found)
            continue
        wrong = sorted((found.keys() - {*reporter.sections}) | (found.keys() & sections.keys()))
        if wrong:
            raise PluginError(f"the reporter {name!r} returns {wrong[0]!r}, which belongs to another")
        sections |= found
    return sections | {"analyses": analyses}


def export_run(run: EvaluatedRun) -> list[Path]:
    """Let every reporter write what only an evaluated run can give; gives the files.

    Raises:
        PluginError: a reporter fails.
    """
    files: list[Path] = []
    for name, reporter in make_reporters(run.config.report, run.prepared.registry, run.config.trace_settings):
        with run.prepared.registry.guard(Kind.REPORTER, name, "export"):
            files += reporter.export(replace(run, reporter=name))
    return files


def write_reports(
    results: Results, run_folder: Path, config: ReportConfig, registry: Registry, out: Path | None = None
) -> list[Path]:
    """Let every reporter write; gives the files. ``out``: where to, the run folder by default.

    Raises:
        ConfigError: a reporter is not installed, or its settings are wrong.
        PluginError: a reporter fails.
    """
    files: list[Path] = []
    for name, reporter in make_reporters(config, registry):
        with registry.guard(Kind.REPORTER, name, "write"):
            files += reporter.write(results, run_folder, out or run_folder)
    if out is None:
        write_json(run_folder / REPORTS, [str(path.relative_to(run_folder)) for path in files])
    return files


def summarise_results(results: Results, run_folder: Path, config: ReportConfig, registry: Registry) -> list[str]:
    """What reporters say of a run in sentences."""
    said: list[str] = []
    for name, reporter in make_reporters(config, registry):
        with registry.guard(Kind.REPORTER, name, "summarise"):
            said += reporter.summarise(results, run_folder)
    return said


def find_failures(results: Results, config: ReportConfig, registry: Registry) -> list[str]:
    """What reporters find that fails the run."""
    failed: list[str] = []
    for name, reporter in make_reporters(config, registry):
        with registry.guard(Kind.REPORTER, name, "find_failures"):
            failed += reporter.find_failures(results)
    return failed


def tabulate_results(results: Results, config: ReportConfig, registry: Registry) -> RenderableType | None:
    """The first table that a reporter gives; None where none does."""
    for name, reporter in make_reporters(config, registry):
        with registry.guard(Kind.REPORTER, name, "tabulate"):
            if (table := reporter.tabulate(results)) is not None:
                return table
    return None


def make_reporters(
    config: ReportConfig, registry: Registry, trace: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, Reporter[Any]]]:
    """The reporters that the settings name, else all that are installed.

    ``trace``: settings of the reporter of that name, which is one of them where there are any.
    """
    wanted: list[tuple[str, Any]]
    if config.reporters is None:
        wanted = [(name, {}) for name in registry.names(Kind.REPORTER)]
    else:
        wanted = [(each.name, each.settings) for each in config.reporters]
    for own, given in ((TRACE, trace), (CHECKS, {"limits": config.checks} if config.checks else None)):
        if given:
            wanted = [*(each for each in wanted if each[0] != own), (own, given)]
    for name, settings in wanted:
        where = TRACE if trace and name == TRACE else f"report.reporters.{name}"
        yield name, registry.create(Kind.REPORTER, name, settings, where=where)

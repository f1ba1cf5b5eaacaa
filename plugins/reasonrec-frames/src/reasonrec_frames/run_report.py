"""The report of a finished run, written again and shown in a notebook."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reasonrec_core.config import load_config
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.pipeline.reports import summarise_results, write_reports
from reasonrec_core.registry import Registry
from reasonrec_frames.html import make_paragraphs


@dataclass(frozen=True)
class WrittenReport:
    """The report of a run: where its page is, and what it says first."""

    path: Path
    sentences: tuple[str, ...]

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        return "\n".join([*self.sentences, f"Report: {self.path}"])

    def _repr_html_(self) -> str:
        return make_paragraphs([*self.sentences, f"The whole report, one page that opens offline: {self.path}"])


def rewrite_report(results: Results, run: Path, out: str | os.PathLike[str] | None = None) -> WrittenReport:
    """Let the run's reporters write, into ``out`` or the run folder, and say what they say first."""
    config, registry = load_config(run / "config.toml").report, Registry.discover()
    folder = None if out is None else Path(out)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    files = write_reports(results, run, config, registry, folder)
    page = next((each for each in files if each.suffix == ".html"), run / "metrics.json")
    return WrittenReport(page, tuple(summarise_results(results, run, config, registry)))

"""The reporter ``trace``: the trace of a run, and of the requests that are answered from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reasonrec_core.components import Reporter, RequestWatcher
from reasonrec_trace.config import TraceConfig
from reasonrec_trace.pseudonyms import make_hasher

if TYPE_CHECKING:
    from reasonrec_core.pipeline import EvaluatedRun, FinishedRun


class TraceReporter(Reporter[TraceConfig]):
    """Writes a row per decision; other reporters and ``reasonrec trace`` read them."""

    Config = TraceConfig

    def check(self) -> None:
        """A missing key is said now, not after hours of fitting."""
        make_hasher(self.config)

    def export(self, run: EvaluatedRun) -> list[Path]:
        """A trace per task in the wanted formats; those that an earlier run left otherwise are removed."""
        from reasonrec_trace.export import write_traces

        return write_traces(run, self.config)

    def watch(self, service: FinishedRun) -> RequestWatcher | None:
        """Records every answered request, where the settings want it."""
        from reasonrec_trace.request_trace import RequestTrace

        if not self.config.requests:
            return None
        return RequestTrace(service.run.path, service.config, self.config, service.dataset, service.agent)

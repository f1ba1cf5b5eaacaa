"""The trace: one row per decision: what was asked, what was answered, by whom, why, how sure, and at what price.

Ids are the user's own strings (or keyed hashes of them), so that a trace can be read without the dataset it was made
from. `open_trace` and `read_trace` read one, `TraceWriter` and `RequestLog` write one, `replay` decides again.
Names are imported when they are first asked for: plugins are listed without pyarrow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_trace.batch import TraceBatch as TraceBatch
    from reasonrec_trace.pseudonyms import Hasher as Hasher
    from reasonrec_trace.reader import TRACE_FILES as TRACE_FILES
    from reasonrec_trace.reader import Trace as Trace
    from reasonrec_trace.reader import TraceFile as TraceFile
    from reasonrec_trace.reader import find_trace as find_trace
    from reasonrec_trace.reader import open_trace as open_trace
    from reasonrec_trace.reader import read_trace as read_trace
    from reasonrec_trace.request_log import RequestLog as RequestLog
    from reasonrec_trace.schema import Header as Header
    from reasonrec_trace.schema import RankedAnswer as RankedAnswer
    from reasonrec_trace.schema import TraceRecord as TraceRecord
    from reasonrec_trace.schema import UncertaintyValue as UncertaintyValue
    from reasonrec_trace.writer import TraceWriter as TraceWriter

_MODULES = {
    "TRACE_FILES": "reader",
    "Hasher": "pseudonyms",
    "Header": "schema",
    "RankedAnswer": "schema",
    "RequestLog": "request_log",
    "Trace": "reader",
    "TraceBatch": "batch",
    "TraceFile": "reader",
    "TraceRecord": "schema",
    "TraceWriter": "writer",
    "UncertaintyValue": "schema",
    "find_trace": "reader",
    "open_trace": "reader",
    "read_trace": "reader",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

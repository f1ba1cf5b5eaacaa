"""One row per decision: what was asked, what was answered, by whom, why, how sure, and at what price.

Ids are the user's own strings (or keyed hashes of them), so that a trace can be read without the dataset it was made
from. `TraceWriter` takes whole batches of arrays (`TraceBatch`) or single records, `RequestLog` single requests;
`open_trace` and `read_trace` give them back.
"""

from reasonrec_core.trace.batch import TraceBatch
from reasonrec_core.trace.reader import Trace, TraceFile, find_trace, open_trace, read_trace
from reasonrec_core.trace.request_log import Hasher, RequestLog, make_hasher
from reasonrec_core.trace.schema import (
    SCHEMA,
    Header,
    RankedAnswer,
    TraceConfig,
    TraceRecord,
    UncertaintyValue,
)
from reasonrec_core.trace.writer import TraceWriter

__all__ = [
    "SCHEMA",
    "Hasher",
    "Header",
    "RankedAnswer",
    "RequestLog",
    "Trace",
    "TraceBatch",
    "TraceConfig",
    "TraceFile",
    "TraceRecord",
    "TraceWriter",
    "UncertaintyValue",
    "find_trace",
    "make_hasher",
    "open_trace",
    "read_trace",
]

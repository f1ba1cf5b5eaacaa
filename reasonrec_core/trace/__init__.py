"""One Parquet row per decision: what was asked, what was answered, by whom, why, how sure, and at what price.

Ids are the user's own strings, so that a trace can be read without the dataset it was made from. `TraceWriter`
takes whole batches of arrays (`TraceBatch`) or single records; `read_trace` gives the records back.
"""

from reasonrec_core.trace.reader import Trace, read_trace
from reasonrec_core.trace.record import SCHEMA, TraceBatch, TraceRecord, step_as_dict, step_from_dict
from reasonrec_core.trace.writer import TraceWriter

__all__ = [
    "SCHEMA",
    "Trace",
    "TraceBatch",
    "TraceRecord",
    "TraceWriter",
    "read_trace",
    "step_as_dict",
    "step_from_dict",
]

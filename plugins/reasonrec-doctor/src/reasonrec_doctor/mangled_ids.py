"""Are ids what they were?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from reasonrec_datasets import find_mangled_ids

from reasonrec_core.data.columns import flatten_column
from reasonrec_doctor.finding import Examined, Finding, Severity

NAME = "mangled-ids"


def check(examined: Examined) -> list[Finding]:
    """Ids that a spreadsheet shortened (1.23457E+12) or took for dates (5-Mar): several became one."""
    users = flatten_column(examined.dataset.users.column("user_id"))
    named = {"users": users, "items": pa.array(examined.dataset.catalog.ids, pa.string())}
    found = []
    for what, ids in named.items():
        rows = np.flatnonzero(find_mangled_ids(ids).to_numpy(zero_copy_only=False))
        if len(rows):
            message = f"ids of {what} look as if a spreadsheet had changed them: several may have become one"
            remedy = "Export the source again with ids as text."
            example = ids[int(rows[0])].as_py()
            found.append(Finding(NAME, Severity.WARNING, message, len(rows), len(ids), example, remedy))
    return found

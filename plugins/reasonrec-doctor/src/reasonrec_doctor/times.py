"""Are times what they seem to be?"""

from __future__ import annotations

import numpy as np
from reasonrec_datasets import find_implausible_times, show_time

from reasonrec_doctor.finding import Examined, Finding, Severity

NAME = "times"


def check(examined: Examined) -> list[Finding]:
    """Times before 1990 or after next year: most likely in another unit or form than they were read in."""
    dataset, log = examined.dataset, examined.dataset.interactions
    odd = np.flatnonzero(find_implausible_times(log.times)) if dataset.has_clock else np.zeros(0, np.int64)
    if not len(odd):
        return []
    row = int(odd[0])
    return [
        Finding(
            NAME,
            Severity.WARNING,
            "times are before 1990 or after next year, so they are probably read in the wrong unit or format",
            len(odd),
            len(log),
            f"user {examined.user(int(log.users[row]))}: {examined.item(int(log.items[row]))} "
            f"at {show_time(float(log.times[row]))}",
            "Import the data again and say how times are written (--time-unit, --time-format).",
        )
    ]

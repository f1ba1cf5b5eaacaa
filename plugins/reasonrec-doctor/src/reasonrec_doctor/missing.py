"""Which items have nothing to look at?"""

from __future__ import annotations

import numpy as np

from reasonrec_core.types import Bool
from reasonrec_doctor.finding import Examined, Finding, Severity

NAME = "missing"


def check(examined: Examined) -> list[Finding]:
    """Items without text, items without an image; a catalogue without images at all is only noted."""
    catalog = examined.dataset.catalog
    found = []
    for what, present in (
        ("text", np.array([text is not None for text in catalog.texts()])),
        ("image", catalog.has_image),
    ):
        if not present.all():
            found.append(_finding(examined, what, present))
    return found


def _finding(examined: Examined, what: str, present: Bool) -> Finding:
    none = not present.any()
    return Finding(
        NAME,
        Severity.INFO if none else Severity.WARNING,
        f"no item has {'text' if what == 'text' else 'an image'}" if none else f"items without {what}",
        int((~present).sum()),
        len(present),
        f"item {examined.item(int(np.flatnonzero(~present)[0]))}",
        f"Components treat them as having no {what}; add it where you can, or report results without these items.",
    )

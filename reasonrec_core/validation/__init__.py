"""What a component's answer must look like. The pipeline and the conformance suites check with these functions.

Each returns the answer it was given, or raises a `PluginError` that says what is wrong; call it inside
`reasonrec_core.registry.guard`, which adds whose answer it was. All checks are linear in the size of the answer.
"""

from reasonrec_core.validation.answers import (
    checked_deliberation,
    checked_distribution,
    checked_probability,
    checked_samples,
    checked_scores,
    checked_uncertainty,
    checked_vectors,
    width,
)
from reasonrec_core.validation.edits import checked_attribution, checked_beliefs, checked_edits
from reasonrec_core.validation.rankings import HistoryMask, among, checked_ranking

__all__ = [
    "HistoryMask",
    "among",
    "checked_attribution",
    "checked_beliefs",
    "checked_deliberation",
    "checked_distribution",
    "checked_edits",
    "checked_probability",
    "checked_ranking",
    "checked_samples",
    "checked_scores",
    "checked_uncertainty",
    "checked_vectors",
    "width",
]

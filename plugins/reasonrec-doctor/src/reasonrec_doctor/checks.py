"""The leakage doctor: what in the data or its split would make results wrong, with a count, an example, a remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reasonrec_core.data import SplitConfig, make_split
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import Split
from reasonrec_core.errors import DataError
from reasonrec_core.types import Progress, no_progress
from reasonrec_doctor import (
    duplicates,
    future,
    history,
    id_leakage,
    mangled_ids,
    missing,
    pictures,
    reviews,
    ties,
    times,
)
from reasonrec_doctor.finding import Check, Examined, Finding, Severity
from reasonrec_doctor.prompts import check_prompts

__all__ = ["CHECKS", "Finding", "Severity", "check_dataset", "check_prompts", "examine_dataset", "is_safe"]

CHECKS: Mapping[str, Check] = {
    id_leakage.NAME: id_leakage.check,
    history.NAME: history.check,
    future.NAME: future.check,
    ties.NAME: ties.check,
    times.NAME: times.check,
    mangled_ids.NAME: mangled_ids.check,
    duplicates.ITEMS: duplicates.check_items,
    duplicates.INTERACTIONS: duplicates.check_interactions,
    missing.NAME: missing.check,
    reviews.NAME: reviews.check,
    pictures.UNREADABLE: pictures.check,
}
"""The checks by name, in the order in which they run; that of pictures also finds identical ones."""


def check_dataset(
    dataset: Dataset, split: Split | None, *, checks: Sequence[str] = tuple(CHECKS), progress: Progress = no_progress
) -> list[Finding]:
    """Run ``checks`` on a dataset and the way it is split; checks of the split are skipped where that is None."""
    examined = Examined(dataset, split, progress)
    return [finding for name in checks for finding in CHECKS[name](examined)]


def examine_dataset(
    dataset: Dataset, config: SplitConfig, *, checks: Sequence[str] = tuple(CHECKS), progress: Progress = no_progress
) -> tuple[list[Finding], Split | None]:
    """Split and check; data that cannot be split so is a finding, and the checks of the data itself still run."""
    try:
        split, found = make_split(dataset, config), []
    except DataError as error:
        fix = error.fix or "Choose another split."
        split = None
        found = [Finding("split", Severity.ERROR, error.what, len(dataset), len(dataset), config.kind, fix)]
    return found + check_dataset(dataset, split, checks=checks, progress=progress), split


def is_safe(findings: Sequence[Finding]) -> bool:
    """Whether no finding is an error."""
    return all(finding.severity is not Severity.ERROR for finding in findings)

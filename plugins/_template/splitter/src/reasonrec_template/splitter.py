"""A splitter: each user's last few interactions are held out."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from reasonrec_core.components import Splitter, SplitterSettings
from reasonrec_core.data import TEST, TRAIN, VALID, Dataset, Division, make_user_cases
from reasonrec_core.errors import DataError
from reasonrec_core.types import Interactions


class TemplateConfig(SplitterSettings):
    """Settings of `Template`, in a pipeline under ``[split]``."""

    last: int = Field(2, ge=1, description="Interactions per user in the test, and as many before them to validate.")


class Template(Splitter[TemplateConfig]):
    """The last few interactions of each user are tested, as many before them validate, the rest trains."""

    Config = TemplateConfig

    def divide(self, dataset: Dataset, log: Interactions) -> Division:
        """Cut each user's sequence from its end; ``log`` is sorted by user, oldest first."""
        n, last = dataset.n_users, self.config.last
        lengths = np.bincount(log.users, minlength=n)
        from_end = np.repeat(np.cumsum(lengths), lengths) - 1 - np.arange(len(log))
        long = lengths[log.users] > 2 * last
        parts = np.full(len(log), TRAIN, np.uint8)
        parts[long & (from_end < 2 * last)] = VALID
        parts[long & (from_end < last)] = TEST
        if not long.any():
            what = f"no user has {2 * last + 1} interactions (the longest sequence: {lengths.max(initial=0)})"
            raise DataError(what, where=dataset.name, fix="Set a smaller last.")
        valid = make_user_cases(log, parts == TRAIN, parts == VALID, n)
        test = make_user_cases(log, parts != TEST, parts == TEST, n)
        words = f"per user the last {last} interactions are tested, {last} before them validate, the rest trains"
        return Division(parts, valid, test, words)

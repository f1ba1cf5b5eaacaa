"""The splitter leave-one-out."""

from __future__ import annotations

import numpy as np

from reasonrec_core.components import Splitter, SplitterSettings
from reasonrec_core.data import Dataset, Division, cut_sequences
from reasonrec_core.types import Interactions


class LeaveOneOut(Splitter[SplitterSettings]):
    """The last interaction of each user is tested, the one before validates, the rest trains."""

    Config = SplitterSettings

    def divide(self, dataset: Dataset, log: Interactions) -> Division:
        """Cut two interactions from the end of each user's sequence."""
        ones = np.ones(dataset.n_users, np.int64)
        words = "leave-one-out: per user, test on the last interaction, validate on the one before, train on the rest"
        return cut_sequences(dataset, log, ones, ones, words)

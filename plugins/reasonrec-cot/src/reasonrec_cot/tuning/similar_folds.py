"""Similar users of training rows, found by vectors that know nothing of the row's own user."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.types import Int64, QueryBatch
from reasonrec_cot.items.similar_prompt import SimilarDescriber
from reasonrec_cot.items.similar_users import SimilarUsers
from reasonrec_cot.prompting.similar_choices import SimilarChoices
from reasonrec_cot.similar_config import SimilarUsersConfig


@dataclass(frozen=True)
class SimilarFolds:
    """Cross-fitting by users: a `DescribeSimilar` of training rows.

    The delegate is fitted once without each fold of users, and a row is described by the fit without its own user.
    So neither its label nor anything that its user did later can reach its prompt; what others did counts where it
    came before the row.

    Attributes:
        folds: int64[n_users], drawn whatever users did.
        parts: per fold what the others did; fitted without the users of the fold.
    """

    folds: Int64
    parts: tuple[SimilarDescriber, ...]

    @classmethod
    def fit(cls, config: SimilarUsersConfig, data: FitData) -> SimilarFolds:
        """Fit the delegate ``config.folds`` times."""
        folds = np.random.default_rng(data.seed).permutation(data.n_users) % config.folds
        parts = []
        for fold in range(min(config.folds, data.n_users)):
            others = replace(data, train=data.train.take(folds[data.train.users] != fold), valid=None)
            parts.append(SimilarDescriber(SimilarUsers.fit(config, others), data.observation))
        return cls(folds.astype(np.int64), tuple(parts))

    def __call__(self, batch: QueryBatch) -> list[SimilarChoices]:
        """What similar users did before each row of ``batch``, which has one candidate a row."""
        folds, found = self.folds[batch.users], []
        for fold, describe in enumerate(self.parts):
            rows = np.flatnonzero(folds == fold)
            found += describe(batch.take(rows)) if len(rows) else []
        back = np.argsort(np.argsort(folds, kind="stable"))
        return [found[at] for at in back.tolist()]

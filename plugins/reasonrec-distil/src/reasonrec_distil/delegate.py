"""Delegate `distilled`: what a policy or several delegates answer, in a fraction of their time.

Knowledge distillation for rankings: the student learns the teacher's lists for beginnings of users' histories, without
the items that the teacher saw follow: the shares, or with ``order = "easy-to-hard"`` first those and then the order of
the best (after HetComp, Kang et al., WWW 2023, whose teachers' snapshots are replaced by the order of these two
losses). It answers by one product with all item vectors and by links between items; both start from what the teacher
answers to each item alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from reasonrec_torch.learning_delegate import LearningDelegate, TrainingPlan

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.components import FitData, ReasoningPolicy, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Observation, QueryBatch
from reasonrec_distil.config import DistilledConfig
from reasonrec_distil.student import Student
from reasonrec_distil.teachers import Teachers

if TYPE_CHECKING:
    from reasonrec_distil.network import StudentNetwork

LOGITS = 3 << 20
"""Scores of a training step, at most."""


class Distilled(LearningDelegate[DistilledConfig, "StudentNetwork"]):
    """The student of a teacher; see the module.

    Users are their histories, so an unknown one is answered like any other. An item that came after the fit is ranked
    last, and says nothing in a history: only its teacher knows it.
    """

    Config = DistilledConfig
    _student: Student

    def __init__(self, config: DistilledConfig) -> None:
        super().__init__(config)
        self._teachers = Teachers(config)

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """Get to know the policy, which is asked while this learns, and never again."""
        self._teachers.policy = policy

    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[StudentNetwork]:
        """What the teacher answers; of a student that is fitted again the teacher was fitted again before."""
        from reasonrec_distil.network import StudentNetwork
        from reasonrec_distil.training_rows import collect_rows

        if fitted is not None:
            self._teachers = fitted._teachers.refit(data)
        training = self.config.training
        batch = min(training.batch, max(LOGITS // self._n_items, 8))
        links, rows = collect_rows(self._teachers.find_answer(data), self.config, data, batch)
        return TrainingPlan(
            lambda: StudentNetwork(self.config, links),
            rows,
            training,
            self.judge_answers(data),
            label="train the student",
        )

    def keep(self, network: StudentNetwork) -> None:
        """Take the student as arrays."""
        from reasonrec_distil.network import export_student

        self._student = export_student(network)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: products and links; items that came after the fit are last."""
        return pick_candidates(score_histories(self._student, batch, self._n_items), batch)

    def save(self, folder: Path) -> None:
        """Write the student's arrays."""
        super().save(folder)
        self._student.save(folder)
        self._teachers.save(folder)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self._teachers.folder, self._student = folder, Student.load(folder)
        return self


def score_histories(student: Student, batch: QueryBatch, n_items: int) -> Float32:
    """float32[B, n_items]."""
    scores, fitted = student.score(batch.history), len(student.items)
    if n_items == fitted:
        return scores
    wide = np.concatenate([scores, np.zeros((len(scores), n_items - fitted), np.float32)], axis=1)
    last_of_all(wide, np.arange(n_items), fitted)
    return wide

"""Delegate `distilled`: what a policy or several delegates answer, in a fraction of their time.

Knowledge distillation for rankings: the student learns the teacher's lists for beginnings of users' histories, without
the items that the teacher saw follow: the shares, or with ``order = "easy-to-hard"`` first those and then the order of
the best (after HetComp, Kang et al., WWW 2023, whose teachers' snapshots are replaced by the order of these two
losses). It answers by one product with all item vectors and by links between items; both start from what the teacher
answers to each item alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from reasonrec_torch.learning_delegate import LearningDelegate, TrainingPlan

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.components import Delegate, FitData, ReasoningPolicy, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.types import Float32, Observation, QueryBatch
from reasonrec_distil.config import POLICY, DistilledConfig
from reasonrec_distil.student import Student

if TYPE_CHECKING:
    from reasonrec_distil.network import StudentNetwork
    from reasonrec_distil.teacher import Answer

TEACHERS = "teachers"
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
        self._policy: ReasoningPolicy[Any] | None = None
        self._teachers: dict[str, Delegate[Any]] = {}
        self._folder: Path | None = None

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """Get to know the policy, which is asked while this learns, and never again."""
        self._policy = policy

    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[StudentNetwork]:
        """What the teacher answers; of a student that is fitted again the teacher was fitted again before."""
        from reasonrec_distil.network import StudentNetwork
        from reasonrec_distil.training_rows import collect_rows

        if fitted is not None:
            self._policy = fitted._policy
            self._teachers = {name: fitted._refit_teacher(name, data) for name in self._delegates}
        training = self.config.training
        batch = min(training.batch, max(LOGITS // self._n_items, 8))
        links, rows = collect_rows(self._find_teacher(data), self.config, data, batch)
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

    def _find_teacher(self, data: FitData) -> Answer:
        from reasonrec_distil.teacher import ask_delegates, ask_policy

        teacher = self.config.teacher
        if teacher == POLICY:
            if self._policy is None:
                raise ConfigError(
                    "there is no policy to learn from",
                    where="teacher",
                    fix='Set a policy, or name delegates: teacher = ["transitions"].',
                )
            return ask_policy(self._policy)
        if not self._teachers:
            self._teachers = {name: _make_delegate(name, data) for name in self._delegates}
            for name, delegate in self._teachers.items():
                delegate.fit(_of_teacher(name, data))
        return ask_delegates(list(self._teachers.values()))

    @property
    def _delegates(self) -> tuple[str, ...]:
        """Names of the delegates that teach."""
        return () if self.config.teacher == POLICY else tuple(self.config.teacher)

    def _refit_teacher(self, name: str, data: FitData) -> Delegate[Any]:
        """A teacher with what validation chose for it, fitted again."""
        made = _make_delegate(name, data)
        known = self._teachers.get(name)
        if known is None and self._folder is not None:
            known = type(made).load(self._folder / TEACHERS / name, data.catalog)
        if known is not None:
            return known.refit(_of_teacher(name, data))
        made.fit(_of_teacher(name, data))
        return made

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: products and links; items that came after the fit are last."""
        return pick_candidates(score_histories(self._student, batch, self._n_items), batch)

    def save(self, folder: Path) -> None:
        """Write the student's arrays."""
        super().save(folder)
        self._student.save(folder)
        for name, teacher in self._teachers.items():  # only `refit` asks for them again
            (folder / TEACHERS / name).mkdir(parents=True)
            teacher.save(folder / TEACHERS / name)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self._folder, self._student = folder, Student.load(folder)
        return self


def _make_delegate(name: str, data: FitData) -> Delegate[Any]:
    if data.delegate is None:
        raise PluginError("no delegates can be asked here", fix='Set teacher = "policy".')
    return data.delegate(name)


def _of_teacher(name: str, data: FitData) -> FitData:
    """The same with a folder of its own for unfinished work, which each names by itself."""
    return data if data.workdir is None else replace(data, workdir=data.workdir / TEACHERS / name)


def score_histories(student: Student, batch: QueryBatch, n_items: int) -> Float32:
    """float32[B, n_items]."""
    scores, fitted = student.score(batch.history), len(student.items)
    if n_items == fitted:
        return scores
    wide = np.concatenate([scores, np.zeros((len(scores), n_items - fitted), np.float32)], axis=1)
    last_of_all(wide, np.arange(n_items), fitted)
    return wide

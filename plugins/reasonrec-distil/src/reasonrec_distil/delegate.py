"""Delegate `distilled`: what a policy or several delegates answer, in a fraction of their time.

Knowledge distillation for rankings: the student learns the teacher's lists for histories that end where the log does,
with items missing, and for the same with an item after them that the teacher would answer: the shares, or with
``order = "easy-to-hard"`` first those and then the order of the best (after HetComp, Kang et al., WWW 2023, whose
teachers' snapshots are replaced by the order of these two losses). It answers by one product with all item vectors and
by links between items, which start from what the teacher answers to each item alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.components import Delegate, FitData, ReasoningPolicy, Refittable, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.io import content_hash, read_json, write_json
from reasonrec_core.types import Float32, Observation, QueryBatch
from reasonrec_distil.config import POLICY, DistilledConfig, DistilTraining
from reasonrec_distil.student import Student

if TYPE_CHECKING:
    from reasonrec_distil.teacher import Answer

EPOCHS, TEACHERS = "epochs.json", "teachers"
LOGITS = 3 << 20
"""Scores of a training step, at most."""


class Distilled(Delegate[DistilledConfig]):
    """The student of a teacher; see the module.

    Users are their histories, so an unknown one is answered like any other. An item that came after the fit is ranked
    last, and says nothing in a history: only its teacher knows it.
    """

    Config = DistilledConfig
    _student: Student
    _n_items: int
    _epochs: tuple[int, int]

    def __init__(self, config: DistilledConfig) -> None:
        super().__init__(config)
        self._policy: ReasoningPolicy[Any] | None = None
        self._teachers: dict[str, Delegate[Any]] = {}
        self._folder: Path | None = None

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """Get to know the policy, which is asked while this learns, and never again."""
        self._policy = policy

    def fit(self, data: FitData) -> None:
        """Ask the teacher, and learn; validation chooses the epoch."""
        self._learn(data, self.config.training)

    def refit(self, data: FitData) -> Self:
        """Learn from a teacher that was fitted again, for as many epochs as validation chose."""
        from reasonrec_torch.config import train_as_long

        again = type(self)(self.config)
        again._policy = self._policy
        again._teachers = {name: self._refit_teacher(name, data) for name in self._delegates}
        again._learn(data, train_as_long(self.config.training, *self._epochs))
        again._epochs = self._epochs
        return again

    def _learn(self, data: FitData, training: DistilTraining) -> None:
        from reasonrec_torch.devices import seeded
        from reasonrec_torch.trainer import train
        from reasonrec_torch.validation import ranking_figure

        from reasonrec_distil.network import StudentNetwork, export_student
        from reasonrec_distil.training_rows import collect_rows

        n = self._n_items = len(data.catalog)
        links, rows = collect_rows(
            self._find_teacher(data), self.config, data, min(training.batch, max(LOGITS // n, 8))
        )
        with seeded(data.seed):
            network = StudentNetwork(self.config, links)
        judged = data.valid is not None and len(data.valid.targets) > 0

        def score(model: StudentNetwork, batch: QueryBatch) -> Float32:
            return score_histories(export_student(model), batch, n)

        report = train(
            network,
            rows,
            training,
            seed=data.seed,
            validate=ranking_figure(data.valid, score, n) if judged and data.valid else None,
            progress=data.progress,
            label="train the student",
            workdir=data.workdir,
            key=content_hash(self.config.model_dump(mode="json"), network.links.detach().numpy().tobytes()),
        )
        self._student, self._epochs = export_student(network), (report.planned, report.best)

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
            for delegate in self._teachers.values():
                delegate.fit(data)
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
        if isinstance(known, Refittable):
            return known.refit(data)
        made.fit(data)
        return made

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: products and links; items that came after the fit are last."""
        return pick_candidates(score_histories(self._student, batch, self._n_items), batch)

    def save(self, folder: Path) -> None:
        """Write the student's arrays."""
        super().save(folder)
        self._student.save(folder)
        write_json(folder / EPOCHS, self._epochs)
        for name, teacher in self._teachers.items():  # only `refit` asks for them again
            (folder / TEACHERS / name).mkdir(parents=True)
            teacher.save(folder / TEACHERS / name)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self._folder = folder
        self._student, self._n_items = Student.load(folder), len(catalog)
        planned, best = read_json(folder / EPOCHS)
        self._epochs = int(planned), int(best)
        return self


def _make_delegate(name: str, data: FitData) -> Delegate[Any]:
    if data.delegate is None:
        raise PluginError("no delegates can be asked here", fix='Set teacher = "policy".')
    return data.delegate(name)


def score_histories(student: Student, batch: QueryBatch, n_items: int) -> Float32:
    """float32[B, n_items]."""
    scores, fitted = student.score(batch.history), len(student.items)
    if n_items == fitted:
        return scores
    wide = np.concatenate([scores, np.zeros((len(scores), n_items - fitted), np.float32)], axis=1)
    last_of_all(wide, np.arange(n_items), fitted)
    return wide

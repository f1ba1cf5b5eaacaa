"""The conformance suite of delegates whose network is trained, for authors: a plugin's tests subclass it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reasonrec_core.testing import DelegateConformance
from reasonrec_core.testing.component import Workplace
from reasonrec_core.types import Progress
from reasonrec_torch.learning_delegate import LearningDelegate

EPOCHS = 4
"""Of a fit that is killed."""


class LearningDelegateConformance(DelegateConformance):
    """As of all delegates, and the promises of the trainer. Subclass it and set ``component`` and ``settings``."""

    def test_killed_in_training_it_goes_on_to_the_same_weights(self, workplace: Workplace, tmp_path: Path) -> None:
        """It is killed half-way through the training of its last network, and goes on where that was."""
        task = workplace.any_task()
        data, (batch, observation, _) = workplace.data(task).fit, workplace.asked(task)

        def fit(progress: Progress, workdir: Path | None) -> Any:
            delegate = self.make()
            few = delegate.config.training.model_copy(update={"epochs": EPOCHS})
            delegate.config = delegate.config.model_copy(update={"training": few})
            self.ready(delegate, data)
            delegate.fit(replace(data, progress=progress, workdir=workdir))
            return delegate

        stages: list[str] = []
        whole = fit(lambda done, total, label: stages.append(_stage(label)), None)
        last, calls, left = stages[-1], stages.count(stages[-1]), count()

        def kill(done: int, total: int, label: str) -> None:
            if _stage(label) == last and next(left) >= calls // 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(kill, tmp_path)
        rest: list[str] = []
        again = fit(lambda done, total, label: rest.append(_stage(label)), tmp_path)
        assert 0 < rest.count(last) < calls, "it began again"
        np.testing.assert_array_equal(again.score(batch, observation), whole.score(batch, observation))

    def test_trained_as_on_a_gpu_it_answers_on_the_cpu(self, workplace: Workplace, tmp_path: Path) -> None:
        """In bfloat16, which is the default there, and on a GPU where there is one.

        Training, validation, answers, files and a second fit mix neither types nor devices.
        """
        import torch

        task, delegate = workplace.any_task(), self.make()
        made, (batch, observation, _) = workplace.data(task), workplace.asked(task)
        there = {"device": "cuda" if torch.cuda.is_available() else "cpu", "precision": "bfloat16"}
        training = delegate.config.training.model_copy(update={"epochs": EPOCHS, **there})
        delegate.config = delegate.config.model_copy(update={"training": training})
        self.ready(delegate, made.fit)
        delegate.fit(made.fit)
        scores = delegate.score(batch, observation)
        assert not np.isnan(scores).any()
        (tmp_path / "saved").mkdir()
        delegate.save(tmp_path / "saved")
        loaded = type(delegate).load(tmp_path / "saved", made.dataset.catalog)
        np.testing.assert_allclose(loaded.score(batch, observation), scores, rtol=1e-4, atol=1e-5)
        again = delegate.refit(made.fit)
        assert not np.isnan(again.score(batch, observation)).any()

    def test_saved_and_loaded_it_knows_the_epochs_that_validation_chose(self, workplace: Workplace) -> None:
        """What `refit` goes by."""
        task = workplace.any_task()
        fitted, loaded = workplace.fitted(task), workplace.loaded(task)
        assert isinstance(fitted, LearningDelegate)
        assert isinstance(loaded, LearningDelegate)
        assert loaded.epochs == fitted.epochs


def _stage(label: str) -> str:
    """What is being done, without how far it is: ``train SASRec`` of ``train SASRec, epoch 3 of 30 (...)``."""
    return label.partition(",")[0]

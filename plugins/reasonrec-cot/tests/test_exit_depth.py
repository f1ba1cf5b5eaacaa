"""How deep the model must look before its answer stands, as uncertainty."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_cot.config import CotConfig
from reasonrec_cot.exit_depth import ExitDepth
from reasonrec_cot.policy import Cot
from tiny_model import tiny_llama
from tuning_shop import SMALL

from reasonrec_core.components import Empty, FitData
from reasonrec_core.errors import PluginError
from reasonrec_core.testing import UncertaintyConformance
from reasonrec_core.testing.habits import Habits, habits
from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import Deliberation, Float32, Observation, QueryBatch, Ranking, Task


class Layered(Habits):
    """The policy of the suite, which settles the later the shorter a history is."""

    def settle_depths(self, batch: QueryBatch, observation: Observation) -> Float32:
        assert batch.candidates is not None
        depth = 1 / (1 + batch.history.lengths[:, None] + batch.candidates % 3)
        return np.where(batch.candidates >= 0, depth, 1.0).astype(np.float32)


class TestExitDepth(UncertaintyConformance):
    component = "exit-depth"

    @classmethod
    def ready(cls, component: Any, data: FitData) -> None:
        policy = Layered(Empty())
        policy.fit(data)
        component.attach(policy)


def test_another_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="needs a policy with heads between its layers"):
        ExitDepth(Empty()).attach(habits(tiny(tmp_path).fit))


def test_clicks_count_all_candidates_and_no_padding(tmp_path: Path) -> None:
    world = tiny(tmp_path, task=Task.CTR)
    asked = world.test.queries.take(np.arange(3))
    estimator, policy = ExitDepth(Empty()), Layered(Empty())
    policy.fit(world.fit)
    estimator.attach(policy)
    listed = np.array([[0, 4, -1], [2, -1, -1], [-1, -1, -1]], np.int32)
    found = estimator.estimate(replace(asked, candidates=listed), world.observation(asked), None)
    steps = 1 + asked.history.lengths
    expected = [np.mean([1 / steps[0], 1 / (steps[0] + 1)]), 1 / (steps[1] + 2), 1.0]
    assert found.total == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_tuned_policy_settles_after_a_share_of_its_layers(tmp_path: Path) -> None:
    world = tiny(tmp_path / "world")
    deep = tiny_llama(tmp_path / "deep", ("yes", "no"), num_hidden_layers=4)
    tree = {
        "backbone": {"model": str(deep), "device": "cpu", "precision": "float32"},
        "prompt": {"history": 4, "history_text": "none"},
        "shortlist": {"size": 6},
        "answer": "head",
        "exit": {"layers": [1, 2, 3]},
        "tuning": {**SMALL, "steps": 4, "validations": 1},
    }
    policy = Cot(CotConfig.model_validate(tree))
    policy.fit(world.fit)
    asked = world.test.queries
    answer = policy.deliberate(asked, world.observation(asked))
    assert "exit" not in policy.report  # no labelled rows: nothing is answered early
    assert isinstance(answer, Deliberation)
    assert isinstance(answer.ranking, Ranking)
    estimator = ExitDepth(Empty())
    estimator.attach(policy)
    found = estimator.estimate(asked, world.observation(asked), answer)
    assert set(found.total.tolist()) <= {0.25, 0.5, 0.75, 1.0}

"""The student passes the suite, comes close to its teacher, and answers without it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_distil.config import DistilledConfig
from reasonrec_distil.delegate import Distilled
from reasonrec_distil.histories import LATER, MOST, draw_histories, list_single_items
from reasonrec_distil.network import StudentNetwork, export_student, factorise_links, order_loss
from reasonrec_distil.student import FILE
from reasonrec_distil.teacher import TeacherLists, ask_policies, merge_lists
from reasonrec_distil.training_rows import leave_out, read_newest
from reasonrec_torch.testing import LearningDelegateConformance
from reasonrec_transitions.api import Transitions

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate, FitData
from reasonrec_core.errors import ConfigError, PluginError, RunError
from reasonrec_core.evaluate import evaluate_ranking
from reasonrec_core.io import read_arrays, write_arrays
from reasonrec_core.testing.tiny import N_ITEMS, Tiny, tiny
from reasonrec_core.testing.toy_policy import ToyPolicy
from reasonrec_core.types import History, Interactions, QueryBatch, Ranking, Task

SMALL: dict[str, Any] = {
    "teacher": ["transitions"],
    "dimensions": 16,
    "hidden": 16,
    "links": 20,
    "depth": 20,
    "training": {"epochs": 8, "warmup": 5, "batch": 32, "device": "cpu", "learning_rate": 0.01, "ema": 0.9},
}


def make_delegate(name: str) -> Delegate[Any]:
    return {"transitions": Transitions, "popularity": Popularity}[name](
        {"transitions": Transitions, "popularity": Popularity}[name].Config()
    )


class TestDistilled(LearningDelegateConformance):
    component = "distilled"
    settings = SMALL


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    made = tiny(tmp_path_factory.mktemp("world"))
    return replace(made, fit=replace(made.fit, delegate=make_delegate))


def fit(world: Tiny, policy: Any = None, **changes: Any) -> Distilled:
    student = Distilled(DistilledConfig.model_validate(SMALL | changes))
    if policy is not None:
        student.attach(policy)
    student.fit(world.fit)
    return student


def ndcg(answer: Any, world: Tiny) -> float:
    return evaluate_ranking(answer, world.test, (10,), n_items=N_ITEMS).values["NDCG@10"]


@pytest.mark.parametrize("order", ["plain", "easy-to-hard"])
def test_a_student_comes_close_to_its_teacher_and_far_above_popularity(world: Tiny, order: str) -> None:
    teacher, popular = make_delegate("transitions"), make_delegate("popularity")
    student = fit(world, training=SMALL["training"] | {"order": order})
    for other in (teacher, popular):
        other.fit(world.fit)
    mine, theirs, least = (
        ndcg(lambda b, d=d: d.recommend(b, world.observation(b)), world) for d in (student, teacher, popular)
    )
    assert mine > 0.85 * theirs
    assert mine > 1.5 * least


def test_a_policy_teaches_by_its_probabilities(world: Tiny) -> None:
    policy = ToyPolicy(ToyPolicy.Config())
    policy.fit(world.fit)
    student = fit(world, policy, teacher="policy")

    def answer(batch: QueryBatch) -> Ranking:
        found = policy.deliberate(batch, world.observation(batch)).ranking
        assert found is not None
        return found

    mine = ndcg(lambda batch: student.recommend(batch, world.observation(batch)), world)
    assert mine > 0.85 * ndcg(answer, world)


def test_a_plain_name_is_the_policys_or_a_delegates(world: Tiny) -> None:
    class Registered(ToyPolicy):
        """Known as `profile` where plugins are listed."""

    Registered.__module__, Registered.__qualname__ = "reasonrec_profile.policy", "Profile"
    policy = Registered(Registered.Config())
    policy.fit(world.fit)
    batch = world.test.queries
    observed = world.observation(batch)

    def scores(policy: Any, teacher: Any) -> Any:
        return fit(world, policy, teacher=teacher).score(batch, observed)

    np.testing.assert_array_equal(scores(policy, "profile"), scores(policy, "policy"))
    np.testing.assert_array_equal(scores(policy, "transitions"), scores(None, ["transitions"]))
    with pytest.raises(KeyError, match="profile"):
        scores(policy, ["profile"])  # the pipeline has no such delegate
    with pytest.raises(KeyError, match="profile"):
        scores(None, "profile")


def test_without_a_teacher_it_says_what_to_set(world: Tiny) -> None:
    with pytest.raises(ConfigError, match="there is no policy to learn from"):
        fit(world, teacher="policy")
    student = Distilled(DistilledConfig.model_validate(SMALL))
    with pytest.raises(PluginError, match="no delegates can be asked"):
        student.fit(replace(world.fit, delegate=None))


def test_the_teacher_is_asked_once(world: Tiny, tmp_path: Path) -> None:
    asked: list[int] = []

    class Counting(ToyPolicy):
        def deliberate(self, batch: QueryBatch, *rest: Any) -> Any:
            asked.append(len(batch))
            return super().deliberate(batch, *rest)

    policy = Counting(ToyPolicy.Config())
    policy.fit(world.fit)
    for _ in range(2):
        student = Distilled(DistilledConfig.model_validate(SMALL | {"teacher": "policy"}))
        student.attach(policy)
        student.fit(replace(world.fit, workdir=tmp_path))
    places = len(world.fit.train) - len(np.unique(world.fit.train.users))
    assert sum(asked) == N_ITEMS + MOST * places


def test_teachers_keep_unfinished_work_apart(world: Tiny, tmp_path: Path) -> None:
    folders: list[Path | None] = []

    class Watched(Popularity):
        def fit(self, data: FitData) -> None:
            folders.append(data.workdir)
            super().fit(data)

    names = ("one", "another")
    data = replace(world.fit, workdir=tmp_path, delegate=lambda _: Watched(Watched.Config()))
    student = Distilled(DistilledConfig.model_validate(SMALL | {"teacher": names}))
    student.fit(data)
    student.refit(replace(data, valid=None))
    assert folders == 2 * [tmp_path / "teachers" / name for name in names]


def test_answering_needs_no_learning_framework(world: Tiny, tmp_path: Path) -> None:
    fit(world).save(tmp_path)
    code = f"""
import sys
from pathlib import Path
import numpy as np, pyarrow as pa
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import History, Observation, QueryBatch, Task
from reasonrec_distil.delegate import Distilled
catalog = Catalog(pa.table({{"item_id": [str(n) for n in range({N_ITEMS} + 2)]}}))
student = Distilled.load(Path({str(tmp_path)!r}), catalog)
batch = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), History.of([[1, {N_ITEMS}]]), k=3)
print(student.recommend(batch, Observation({{}}, {{}}, np.zeros(1, np.float32))).items.tolist(), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False"), done.stdout


def test_arrays_answer_as_the_network_does() -> None:
    rng = np.random.default_rng(0)
    n, config = 30, DistilledConfig.model_validate({"dimensions": 8, "hidden": 5, "links": 4, "max_history": 6})
    items = np.stack([rng.permutation(n)[:4] for _ in range(n)]).astype(np.int32)
    network = StudentNetwork(config, TeacherLists(items, np.sort(rng.random((n, 4)).astype(np.float32))[:, ::-1]))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    rows = [rng.integers(0, n, size).tolist() for size in (1, 3, 6, 9)]
    history = History.of(rows)
    with torch.no_grad():
        expected = network(torch.from_numpy(read_newest(history, 6)).long()).numpy()
    student = export_student(network)
    scores = student.score(history)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    for row in range(len(rows)):
        alone = student.score(history.slice(row, row + 1))
        np.testing.assert_allclose(alone[0], expected[row], rtol=1e-4, atol=1e-5)


def test_a_request_alone_is_answered_as_in_a_batch() -> None:
    n, config = 9, DistilledConfig.model_validate({"dimensions": 4, "hidden": 3, "links": 2, "max_history": 3})
    network = StudentNetwork(config, TeacherLists(np.zeros((n, 2), np.int32), np.full((n, 2), 0.5, np.float32)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    student = export_student(network)
    history = History.of([[], [n + 1], [2, n + 1], [1, n, 3, n + 4], [4, 4, 5, 6, 7]])  # items that came after the fit
    alone = [student.score(history.slice(row, row + 1))[0] for row in range(len(history))]
    np.testing.assert_allclose(alone, student.score(history), rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 60), st.integers(1, 8), st.integers(0, 9))
def test_histories_are_parts_of_the_log(sizes: list[int], count: int, longest: int, seed: int) -> None:
    users = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    train = Interactions(users, np.arange(len(users), dtype=np.int32), np.zeros(len(users), np.int64))
    asked, later = draw_histories(train, len(sizes), count, longest, seed)
    places = len(train) - len(sizes)
    assert len(asked) == len(later) == min(count, MOST * places)
    ends = np.cumsum(sizes) - 1
    for row in range(len(asked)):
        items = asked.row(row)
        assert 1 <= len(items) <= longest
        assert (np.diff(items) > 0).all(), "the order of the log"
        assert len(set(users[items])) == 1
        assert items[-1] not in ends, "validation asks there"
        followed = np.arange(items[-1] + 1, ends[users[items[-1]]] + 1)[:LATER]
        assert later[row, : len(followed)].tolist() == followed.tolist()
        assert (later[row, len(followed) :] == -1).all()
        if row < places:
            assert len(items) == min(longest, items[-1] + 1 - (ends[users[items[-1]]] + 1 - sizes[users[items[-1]]]))


def test_what_the_teacher_saw_follow_is_not_learned() -> None:
    lists = TeacherLists(
        np.array([[1, 2, 3], [4, 5, -1]], np.int32), np.array([[0.5, 0.3, 0.2], [1, 0, 0]], np.float32)
    )
    left = leave_out(lists, np.array([[1, -1], [4, 9]], np.int32))
    np.testing.assert_allclose(left.shares, [[0, 0.6, 0.4], [0, 0, 0]], rtol=1e-6)
    assert left.items is lists.items


def test_without_histories_it_learns_from_single_items(world: Tiny) -> None:
    train = world.fit.train
    first = np.flatnonzero(np.r_[True, np.diff(train.users) > 0])
    student = Distilled(DistilledConfig.model_validate(SMALL))
    student.fit(replace(world.fit, train=train.take(first)))
    teacher = make_delegate("transitions")
    teacher.fit(replace(world.fit, train=train.take(first)))
    batch = QueryBatch(Task.SEQUENTIAL, np.full(N_ITEMS, -1, np.int32), list_single_items(N_ITEMS), k=5)
    theirs, mine = (each.recommend(batch, world.observation(batch)).items for each in (teacher, student))
    assert (theirs[:, 0] == mine[:, 0]).mean() > 0.5


def test_vectors_start_where_the_answers_to_single_items_are() -> None:
    rng, n = np.random.default_rng(0), 40
    shares = np.full((n, 4), 0.25, np.float32)
    items = np.stack([10 * (item // 10) + rng.permutation(10)[:4] for item in range(n)]).astype(np.int32)
    reads, scored = factorise_links(TeacherLists(items, shares), 8)
    products = (reads @ scored.T).numpy()
    near = np.equal.outer(np.arange(n) // 10, np.arange(n) // 10)
    assert products[near].mean() > 5 * abs(products[~near].mean())
    assert factorise_links(TeacherLists(items, np.zeros_like(shares)), 8)[0].std() < 0.03, "no answers: by chance"
    assert factorise_links(TeacherLists(items[:3] % 3, shares[:3]), 8)[0].shape == (3, 8), "fewer items than dimensions"


def test_an_older_student_is_refused_in_one_sentence(world: Tiny, tmp_path: Path) -> None:
    student = fit(world)
    student.save(tmp_path)
    arrays = read_arrays(tmp_path / FILE)
    del arrays["newest"]
    write_arrays(tmp_path / FILE, arrays)
    with pytest.raises(RunError, match="an earlier version of reasonrec-distil fitted this student"):
        Distilled.load(tmp_path, world.fit.catalog)


def test_lists_are_merged_by_worth() -> None:
    one = np.array([[3, 1, 2]], np.int32), np.array([[0.5, 0.4, 0.1]], np.float32)
    two = np.array([[1, 4, -1]], np.int32), np.array([[0.3, 0.2, 0.9]], np.float32)
    items, worth = merge_lists([one, two], 5)
    assert items.tolist() == [[1, 3, 4, 2, -1]]
    np.testing.assert_allclose(worth[0], [0.7, 0.5, 0.2, 0.1, 0], rtol=1e-6)


def test_policies_teach_by_the_mean_of_their_probabilities(world: Tiny, tmp_path: Path) -> None:
    seeds: list[int] = []

    class Seeded(ToyPolicy):
        def fit(self, data: FitData) -> None:
            seeds.append(data.seed)
            super().fit(data)
            self.follows += np.random.default_rng(data.seed).random(self.follows.shape, np.float32)

    policy = Seeded(Seeded.Config())
    policy.fit(world.fit)
    student = fit(world, policy, teacher="policy", policies=3)
    assert len(set(seeds)) == len(seeds) == 3
    others = student._teachers.fitted
    batch = replace(world.test.queries.slice(0, 4), k=N_ITEMS)
    seen = world.observation(batch)
    items, shares = ask_policies([policy, *others.values()])(batch, seen)  # type: ignore[list-item]
    mean = np.zeros((4, N_ITEMS))
    for each in (policy, *others.values()):
        found = each.deliberate(batch, seen)  # type: ignore[union-attr]
        there = found.ranking.items >= 0
        np.add.at(mean, (np.nonzero(there)[0], found.ranking.items[there]), found.mass[there])
    for row in range(4):
        kept = items[row] >= 0
        np.testing.assert_allclose(shares[row, kept], mean[row, items[row, kept]], rtol=1e-5)
    assert (np.diff(shares, axis=1) <= 0).all()
    student.save(tmp_path)
    again = Distilled.load(tmp_path, world.fit.catalog)
    again.attach(policy)
    again.refit(replace(world.fit, valid=None))
    assert len(seeds) == 5, "the others were fitted again, too"


def test_the_order_costs_what_plackett_and_luce_say() -> None:
    share = torch.tensor([[0.4, 0.3, 0.1, 0.05]])
    there = torch.tensor([[True, True, True, False]])
    half = (-np.log(0.4) - np.log(0.3 / 0.6)) / 2
    tenth = -np.log(0.4)
    assert float(order_loss(share.log(), there)) == pytest.approx((half + tenth) / 2, rel=1e-5)


def test_a_policy_without_probabilities_teaches_by_ranks(world: Tiny) -> None:
    class Silent(ToyPolicy):
        def deliberate(self, *given: Any) -> Any:
            return replace(super().deliberate(*given), mass=None)

    policy = Silent(ToyPolicy.Config())
    policy.fit(world.fit)
    batch = world.test.queries.slice(0, 3)
    _, shares = ask_policies([policy])(batch, world.observation(batch))
    assert shares[0, 0] == 1
    assert Task.SEQUENTIAL is batch.task
    assert (np.diff(shares, axis=1) <= 0).all()

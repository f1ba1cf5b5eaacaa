"""The policy composes words, model and answers: rankings follow from what the model finds likely."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reasonrec_cot.answers.answerer import ItemScores
from reasonrec_cot.config import CotConfig
from reasonrec_cot.policy import Cot
from reasonrec_cot.retriever import Shortlist, merge_rankings

from reasonrec_core.errors import PluginError, WeightsError
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import History, QueryBatch, Ranking, StepKind, Task


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny dataset, divided."""
    return tiny(tmp_path_factory.mktemp("world"), task=Task.DIRECT)


def made(world: Tiny, llama: Path, **settings: object) -> Cot:
    backbone = {"model": str(llama), "device": "cpu", "precision": "float32"}
    cot = Cot(CotConfig.model_validate({"backbone": backbone, "shortlist": {"size": 6}, **settings}))
    cot.fit(world.fit)
    return cot


def asked(world: Tiny, count: int = 4) -> QueryBatch:
    return world.test.queries.slice(0, count)


def test_the_model_ranks_the_shortlist_and_the_delegate_the_rest(world: Tiny, llama: Path) -> None:
    batch = asked(world)
    cot = made(world, llama)
    seen = world.observation(batch)
    answer = cot.deliberate(batch, seen)
    shortlist = cot._make_shortlist(batch, seen)
    reasoned = cot.engine.rank(replace(batch, candidates=shortlist.items))
    assert answer.ranking is not None
    assert answer.mass is not None
    for row in range(len(batch)):
        own = shortlist.items[row, np.argsort(-reasoned.answer.scores[row], kind="stable")]
        assert answer.ranking.items[row, :6].tolist() == own.tolist()
        rest = [i for i in shortlist.prior.items[row] if i not in own]
        assert answer.ranking.items[row, 6:].tolist() == rest
        assert answer.mass[row, :6].sum() == pytest.approx(1, abs=1e-5)
        assert answer.confidence[row] == pytest.approx(answer.mass[row, 0])
    assert answer.cost.tokens > reasoned.usage.tokens > 0  # the second time beginnings are known
    assert reasoned.usage.reused > 0


def test_thoughts_are_in_the_grammar_whatever_the_model_writes(world: Tiny, llama: Path) -> None:
    cot = made(world, llama, thought={"observe": 5, "deliberate": 5}, confidence="verbalised")
    batch = asked(world)
    answer = cot.deliberate(batch, world.observation(batch))
    kinds = [step.kind for step in answer.steps[0]]
    assert kinds[0] is StepKind.OBSERVE
    assert answer.steps[0][0].evidence
    assert cot.faults.texts == 3 * len(batch)  # observe, deliberate, confidence; random weights end none of them
    assert sum(cot.faults.faults.values()) >= 2 * len(batch)
    assert set(answer.confidence.tolist()) <= {np.float32(n / 100) for n in range(101)}
    plain = made(world, llama).deliberate(batch, world.observation(batch))
    assert answer.cost.tokens > plain.cost.tokens


def test_a_second_turn_stays_among_the_candidates_and_hears_the_delegates(world: Tiny, llama: Path) -> None:
    cot = made(world, llama)
    batch = asked(world)
    seen = world.observation(batch)
    assert batch.candidates is not None
    listed = batch.candidates[:, ::-1].astype(np.int32)
    scores = np.where(listed >= 0, -np.arange(listed.shape[1]), -np.inf).astype(np.float32)
    said = {"transitions": Ranking(listed, scores), "others": Ranking(np.full_like(listed, -1), scores)}
    assert cot.consults
    first, second = cot.deliberate(batch, seen), cot.consult(batch, seen, said)
    assert first.ranking is not None
    assert second.ranking is not None
    for row, listed in enumerate(batch.candidates):
        assert set(second.ranking.items[row].tolist()) <= set(listed.tolist())
    assert not np.allclose(first.mass, second.mass)  # type: ignore[arg-type]
    other = made(world, llama, answer="title")
    assert not other.consults
    with pytest.raises(PluginError, match="listed candidates"):
        other.consult(batch, seen, said)


def test_a_second_turn_of_a_request_without_candidates_is_the_first(world: Tiny, llama: Path) -> None:
    cot, batch = made(world, llama), asked(world)
    assert batch.candidates is not None
    none = batch.candidates.copy()
    none[0] = -1
    bare, seen = replace(batch, candidates=none), world.observation(batch)
    said = {"transitions": Ranking(none, np.where(none >= 0, np.float32(1), np.float32(-np.inf)))}
    ranking = cot.consult(bare, seen, said).ranking
    assert ranking is not None
    assert (ranking.items[0] == -1).all()
    assert (ranking.items[1] >= 0).any()


def test_a_shuffled_list_depends_on_the_request_alone(world: Tiny, llama: Path) -> None:
    cot = made(world, llama, shortlist={"size": 6, "order": "shuffled"})
    ranked = made(world, llama)
    batch = asked(world)
    seen = world.observation(batch)
    listed, prior = cot._make_shortlist(batch, seen).items, ranked._make_shortlist(batch, seen).items
    assert np.array_equal(np.sort(listed), np.sort(prior))
    assert not np.array_equal(listed, prior)
    one = np.array([2], np.intp)
    assert np.array_equal(cot._make_shortlist(batch.take(one), seen.take(one)).items[0], listed[2])


def test_what_is_not_answered_follows_in_the_delegates_order() -> None:
    batch = QueryBatch(Task.SEQUENTIAL, np.full(1, -1, np.int32), History.of([[]]), 4)
    prior = Ranking(np.array([[7, 3, 5, 1, 2]], np.int32), np.arange(5, 0, -1, dtype=np.float32)[None])
    scores = np.full((1, 8), -np.inf, np.float32)
    scores[0, [3, 6]] = -2, -1
    answer = ItemScores(scores, np.where(np.isfinite(scores), np.float32(0.5), np.float32(0)))
    ranking, mass = merge_rankings(answer, Shortlist(prior.items, prior), batch, batch)
    assert ranking.items.tolist() == [[6, 3, 7, 5]]
    assert (np.diff(ranking.scores[0]) < 0).all()
    assert mass.tolist() == [[0.5, 0.5, 0, 0]]


def test_other_weights_are_refused(world: Tiny, llama: Path, tmp_path: Path) -> None:
    from tiny_model import tiny_llama

    cot = made(world, llama)
    folder = tmp_path / "saved"
    folder.mkdir()
    cot.save(folder)
    text = (folder / "config.json").read_text()
    other = tiny_llama(tmp_path / "other", hidden_size=16)
    (folder / "config.json").write_text(text.replace(str(llama), str(other)))
    with pytest.raises(WeightsError, match="fitted with other weights"):
        Cot.load(folder, world.dataset.catalog)

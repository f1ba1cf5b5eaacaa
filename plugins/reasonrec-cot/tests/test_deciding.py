"""The decision: several sources weighed, one alone where weighing does not help, other weights for other candidates."""

from __future__ import annotations

import json

import numpy as np
from reasonrec_cot.answers.answerer import ItemScores, softmax
from reasonrec_cot.answers.fit_fusion import CROSSED, fit_score_fusion
from reasonrec_cot.answers.score_fusion import DelegateScores, FusionSet, ScoreFusion, fuse_scores
from reasonrec_cot.answers.score_sources import GENERATOR, HEAD
from reasonrec_cot.tuning.fusion import LISTED, draw_candidates

from reasonrec_core.types import Float32, History, QueryBatch, Task

QUERIES, WIDE = 300, 10


def said(strengths: dict[str, float], seed: int = 0) -> tuple[dict[str, Float32], Float32, QueryBatch]:
    """Sources that know so much of the target."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(WIDE, size=QUERIES).astype(np.int32)
    right = np.arange(WIDE) == targets[:, None]
    sources = {n: (rng.standard_normal(right.shape) + s * right).astype(np.float32) for n, s in strengths.items()}
    history = History.of([[int(t)] for t in rng.integers(WIDE, 40, size=QUERIES)])
    return sources, targets, QueryBatch(Task.SEQUENTIAL, np.arange(QUERIES, dtype=np.int32), history)


CANDIDATES = np.tile(np.arange(WIDE, dtype=np.int32), (QUERIES, 1))
EVEN = np.full(QUERIES, 0.5, np.float32)


def test_where_weighing_does_not_help_the_best_source_decides_alone() -> None:
    sources, targets, _ = said({"head": 0.0, "generator": 1.5})
    sources["head"] = sources["generator"].copy()  # says the same: nothing can be gained
    found = fit_score_fusion(sources, CANDIDATES, targets, EVEN)
    figures = found.report["figures"]
    assert found.report["decides"] in {"head", "generator"}
    assert figures[CROSSED]["NDCG@10"] <= figures[found.report["decides"]]["NDCG@10"]
    assert found.decision is not None
    order = np.argsort(-found.decision(sources, EVEN), axis=1)
    np.testing.assert_array_equal(order, np.argsort(-sources["generator"], axis=1))
    np.testing.assert_array_equal(found.crossed, sources[found.report["decides"]])


def test_three_sources_know_more_than_one() -> None:
    sources, targets, _ = said({"head": 1.0, "generator": 1.0, "third": 1.0})
    found = fit_score_fusion(sources, CANDIDATES, targets, EVEN)
    assert found.report["decides"] == CROSSED
    assert found.decision is not None
    assert found.decision.sources == ("head", "generator", "third")


def test_a_source_that_harms_is_not_heard() -> None:
    sources, targets, _ = said({"head": 1.0, "generator": 1.0, "noise": 0.0, "more noise": 0.0})
    found = fit_score_fusion(sources, CANDIDATES, targets, EVEN)
    assert found.decision is not None
    assert {"head", "generator"} <= set(found.decision.sources)
    assert found.report["sources"] == list(found.decision.sources)
    everyone = fit_score_fusion({name: sources[name] for name in found.decision.sources}, CANDIDATES, targets, EVEN)
    reached = [each.report["figures"][CROSSED]["NDCG@10"] for each in (found, everyone)]
    assert reached[0] == reached[1], "what is reported is that of the sources that are heard"


def test_longer_lists_teach_where_short_ones_hold_too_few_targets() -> None:
    sources, targets, _ = said({"head": 1.0, "generator": 1.0})
    shown = np.argsort(-sources["generator"], axis=1)[:, :2].astype(np.int32)
    shown[30:] = np.where(shown[30:] == targets[30:, None], -1, shown[30:])  # of most pairs the target is not proposed
    short = {
        n: np.where(shown >= 0, np.take_along_axis(v, np.maximum(shown, 0), 1), -np.inf) for n, v in sources.items()
    }
    alone = fit_score_fusion(short, shown, targets, EVEN)
    assert alone.decision is None
    assert alone.report["decides"] == "head"
    found = fit_score_fusion(short, shown, targets, EVEN, wide=(sources, CANDIDATES))
    assert found.report["learned from"] == QUERIES
    assert found.report["with target"] == alone.report["with target"] < 30
    assert found.decision is not None
    assert found.crossed.shape == shown.shape


def test_candidates_that_come_with_a_query_are_weighed_apart() -> None:
    sources, _, _ = said({"head": 1.0, "generator": 1.0})
    kept = FusionSet(ScoreFusion.of_one("head"), ScoreFusion.of_one("generator"))
    assert "the tuned head alone" in kept.describe("als", listed=False)
    assert "the score of als alone" in kept.describe("als", listed=True)
    both = ScoreFusion(("head", "generator"), (((1.0, 0.0), (0.0, 0.0)),) * 2)
    assert "the tuned head and als" in FusionSet(both).describe("als", listed=False)
    assert FusionSet.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept
    answer = ItemScores(sources["head"], softmax(sources["head"]))
    for listed, source in ((False, "head"), (True, "generator")):
        found = fuse_scores(kept, answer, DelegateScores({"generator": sources["generator"]}, EVEN, listed))
        np.testing.assert_array_equal(found.scores.argmax(axis=1), sources[source].argmax(axis=1))
        np.testing.assert_allclose(found.mass.sum(axis=1), 1, atol=1e-5)
    nothing = fuse_scores(FusionSet(), answer, DelegateScores({"generator": sources["generator"]}, EVEN))
    np.testing.assert_array_equal(nothing.scores, answer.scores)


def test_lists_hold_the_target_and_nothing_that_the_user_has() -> None:
    _, targets, queries = said({"head": 1.0})
    found = draw_candidates(targets, queries, 200, seed=3)
    assert found.shape == (QUERIES, LISTED)
    for row, target in enumerate(targets):
        assert target in found[row]
        assert len(set(found[row].tolist())) == LISTED
        assert not set(queries.history.row(row).tolist()) & set(found[row].tolist())
    places = (found == targets[:, None]).argmax(axis=1)
    assert len(set(places.tolist())) > 5  # where the target stands says nothing
    few = draw_candidates(targets, queries, 50, seed=3)
    assert (few[:, -1] == -1).all()
    assert (np.sort(few[:, :49], axis=1) >= 0).all()


def test_steps_say_whose_scores_decide_and_why() -> None:
    alone, both = ScoreFusion.of_one(HEAD), ScoreFusion((HEAD, GENERATOR), (((1.0, 0.0), (0.0, 0.0)),) * 2)
    decided = FusionSet(proposed=both, listed=alone)
    assert (
        decided.describe("als", listed=False) == "the scores of the tuned head and als for each item, weighed together"
    )
    assert "adding others did not help" in decided.describe("als", listed=True)
    assert FusionSet().describe("als", listed=True) == "the tuned head's score of each item"

"""The steps cause the answer, and say what they did."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from reasonrec_chain.item_cache import Workspace
from reasonrec_chain.policy import Chain
from reasonrec_chain.propose import choose_chunk_size
from reasonrec_profile.api import HistoryWeights, compute_likelihood_ratio, name_expert
from small import answer, asking, fitted

from reasonrec_core.errors import PluginError
from reasonrec_core.testing.compare import assert_same_deliberation
from reasonrec_core.testing.tiny import Tiny
from reasonrec_core.types import Deliberation, Edits, StepKind, Task, format_percent
from reasonrec_core.validation import check_deliberation

ALL = 40


def items_of(found: Deliberation) -> np.ndarray:
    assert found.ranking is not None
    return found.ranking.items


def test_an_assumed_label_fills_the_answer_where_it_is_assumed(chain: Chain, world: Tiny) -> None:
    batch = replace(world.test.queries, k=5)
    labels = chain.labels["categories"]
    wanted = np.where(np.arange(len(batch)) % 2, labels.index("Boots"), -1).astype(np.int32)
    seen = world.observation(batch)
    plain, edited = chain.deliberate(batch, seen), chain.deliberate(batch, seen, Edits(None, {"categories": wanted}))
    carries = chain.membership("categories").toarray()[:, wanted.max()] > 0
    share = [carries[items_of(d)[1::2]].mean() for d in (plain, edited)]
    assert share[1] > share[0] + 0.2
    np.testing.assert_array_equal(items_of(plain)[::2], items_of(edited)[::2])
    claims = [step.claim for step in edited.steps[1] if step.edited]
    assert claims == [c for c in claims if c.startswith("you assumed categories is “Boots”")] != []


def test_an_assumption_brings_in_items_that_no_expert_proposed(world: Tiny) -> None:
    policy = fitted(world.fit, gates={"depth": 1}, experts=["popularity"], training={"epochs": 1})
    batch = asking([[4, 8]], k=10)
    labels = policy.labels["brand"]
    wanted = np.array([labels.index("Cedar")], np.int32)
    edited = policy.deliberate(batch, world.observation(batch), Edits(None, {"brand": wanted}))
    carries = policy.membership("brand").toarray()[:, wanted[0]] > 0
    assert carries[items_of(edited)[0, :8]].all()


def test_what_is_ignored_changes_the_answer_and_is_not_recommended(chain: Chain, world: Tiny) -> None:
    batch = replace(world.test.queries, k=ALL)
    relevance = np.ones(len(batch.history.items), np.float32)
    newest = batch.history.indptr[1:] - 1
    relevance[newest] = 0
    seen = world.observation(batch)
    plain, edited = chain.deliberate(batch, seen), chain.deliberate(batch, seen, Edits(relevance))
    assert np.mean(items_of(plain)[:, 0] != items_of(edited)[:, 0]) > 0.2
    assert not (items_of(edited) == batch.history.items[newest][:, None]).any()
    for row in (0, 7):
        title = chain._growing.catalog.titles[batch.history.items[newest[row]]]
        assert edited.steps[row][0].claim.startswith(f"you ignored “{title}”")
        cited = [e for step in edited.steps[row] for e in step.evidence if isinstance(e, int)]
        assert batch.history.lengths[row] - 1 not in cited
    nothing = chain.deliberate(batch, seen, Edits(np.zeros_like(relevance)))
    assert "nothing in the history counts" in nothing.steps[0][0].claim
    check_deliberation(nothing, batch, ALL)


def test_claims_follow_the_numbers(chain: Chain, world: Tiny) -> None:
    found = answer(chain, world)
    assert found.ranking is not None
    assert found.mass is not None
    for row in (0, 5, 11):
        steps = {kind: [s for s in found.steps[row] if s.kind is kind] for kind in StepKind}
        decide, weigh = steps[StepKind.DECIDE][0], steps[StepKind.WEIGH][0]
        best, mass = int(found.ranking.items[row, 0]), float(found.mass[row, 0])
        assert decide.claim.startswith(f"“{chain._growing.catalog.titles[best]}” first ({format_percent(mass, 1)})")
        assert decide.weight == pytest.approx(mass, abs=1e-4)
        next_ones = [chain._growing.catalog.titles[i] for i in found.ranking.items[row, 1:6]]
        assert [title for title, _ in decide.alternatives] == next_ones
        shares = [float(s) for s in re.findall(r" ([\d.]+)\N{NO-BREAK SPACE}%", decide.claim.split("): ")[1])]
        assert sum(shares) == pytest.approx(100, abs=5)
        assert sum([weigh.weight, *(w for _, w in weigh.alternatives)]) == pytest.approx(1, abs=0.03)
        proposed = {s.claim.split(":")[0]: s.weight for s in steps[StepKind.PROPOSE]}
        assert set(proposed) == {name_expert(name) for name in chain.model.experts.names}
        assert max(proposed.values()) == pytest.approx(weigh.weight, abs=1e-4)
        beliefs = chain.infer_labels(world.test.queries, world.observation(world.test.queries))
        for step in steps[StepKind.INFER]:
            label, said = re.search(r"“(.+)” \((.+?)\)", step.claim).groups()  # type: ignore[union-attr]
            name = next(n for n in chain.labels if n.replace("_", " ") == said)
            believed = beliefs[name][row, chain.labels[name].index(label)]
            assert step.weight == pytest.approx(float(believed), abs=1e-4)


def test_cited_entries_are_those_without_which_the_best_item_loses_most(chain: Chain, world: Tiny) -> None:
    """`attribution` against the definition, entry by entry."""
    batch = world.test.queries.take(np.array([3, 20]))
    seen, cause = world.observation(batch), chain.attribution(batch, world.observation(batch))
    whole = replace(batch, k=chain.model.experts.depth)
    before = chain.deliberate(whole, seen)
    for entry, row in enumerate(batch.history.rows):
        relevance = np.ones(len(batch.history.items), np.float32)
        relevance[entry] = 0
        after = chain.deliberate(whole, seen, Edits(relevance))
        best = items_of(before)[row, 0]
        assert before.mass is not None
        assert after.mass is not None
        left = after.mass[row][items_of(after)[row] == best].sum()
        assert left > 0
        assert cause[entry] == pytest.approx(max(float(before.mass[row, 0] - left), 0), abs=1e-5)


def test_candidates_with_repeats_and_padding(world: Tiny) -> None:
    policy = fitted(world.fit)
    listed = np.array([[3, 9, 3, -1, 20, 9, 31], [39, 38, 37, 36, 35, 34, 33]], np.int32)
    batch = asking([[4, 8], []], candidates=listed, k=9)
    batch = replace(batch, task=Task.DIRECT)
    found = check_deliberation(answer(policy, world, batch), batch, ALL)
    assert items_of(found).shape == (2, 7)
    assert sorted(items_of(found)[0].tolist()) == [-1, -1, -1, 3, 9, 20, 31]
    assert found.steps[0]


def test_many_candidates_of_many_users_are_ranked_as_one_by_one(chain: Chain, world: Tiny) -> None:
    rng = np.random.default_rng(0)
    size = 2 * choose_chunk_size(ALL) + 3
    rows = [list(rng.integers(0, ALL, rng.integers(0, 12))) for _ in range(size)]
    batch = replace(asking(rows, k=10), candidates=rng.integers(-1, ALL, (size, 100)).astype(np.int32))
    batch = replace(batch, task=Task.DIRECT)
    many = check_deliberation(answer(chain, world, batch), batch, ALL)
    for row in (0, 255, 256, size - 1):
        alone = answer(chain, world, batch.slice(row, row + 1))
        np.testing.assert_allclose(alone.ranking.scores[0], many.ranking.scores[row], rtol=1e-4)  # type: ignore[union-attr]


def test_what_is_known_of_a_query_does_not_depend_on_its_candidates(chain: Chain, world: Tiny) -> None:
    batch = asking([[4, 8, 12], [1]])
    few = replace(batch, task=Task.DIRECT, candidates=np.array([[3, 9], [20, 21]], np.int32))
    many = replace(batch, task=Task.DIRECT, candidates=np.tile(np.arange(20, dtype=np.int32), (2, 1)))
    steps = [answer(chain, world, each).steps for each in (batch, few, many)]
    for row in (0, 1):
        claims = {next(s.claim for s in found[row] if s.kind is StepKind.WEIGH) for found in steps}
        assert len(claims) == 1


def test_an_empty_batch(chain: Chain, world: Tiny) -> None:
    found = answer(chain, world, asking([]))
    assert items_of(found).shape == (0, 10)
    assert found.confidence.shape == (0,)
    assert chain.attribution(asking([]), world.observation(asking([]))).shape == (0,)
    assert {b.shape[0] for b in chain.infer_labels(asking([]), world.observation(asking([]))).values()} == {0}


def test_how_many_are_wanted_does_not_change_who_is_best(chain: Chain, world: Tiny) -> None:
    for k in (1, 3, ALL):
        few = answer(chain, world, k=k)
        if k <= chain.model.experts.depth:
            np.testing.assert_array_equal(items_of(few), items_of(answer(chain, world))[:, :k])
        else:
            assert (np.sort(items_of(few), axis=1)[:, -1] == ALL - 1).any()


def test_answers_of_threads_are_those_of_one(chain: Chain, world: Tiny) -> None:
    batch = world.test.queries
    alone = [answer(chain, world, batch.slice(row, row + 3)) for row in range(0, 45, 3)]
    fresh = Chain(chain.config)
    fresh._growing = chain._growing
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda row: answer(fresh, world, batch.slice(row, row + 3)), range(0, 45, 3)))
    for one, other in zip(alone, many, strict=True):
        assert_same_deliberation(one, other, "in a thread")


def test_sets_of_labels_give_the_ratios_of_the_fields(chain: Chain, world: Tiny) -> None:
    batch = world.test.queries
    seen = world.observation(batch)
    beliefs, cache = chain.infer_labels(batch, seen), chain.model.experts.cache_items(seen)
    for each, sets in zip(chain.model.experts.labels, cache.sets, strict=True):
        belief = beliefs[each.field.name]
        wanted = compute_likelihood_ratio(belief, each.field, seen, None)
        np.testing.assert_allclose(each.ratios(belief).T[:, sets], wanted, rtol=1e-4)


def test_a_failure_half_way_leaves_nothing_behind(chain: Chain, world: Tiny) -> None:
    before = answer(chain, world)
    cache = chain.model.experts.cache_items(world.observation(world.test.queries))

    def fail(workspace: Workspace) -> None:
        workspace.marks[:] = True
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), cache.workspace(4) as workspace:
        fail(workspace)
    assert_same_deliberation(answer(chain, world), before, "after a failure")


def test_before_it_is_fitted_it_says_so(world: Tiny) -> None:
    with pytest.raises(PluginError, match="before it was fitted"):
        answer(Chain(Chain.Config()), world)  # type: ignore[arg-type]


def test_evidence_of_long_histories_is_their_newest_part(chain: Chain, world: Tiny) -> None:
    """What lies beyond all reach changes nothing but what may be recommended."""
    rng = np.random.default_rng(1)
    new = [int(i) for i in rng.integers(0, 20, 60)]
    longest = max(chain.config.network.max_history, chain.config.counted.max_history)
    one, other = asking([[21, 22, *new]]), asking([[22, 21, *new]])
    assert len(new) > longest
    seen = world.observation(one)
    assert_same_deliberation(chain.deliberate(one, seen), chain.deliberate(other, seen), "older items")
    cause = chain.attribution(one, seen)
    assert not cause[: len(cause) - longest].any()
    assert HistoryWeights.of(one.history, longest).weights(chain.model.experts.links[0].fade)[1] == 0


def test_answering_loads_no_library_that_only_fitting_needs() -> None:
    program = (
        "import sys, reasonrec_chain.policy\n"
        "print(*(name for name in ('scipy.optimize', 'scipy.stats', 'sklearn', 'pandas') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

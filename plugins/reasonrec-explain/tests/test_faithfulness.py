"""Faithfulness: citations that cause the answer are told from citations that do not, by known amounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_explain import faithfulness
from reasonrec_explain.faithfulness import choose_queries, find_largest, measure_effects, summarise_effects
from scipy import sparse

from reasonrec_core.errors import PluginError
from reasonrec_core.ranking import rank
from reasonrec_core.types import Deliberation, Edits, Float32, History, QueryBatch, Task

N_ITEMS, PRIOR = 40, 0.5


@dataclass(frozen=True)
class Pointers:
    """Every history item votes for the next ones in the catalogue: P(i) ~ prior + sum of strength * relevance.

    An assumed label leaves nothing to items without it. ``lies``: it cites at random.
    """

    lies: bool = False
    strengths: tuple[float, ...] = (1.0, 8.0, 3.0, 1.0, 0.5)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        return {"parity": ("even", "odd"), "only one": ("same",)}

    def membership(self, field: str) -> sparse.csr_matrix:
        columns = np.arange(N_ITEMS) % 2 if field == "parity" else np.zeros(N_ITEMS, int)
        shape = (N_ITEMS, len(self.labels[field]))
        return sparse.csr_matrix((np.ones(N_ITEMS, np.float32), (np.arange(N_ITEMS), columns)), shape=shape)

    def infer_labels(self, batch: QueryBatch) -> Mapping[str, Float32]:
        even = np.tile(np.array([0.7, 0.3], np.float32), (len(batch), 1))
        return {"parity": even, "only one": np.ones((len(batch), 1), np.float32)}

    def strength(self, batch: QueryBatch) -> Float32:
        return np.array(self.strengths, np.float32)[batch.history.items % len(self.strengths)]

    def attribution(self, batch: QueryBatch) -> Float32:
        if self.lies:
            return np.random.default_rng(9).random(len(batch.history.items), np.float32)
        answer = self.deliberate(batch).ranking
        assert answer is not None
        points_at = (batch.history.items + 1) % N_ITEMS == answer.items[batch.history.rows, 0]
        return np.where(points_at, self.strength(batch), 0).astype(np.float32)

    def deliberate(self, batch: QueryBatch, edits: Edits | None = None) -> Deliberation:
        scores = np.full((len(batch), N_ITEMS), PRIOR, np.float32)
        relevance = edits.relevance if edits and edits.relevance is not None else np.ones(len(batch.history.items))
        np.add.at(scores, (batch.history.rows, (batch.history.items + 1) % N_ITEMS), self.strength(batch) * relevance)
        for field, label in (edits.assume if edits else {}).items():
            carries = self.membership(field).toarray().T[np.maximum(label, 0)]
            scores = np.where((label < 0)[:, None] | (carries > 0), scores, 1e-3).astype(np.float32)
        scores[batch.history.rows, batch.history.items] = 0
        mass = scores / scores.sum(axis=1, keepdims=True)
        ranking = rank(np.where(mass > 0, mass, -np.inf).astype(np.float32), batch)
        shown = np.where(ranking.items >= 0, ranking.scores, 0).astype(np.float32)
        return Deliberation([()] * len(batch), shown[:, 0], ranking, shown)


def queries(rows: list[list[int]]) -> QueryBatch:
    return QueryBatch(Task.SEQUENTIAL, np.arange(len(rows), dtype=np.int32), History.of(rows))


def random_queries(n: int, seed: int = 0) -> QueryBatch:
    rng = np.random.default_rng(seed)
    return queries([rng.permutation(N_ITEMS)[: rng.integers(2, 12)].tolist() for _ in range(n)])


def test_known_amounts() -> None:
    """One entry (item 11, strength 8) makes the best item; the others vote for four different ones."""
    batch = queries([[10, 20, 11, 30, 4]])
    effects = measure_effects(Pointers(), batch, n_items=N_ITEMS, shares=(0.2,), draws=4000, seed=1)
    # Item 11 is in the history, so nobody can vote for it: item 10's vote (strength 1) is lost.
    base, others = PRIOR * (N_ITEMS - 5), 1 + 1 + 0.5
    whole = (PRIOR + 8) / (base + others + 8)
    assert effects.mass[0] == pytest.approx(whole, rel=1e-5)
    without, alone = PRIOR / (base + others), (PRIOR + 8) / (base + 8)
    assert effects.cited["comprehensiveness/mass/0.2"][0] == pytest.approx(whole - without, rel=1e-4)
    assert effects.cited["sufficiency/mass/0.2"][0] == pytest.approx(whole - alone, rel=1e-4)
    removed = [without, *((PRIOR + 8) / (base + others + 8 - vote) for vote in (0, 1, 1, 0.5))]
    assert effects.random["comprehensiveness/mass/0.2"][0] == pytest.approx(whole - np.mean(removed), abs=0.01)
    kept = [alone, *(PRIOR / (base + vote) for vote in (0, 1, 1, 0.5))]
    assert effects.random["sufficiency/mass/0.2"][0] == pytest.approx(whole - np.mean(kept), abs=0.01)
    # The list: five items have votes above the prior; without item 11's, another fills the first place.
    assert effects.cited["comprehensiveness/list/0.2"][0] == pytest.approx(0.1)


def test_true_citations_are_told_from_random_ones() -> None:
    batch = random_queries(400)
    true, lies = (
        summarise_effects(measure_effects(policy, batch, n_items=N_ITEMS), seed=0, resamples=1000)
        for policy in (Pointers(), Pointers(lies=True))
    )
    for row in true["evidence"]:
        wanted = 1 if row["measure"] == "comprehensiveness" else -1
        if row["of"] == "mass":
            assert wanted * row["difference"] > 0
            assert row["p_corrected"] < 0.05, row
    for row in lies["evidence"]:
        assert row["low"] < 0 < row["high"], row
        assert row["p_corrected"] > 0.05, row


def test_ties_are_cited_at_random() -> None:
    """A policy without a word on its causes is neither rewarded nor punished for where its history's entries stand."""

    class Silent(Pointers):
        def attribution(self, batch: QueryBatch) -> Float32:
            return np.zeros(len(batch.history.items), np.float32)

    found = summarise_effects(measure_effects(Silent(), random_queries(400), n_items=N_ITEMS), seed=0, resamples=1000)
    assert all(row["p_corrected"] > 0.05 for row in found["evidence"])


def test_effect_of_an_assumed_label_is_its_share_of_the_list() -> None:
    batch = random_queries(60)
    effects = measure_effects(Pointers(), batch, n_items=N_ITEMS)
    assert set(effects.before) == {"parity"}, "a field with one label has no alternative"
    listed = Pointers().deliberate(batch).ranking
    assert listed is not None
    np.testing.assert_allclose(effects.before["parity"], (listed.items[:, :10] % 2 == 1).mean(axis=1))
    np.testing.assert_allclose(effects.after["parity"], 1.0)
    (row,) = summarise_effects(effects, seed=0, resamples=500)["edits"]
    assert row["difference"] == pytest.approx(row["after"]["value"] - row["before"]["value"])


def test_policy_that_ignores_edits_has_no_effect() -> None:
    class Deaf(Pointers):
        def deliberate(self, batch: QueryBatch, edits: Edits | None = None) -> Deliberation:
            return super().deliberate(batch)

    effects = measure_effects(Deaf(), random_queries(50), n_items=N_ITEMS)
    for values in (*effects.cited.values(), *effects.random.values()):
        np.testing.assert_array_equal(values, 0)
    np.testing.assert_array_equal(effects.before["parity"], effects.after["parity"])


def test_candidates_are_what_is_listed() -> None:
    plain = random_queries(30)
    rng = np.random.default_rng(5)
    rest = [np.setdiff1d(np.arange(N_ITEMS), plain.history.row(b)) for b in range(len(plain))]
    given_items = np.stack([rng.permutation(r)[:12] for r in rest]).astype(np.int32)

    class Chooser(Pointers):
        def deliberate(self, batch: QueryBatch, edits: Edits | None = None) -> Deliberation:
            whole = super().deliberate(replace(batch, candidates=None, k=N_ITEMS, task=Task.SEQUENTIAL), edits)
            assert whole.ranking is not None
            assert batch.candidates is not None
            dense = np.zeros((len(batch), N_ITEMS + 1), np.float32)
            np.put_along_axis(dense, whole.ranking.items % (N_ITEMS + 1), whole.ranking.scores, axis=1)
            ranking = rank(np.take_along_axis(dense, batch.candidates, axis=1), batch)
            return Deliberation(whole.steps, whole.confidence, ranking, ranking.scores)

    batch = replace(plain, task=Task.DIRECT, candidates=given_items)
    effects = measure_effects(Chooser(), batch, n_items=N_ITEMS)
    assert len(effects) == 30
    assert all(((v >= 0) & (v <= 1)).all() for v in (*effects.before.values(), *effects.after.values()))


def test_effects_do_not_depend_on_how_queries_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = random_queries(37)
    seen: list[tuple[int, int]] = []
    whole = measure_effects(Pointers(), batch, n_items=N_ITEMS, seed=3)
    monkeypatch.setattr(faithfulness, "CELLS", 5 * N_ITEMS)
    parts = measure_effects(Pointers(), batch, n_items=N_ITEMS, seed=3, progress=lambda *done: seen.append(done))
    assert seen[0] == (5, 37)
    assert seen[-1] == (37, 37)
    for name in ("cited", "random", "before", "after"):
        for key, values in getattr(whole, name).items():
            np.testing.assert_array_equal(values, getattr(parts, name)[key], err_msg=key)


def test_answers_without_mass_are_refused() -> None:
    class Massless(Pointers):
        def deliberate(self, batch: QueryBatch, edits: Edits | None = None) -> Deliberation:
            return replace(super().deliberate(batch, edits), mass=None)

    with pytest.raises(PluginError, match="gives no probabilities"):
        measure_effects(Massless(), random_queries(3), n_items=N_ITEMS)


@given(
    st.lists(st.lists(st.floats(0, 5, width=32), max_size=8), min_size=1, max_size=6),
    st.floats(0.05, 1),
    st.integers(0, 2**31),
)
def test_the_largest_are_chosen_in_every_row(rows: list[list[float]], share: float, seed: int) -> None:
    history = History.of([[0] * len(row) for row in rows])
    values = np.array([value for row in rows for value in row], np.float32)
    size = np.ceil(share * history.lengths).astype(np.int64)
    chosen = find_largest(values, np.random.default_rng(seed).random(len(values)), history, size)
    for row in range(len(rows)):
        mine = history.rows == row
        assert chosen[mine].sum() == size[row]
        inside, outside = values[mine & chosen], values[mine & ~chosen]
        assert not len(inside) or not len(outside) or inside.min() >= outside.max()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 30), st.integers(0, 99))
def test_queries_are_drawn_among_those_with_a_history(lengths: list[int], wanted: int, seed: int) -> None:
    batch = queries([list(range(n)) for n in lengths])
    rows = choose_queries(batch, wanted, seed)
    assert len(rows) == min(wanted, sum(n >= 2 for n in lengths))
    assert (np.diff(rows) > 0).all()
    assert all(lengths[row] >= 2 for row in rows)
    np.testing.assert_array_equal(rows, choose_queries(batch, wanted, seed))

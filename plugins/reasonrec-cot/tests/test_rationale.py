"""Rationales name what bears on the target, never the target, and know nothing of what comes later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from injections import injected_titles
from reasonrec_cot.prompting.dialogue import Dialogue, add_answer
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.output_grammar import parse
from reasonrec_cot.prompting.rationale import RationaleBuilder
from reasonrec_cot.prompting.relevance import Relevance, prune
from reasonrec_cot.prompting.templates import load_phrases, load_templates
from reasonrec_cot.prompting.title_leak import TitleLeak
from reasonrec_cot.tuning.confidence import HeldOutAccuracy
from reasonrec_cot.tuning.review_requests import prefixes
from reasonrec_doctor import check_prompts
from words_shop import TITLES, log, shop

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import History, Step, StepKind, Task


def builder(titles: tuple[str, ...] = TITLES, seed: int = 0) -> RationaleBuilder:
    catalog = shop(titles)
    return RationaleBuilder(ItemWords(catalog), Relevance(catalog), seed=seed)


def test_what_bears_on_the_target_is_named() -> None:
    history = History.of([[3, 5, 8, 7]])  # comedy, crime thriller, thriller crime, comedy
    (thought,) = builder().build(history, np.array([0], np.int32), np.array([0.25], np.float32))
    assert thought.evidence == (1, 2), "the two crime films bear on Night Train, a crime drama; the comedies do not"
    assert TITLES[5] in thought.deliberate
    assert TITLES[8] in thought.deliberate
    assert "Crime" in thought.deliberate
    assert "2 of 4" in thought.deliberate
    assert "0.25" in thought.deliberate
    assert TITLES[7] in thought.observe, "what was last is observed"
    assert "Comedy (2 of 4)" in thought.observe


def test_a_history_without_a_lead_says_so() -> None:
    thoughts = builder().build(History.of([[3], []]), np.array([5, 0], np.int32))
    phrases = load_phrases()
    assert thoughts[0].evidence == ()
    assert thoughts[0].deliberate in phrases["nothing"]
    assert thoughts[1].observe in phrases["empty"]


WORDS = st.sampled_from(
    [*TITLES, "Drama", "Comedy", "What counts now", "the history", "Heat", "Heat (1995)", "Usual Suspects, The"]
)
HOSTILE = st.sampled_from([entry.title for entry in injected_titles()])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(WORDS, HOSTILE, st.text(max_size=20)), min_size=10, max_size=10),
    st.lists(st.integers(0, 9), max_size=8), st.integers(0, 9), st.integers(0, 5),
)  # fmt: skip
def test_a_thought_never_names_its_target(titles: list[str], history: list[int], target: int, seed: int) -> None:
    build = builder(tuple(titles), seed)
    claims = (Step(StepKind.INFER, f"likely “{titles[target]}”"), Step(StepKind.INFER, "Drama 60 %"))
    (thought,) = build.build(History.of([history]), np.array([target], np.int32), None, [claims])
    title = build.items.raw_title(target)
    told = f"{thought.observe} {thought.deliberate}"
    assert not TitleLeak([title]).leaks(thought.observe)
    assert not TitleLeak([title]).leaks(thought.deliberate)
    assert not check_prompts([thought.observe, thought.deliberate], [[title], [title]])
    dialogue = add_answer(Dialogue(Task.SEQUENTIAL, ()), "x", 0.5, thought)
    assert parse("".join(s.text for s in dialogue.completion)).well_formed, told


def test_a_thought_depends_on_nothing_but_its_own_history_and_target() -> None:
    build = builder()
    rows, targets = [[0, 1, 2], [3, 4], [5, 8, 7]], np.array([6, 9, 0], np.int32)
    together = build.build(History.of(rows), targets)
    for row, target, thought in zip(rows, targets, together, strict=True):
        assert build.build(History.of([row]), np.array([target], np.int32)) == [thought]
    assert build.build(History.of(rows), targets) == together
    others = [builder(seed=seed).build(History.of(rows), targets) for seed in range(1, 6)]
    assert any(other != together for other in others), "the seed chooses the words"


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=5), st.integers(1, 4))
def test_training_queries_hold_nothing_later_than_their_target(rows: list[list[int]], longest: int) -> None:
    train = log(rows)
    cases = prefixes(train, 10, longest=longest)
    found = {
        (int(u), tuple(cases.queries.history.row(n).tolist()), int(cases.targets[n]))
        for n, u in enumerate(cases.queries.users)
    }
    expected = {
        (u, tuple(row[max(0, p - longest) : p]), row[p])
        for u, row in enumerate(rows)
        for p in range(1, len(row))
        if row[p] not in row[:p]
    }
    assert found == expected
    few = prefixes(train, 10, longest=longest, per_user=2, seed=1)
    assert np.bincount(few.queries.users, minlength=1).max() <= 2
    assert len(few) == sum(min(2, sum(e[0] == u for e in expected)) for u in range(len(rows)))


@given(st.lists(st.lists(st.integers(0, 9), max_size=7), min_size=1, max_size=4), st.integers(1, 5), st.data())
def test_pruning_keeps_the_best_of_each_row(rows: list[list[int]], most: int, data: st.DataObject) -> None:
    history = History.of(rows)
    scores = np.array(
        data.draw(
            st.lists(st.sampled_from([-1, 0, 1, 2, 3]), min_size=len(history.items), max_size=len(history.items))
        ),
        np.float32,
    )
    kept = prune(history, scores, most)
    for row in range(len(rows)):
        part = slice(history.indptr[row], history.indptr[row + 1])
        best = sorted(scores[part][scores[part] > 0], reverse=True)[:most]
        assert sorted(scores[part][kept[part]], reverse=True) == best


def test_relevance_adds_features_and_ignores_what_is_missing() -> None:
    catalog = shop()
    values = np.eye(10, 4, dtype=np.float32)
    values[1] = values[0]
    values[2] = np.nan
    there = np.ones(10, np.bool_)
    there[2] = False
    with_features = Relevance(catalog, {"image": values}, {"image": there}, fields=())
    history = History.of([[1, 2, 3]])
    assert with_features.score(history, np.array([0], np.int32)).tolist() == [1, 0, 0]
    rare = Relevance(catalog, fields=("categories",)).score(History.of([[6, 2, 3]]), np.array([0], np.int32))
    assert rare[2] == 0
    assert (rare[:2] > 0).all()


def test_confidence_targets_are_held_out_accuracy() -> None:
    generator = np.random.default_rng(0)
    signal = generator.random(4000).astype(np.float32)
    right = generator.random(4000) < 0.5 * signal
    learned = HeldOutAccuracy(signal, right)
    assert np.abs(learned(np.array([0.2, 0.9], np.float32)) - [0.1, 0.45]).max() < 0.06
    surest = learned(np.array([-5, 5], np.float32))
    assert 0.01 <= surest[0] <= surest[1] <= 0.99
    with pytest.raises(DataError, match="too few"):
        HeldOutAccuracy(signal[:5], right[:5])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('match = ["{label}"]', "must contain {labels}"),
        ("\n\nmach = ['x']", "Did you mean 'match'"),
        ("match = 'x'", "list of texts"),
    ],
)
def test_bad_phrases_are_named_with_their_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "rationale.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_phrases(tmp_path)
    assert words in caught.value.message
    assert f"rationale.toml:{3 if text.startswith(chr(10)) else 1}" in caught.value.message
    load_templates(tmp_path)

"""The second turn keeps to the candidates; knowledge in words is counted, named and free of the query's own answer."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_cot.words.assistant import answered
from reasonrec_cot.words.choice import labels, read_choice
from reasonrec_cot.words.compose import Composer, Request
from reasonrec_cot.words.consult import Table, consult, pooled
from reasonrec_cot.words.dialogue import Role, SegmentKind
from reasonrec_cot.words.grammar import parse
from reasonrec_cot.words.item_words import ItemWords
from reasonrec_cot.words.knowledge import ItemToItem, KnowledgeSettings, expected
from reasonrec_cot.words.templates import load_templates
from reasonrec_cot.words.thought import Thought
from words_shop import TITLES, log, shop

from reasonrec_core.types import History, Task

ITEMS = ItemWords(shop())
COMPOSER = Composer(ITEMS, load_templates())
FIRST = answered(COMPOSER.ask(Request(Task.DIRECT, [0, 1], [5, 3, 4], target=3)), "A", 0.2, Thought("o", "d"))


def test_delegates_are_told_by_labels_and_what_is_no_candidate_is_left_out() -> None:
    tables = [Table("als", [9, 4, 3, 4, -1], 0.31, 0.4), Table("bpr", [9, 8])]
    second = consult(FIRST, tables)
    told = second.dialogue.segments[-1].text
    assert "als (right in 0.31 of past cases, sure 0.40): C, B\n" in told
    assert "bpr: none" in told
    assert second.outside == 3
    assert second.dialogue.candidates == FIRST.candidates
    assert second.dialogue.completion == ()
    assert all(s.kind is SegmentKind.PROMPT for s in second.dialogue.segments if s.role is Role.ASSISTANT)
    assert [role for role, _ in second.dialogue.turns()] == [Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER]
    final = answered(second.dialogue, "B", 0.6)
    assert len(final.completion) == 2, "only the second answer is learned"
    assert final.prompt == second.dialogue


def test_a_consultation_without_a_first_answer_is_one_turn() -> None:
    second = consult(FIRST.prompt, [Table("als", [3])]).dialogue
    assert [role for role, _ in second.turns()] == [Role.SYSTEM, Role.USER]
    with pytest.raises(ValueError, match="listed candidates"):
        consult(COMPOSER.ask(Request(Task.SEQUENTIAL, [0])), [])


@given(st.text(), st.lists(st.integers(-1, 9), max_size=6), st.text())
def test_nothing_that_is_said_leaves_the_candidates(name: str, items: list[int], answer: str) -> None:
    second = consult(FIRST, [Table(name, items)])
    assert second.dialogue.segments[:-1] == tuple(consult(FIRST, []).dialogue.segments[:-1]), "the list stays as it was"
    assert second.dialogue.segments[-1].text.count("\n") == 2
    names = [ITEMS.title(item) for item in second.dialogue.candidates]
    said = parse(f"<answer>{answer}</answer>").answer
    for text in (answer, said):
        assert {second.dialogue.candidates[n] for n in read_choice(text, names).order} <= {5, 3, 4}


def test_candidates_are_pooled_in_turn() -> None:
    assert pooled([[1, 2, 3], [2, 4, -1], []], 4) == (1, 2, 4, 3)
    assert pooled([], 5) == ()


KNOWS = KnowledgeSettings(window=2, pairs=3, fewest=2)
TRAIN = log([[0, 1, 2], [0, 1, 3], [0, 1], [5, 1, 2], [0, 4, 4]])


def test_what_people_chose_next_is_counted_and_named() -> None:
    (told,) = ItemToItem(ITEMS, TRAIN, KNOWS).tell(History.of([[0]]), [[1, 2, 3]])
    assert [k.text for k in told] == [f'After "{TITLES[0]}", 3 people chose A.']
    assert [k.evidence for k in told] == [((0, 1, 3),)]
    (open_,) = ItemToItem(ITEMS, TRAIN, KNOWS).tell(History.of([[0, 1]]))
    assert {k.evidence[0] for k in open_} == {(1, 2, 2), (0, 4, 2)} - ({(0, 4, 2)} if _count(0, 4) < 2 else set())
    assert all(TITLES[k.evidence[0][1]] in k.text for k in open_), "what the history has is not told"


def _count(before: int, after: int) -> int:
    rows = [[0, 1, 2], [0, 1, 3], [0, 1], [5, 1, 2], [0, 4, 4]]
    return sum(
        row[p] == before and row[q] == after
        for row in rows for p in range(len(row)) for q in range(p + 1, min(p + 3, len(row)))
    )  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=6, unique=True), min_size=2, max_size=6), st.data())
def test_a_training_query_is_not_told_its_own_answer(rows: list[list[int]], data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(rows))
    place = data.draw(st.integers(1, len(row) - 1))
    every = KnowledgeSettings(window=2, pairs=50, fewest=1)
    whole = ItemToItem(ITEMS, log(rows), every)
    others = [r for r in rows if r is not row] + [row[:place]]
    without = ItemToItem(ITEMS, log([r for r in others if r]), every)
    asked, target = History.of([row[:place]]), np.array([row[place]], np.int32)
    told = [k.evidence[0] for k in whole.tell(asked, [[row[place]]], target)[0]]
    clean = [k.evidence[0] for k in without.tell(asked, [[row[place]]])[0]]
    assert Counter(told) == Counter(clean), "as if the query's own future were not in the log"


def test_an_expert_is_named_with_its_best_candidates() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [0.3, -np.inf, 9.0]], np.float32)
    first, second = expected(ITEMS, [[7, 8, 9], [1, 2]], scores, 'als"<x>', KnowledgeSettings(experts=2))
    assert first.text == "By people with such a history, als'(x) expects B, C."
    assert first.evidence == ((8, 1), (9, 2))
    assert second.evidence == ((1, 1),), "neither padding nor what is never to be recommended"
    prompt = COMPOSER.ask(Request(Task.DIRECT, [0], [7, 8, 9], knowledge=[first.text]))
    assert prompt.segments[1].text.startswith(first.text)
    assert labels(3)[1] in prompt.text()

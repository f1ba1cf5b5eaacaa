"""The second turn keeps to the candidates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_cot.prompting.consult import DelegateTable, build_second_turn
from reasonrec_cot.prompting.dialogue import Role, SegmentKind, Thought, add_answer
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, PromptRequest
from reasonrec_cot.prompting.templates import load_templates
from words_shop import shop

from reasonrec_core.types import Task

ITEMS = ItemWords(shop())
COMPOSER = PromptBuilder(ITEMS, load_templates())
FIRST = add_answer(COMPOSER.ask(PromptRequest(Task.DIRECT, [0, 1], [5, 3, 4], target=3)), "A", 0.2, Thought("o", "d"))


def test_delegates_are_told_by_labels_and_what_is_no_candidate_is_left_out() -> None:
    tables = [DelegateTable("als", [9, 4, 3, 4, -1], 0.31, 0.4), DelegateTable("bpr", [9, 8])]
    second = build_second_turn(FIRST, tables)
    told = second.dialogue.segments[-1].text
    assert "als (right in 0.31 of past cases, sure 0.40): C, B\n" in told
    assert "bpr: none" in told
    assert second.outside == 3
    assert second.dialogue.candidates == FIRST.candidates
    assert second.dialogue.completion == ()
    assert all(s.kind is SegmentKind.PROMPT for s in second.dialogue.segments if s.role is Role.ASSISTANT)
    assert [role for role, _ in second.dialogue.turns()] == [Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER]
    final = add_answer(second.dialogue, "B", 0.6)
    assert len(final.completion) == 2, "only the second answer is learned"
    assert final.prompt == second.dialogue


def test_delegates_are_weighed_by_how_often_they_were_right_where_that_is_known() -> None:
    known, unknown = DelegateTable("als", [3], 0.31), DelegateTable("als", [3])
    assert (
        "Weigh them by how often they were right, and" in build_second_turn(FIRST, [known]).dialogue.segments[-1].text
    )
    assert "Weigh them, and answer again" in build_second_turn(FIRST, [unknown]).dialogue.segments[-1].text


def test_a_consultation_without_a_first_answer_is_one_turn() -> None:
    second = build_second_turn(FIRST.prompt, [DelegateTable("als", [3])]).dialogue
    assert [role for role, _ in second.turns()] == [Role.SYSTEM, Role.USER]
    with pytest.raises(ValueError, match="listed candidates"):
        build_second_turn(COMPOSER.ask(PromptRequest(Task.SEQUENTIAL, [0])), [])


@given(st.text(), st.lists(st.integers(-1, 9), max_size=6))
def test_nothing_that_is_said_leaves_the_candidates(name: str, items: list[int]) -> None:
    second = build_second_turn(FIRST, [DelegateTable(name, items)])
    assert second.dialogue.segments[:-1] == tuple(build_second_turn(FIRST, []).dialogue.segments[:-1]), (
        "the list stays as it was"
    )
    assert second.dialogue.segments[-1].text.count("\n") == 2
    assert set(second.dialogue.candidates) == {5, 3, 4}

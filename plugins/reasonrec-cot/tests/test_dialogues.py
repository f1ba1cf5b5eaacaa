"""Templates are checked when they are read; dialogues know who speaks, which loss a piece belongs to, which items."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from injections import injected_titles
from reasonrec_cot.prompting.dialogue import Role, SegmentKind, Thought, add_answer
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.output_grammar import parse
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, PromptRequest, PromptSettings, labels
from reasonrec_cot.prompting.templates import SLOTS, load_templates
from reasonrec_explain.item_text import ItemTextSettings
from words_shop import TITLES, shop

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Task

WORDS = load_templates()
COMPOSER = PromptBuilder(ItemWords(shop()), WORDS)
ASKED = {
    Task.SEQUENTIAL: PromptRequest(Task.SEQUENTIAL, [0, 1, 2], target=3),
    Task.DIRECT: PromptRequest(Task.DIRECT, [0, 1, 2], [5, 3, 4], target=3),
    Task.CTR: PromptRequest(Task.CTR, [0, 1, 2], [3], target=3),
    Task.EXPLAIN: PromptRequest(Task.EXPLAIN, [0, 1, 2], [3], hint="plot", stars=4.0, target=3),
}


@pytest.mark.parametrize("task", list(Task))
def test_each_task_has_ten_templates_of_different_words(task: Task) -> None:
    templates = WORDS[task].templates
    assert len(templates) >= 10
    assert len({t.ask for t in templates}) == len({t.name for t in templates}) == len(templates)
    assert set(SLOTS) == {t.value for t in Task}


@pytest.mark.parametrize("task", list(Task))
def test_every_template_tells_the_history_in_order_and_never_the_target(task: Task) -> None:
    request = ASKED[task]
    assert len(COMPOSER.templates(request)) == len(WORDS[task].templates)
    for template in COMPOSER.templates(request):
        dialogue = COMPOSER.ask(request, template)
        told = [item for item in dialogue.items if item in {0, 1, 2}]
        assert told == [0, 1, 2], template.name
        assert dialogue.completion == ()
        if not request.candidates:
            assert TITLES[3] not in dialogue.text()
        else:
            assert set(dialogue.items) - {0, 1, 2} == set(request.candidates)
        assert [role for role, _ in dialogue.turns()] == [Role.SYSTEM, Role.USER]
        assert "{" not in dialogue.text()


def test_templates_that_need_what_is_unknown_are_left_out() -> None:
    names = {t.name for t in COMPOSER.templates(PromptRequest(Task.EXPLAIN, [0], [3]))}
    assert names == {t.name for t in WORDS[Task.EXPLAIN].templates} - {"about", "hint", "stars"}


def test_the_loss_can_be_split_by_thought_answer_and_confidence() -> None:
    prompt = COMPOSER.ask(ASKED[Task.DIRECT])
    dialogue = add_answer(prompt, "B", 0.37, Thought("had three dramas", "so a comedy"))
    assert [s.kind for s in dialogue.completion] == [
        SegmentKind.THOUGHT, SegmentKind.THOUGHT, SegmentKind.ANSWER, SegmentKind.CONFIDENCE,
    ]  # fmt: skip
    assert dialogue.prompt == prompt
    read = parse("".join(s.text for s in dialogue.completion))
    assert (read.observe, read.deliberate, read.answer, read.confidence) == (
        "had three dramas",
        "so a comedy",
        "B",
        0.37,
    )
    assert len(add_answer(prompt, "B", 0.37).completion) == 2
    assert add_answer(dialogue, "A", 0.1).prompt == prompt, "an answered dialogue can be answered otherwise"


def test_a_long_history_is_told_by_its_newest_items_and_soft_tokens_can_be_left_out() -> None:
    prompt_builder = PromptBuilder(ItemWords(shop()), WORDS, PromptSettings(history=2, soft_tokens=False))
    dialogue = prompt_builder.ask(PromptRequest(Task.SEQUENTIAL, [0, 1, 2, 3]))
    assert dialogue.items == ()
    assert TITLES[1] not in dialogue.text()
    assert dialogue.text().index(TITLES[2]) < dialogue.text().index(TITLES[3])
    log = next(t for t in WORDS[Task.SEQUENTIAL].templates if t.name == "log")
    assert "A log of 2 items" in prompt_builder.ask(PromptRequest(Task.SEQUENTIAL, [0, 1, 2, 3]), log).text()
    assert "nothing so far" in prompt_builder.ask(PromptRequest(Task.SEQUENTIAL, [])).text()


def test_hostile_titles_leave_the_form_of_every_prompt_as_it_is() -> None:
    entries = injected_titles()
    hostile, plain = (
        PromptBuilder(ItemWords(shop(titles)), WORDS)
        for titles in ([e.title for e in entries], [e.plain for e in entries])
    )
    for task, request in ASKED.items():
        for start in range(0, len(entries) - 6, 3):
            asked = PromptRequest(task, range(start, start + 3), [start + 4][: bool(request.candidates)])
            one, other = (each.ask(asked, WORDS[task].templates[0]) for each in (hostile, plain))
            assert [(s.role, s.kind, s.item) for s in one.segments] == [
                (s.role, s.kind, s.item) for s in other.segments
            ]
            assert one.text().count('"') == other.text().count('"')
            assert one.text().count("\n") == other.text().count("\n")


def test_names_are_one_items_alone() -> None:
    words = ItemWords(shop(["Heat", "heat!", "Heat #2", "\u200b", "", "Heat"]))
    names = words.names
    assert len({n.casefold() for n in names}) == len(names)
    assert names[0] == "Heat"
    assert all(names)


def test_fields_are_those_named() -> None:
    assert ItemWords(shop()).line(0) == '"Night Train (1994); Drama, Crime; Ames"'
    assert ItemWords(shop(), ItemTextSettings(fields=("director",))).line(0) == '"Night Train (1994); Ames"'
    with pytest.raises(ConfigError, match="Did you mean 'director'"):
        ItemWords(shop(), ItemTextSettings(fields=("directer",)))


def test_long_lists_are_numbered() -> None:
    assert labels(3) == ("A", "B", "C")
    assert labels(100)[:2] == ("1", "2")


GOOD = 'system = "s"\n[[template]]\nname = "n"\nask = "{history}"\n'


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("sequential", "system = \n", ":1", "TOML"),
        ("sequential", GOOD + '[[template]]\nname = "m"\nask = "{histori}"\n', ":5", "Did you mean 'history'"),
        ("sequential", GOOD + '[[template]]\nname = "m"\nask = "no slot"\n', ":5", "must occur exactly once"),
        ("sequential", GOOD + '[[template]]\nname = "n"\nask = "{history}!"\n', ":5", "occurs twice (first at"),
        ("sequential", GOOD + '[[template]]\nname = "m"\n', ":5", "has no ask"),
        ("sequential", GOOD + '[[template]]\nname = "m"\nask = "{history"\n', ":5", "cannot be read"),
        ("sequential", GOOD + '[[template]]\nname = "m"\nask = "{history!r}"\n', ":5", "no slot"),
        ("sequential", GOOD + '[[template]]\nname = "m"\naks = "{history}"\n', ":5", "Did you mean 'ask'"),
        ("sequential", '[[template]]\nname = "m"\nask = "{history}"\n', ":1", "no system"),
        ("sequental", GOOD, "", "Did you mean 'sequential'"),
    ],
)
def test_a_bad_template_is_named_with_its_line(tmp_path: Path, name: str, text: str, line: str, words: str) -> None:
    (tmp_path / f"{name}.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_templates(tmp_path)
    assert f"{name}.toml{line}" in (caught.value.where or "")
    assert words in caught.value.message


def test_a_users_folder_replaces_or_adds(tmp_path: Path) -> None:
    (tmp_path / "sequential.toml").write_text(GOOD)
    (tmp_path / "ctr.toml").write_text('add = true\n[[template]]\nname = "mine"\nask = "{history} {item}"\n')
    words = load_templates(tmp_path)
    assert [t.name for t in words[Task.SEQUENTIAL].templates] == ["n"]
    assert len(words[Task.CTR].templates) == len(WORDS[Task.CTR].templates) + 1
    assert words[Task.CTR].system == WORDS[Task.CTR].system
    assert words[Task.DIRECT] == WORDS[Task.DIRECT]
    with pytest.raises(ConfigError, match="is not a folder"):
        load_templates(tmp_path / "absent")


def test_templates_are_drawn_evenly_and_by_the_seed() -> None:
    generator = np.random.default_rng(3)
    drawn = Counter(COMPOSER.choose(ASKED[Task.SEQUENTIAL], generator).name for _ in range(600))
    assert len(drawn) == 10
    assert min(drawn.values()) > 30
    again = np.random.default_rng(3)
    assert (
        COMPOSER.choose(ASKED[Task.CTR], again).name == COMPOSER.choose(ASKED[Task.CTR], np.random.default_rng(3)).name
    )

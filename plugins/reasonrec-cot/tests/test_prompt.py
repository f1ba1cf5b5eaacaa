"""Dialogues become the tokens that the model's own chat template gives, with places for soft tokens and parts kept."""

from __future__ import annotations

import numpy as np
import pytest
from reasonrec_cot.backbone.chat_template import chat_form
from reasonrec_cot.backbone.tokenisation import KINDS, DialogueTokeniser
from reasonrec_cot.prompting.dialogue import Dialogue, Role, Segment, SegmentKind
from tiny_model import CHATML, tiny_tokenizer

from reasonrec_core.types import Task

PARTS = (SegmentKind.THOUGHT, SegmentKind.ANSWER, SegmentKind.CONFIDENCE)
SAID = ("<deliberate>it fits</deliberate>", "<answer>B</answer>", "<confidence>0.75</confidence>")


def dialogue(answered: bool = False) -> Dialogue:
    segments = [
        Segment(Role.SYSTEM, SegmentKind.PROMPT, "You recommend items."),
        Segment(Role.USER, SegmentKind.PROMPT, "This person had "),
        Segment(Role.USER, SegmentKind.ITEM, item=7),
        Segment(Role.USER, SegmentKind.PROMPT, '"Red Lamp". Answer with a label.'),
    ]
    if answered:
        segments += [Segment(Role.ASSISTANT, kind, text) for kind, text in zip(PARTS, SAID, strict=True)]
    return Dialogue(Task.DIRECT, tuple(segments))


@pytest.mark.parametrize("answered", [False, True])
def test_text_is_that_of_the_chat_template(answered: bool) -> None:
    tokenizer = tiny_tokenizer()
    found = DialogueTokeniser(tokenizer).prompt(dialogue(answered))
    turns = [
        {"role": "system", "content": "You recommend items."},
        {"role": "user", "content": 'This person had "Red Lamp". Answer with a label.'},
    ]
    if answered:
        turns.append({"role": "assistant", "content": "".join(SAID)})
    expected = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=not answered)
    assert tokenizer.decode(found.tokens.tolist()) == expected
    assert (found.tokens[0], tokenizer.decode([int(found.tokens[0])])) == (1, "<|im_start|>")


def test_an_item_has_places_where_it_stands_and_only_if_it_has_features() -> None:
    tokenizer = tiny_tokenizer()
    with_places = DialogueTokeniser(tokenizer, 2).prompt(dialogue()).tokens
    at = np.flatnonzero(with_places < 0)
    assert with_places[at].tolist() == [-1 - 14, -1 - 15]
    before = tokenizer.decode(with_places[: at[0]].tolist())
    assert before.endswith("This person had ")
    without = DialogueTokeniser(tokenizer, 2, lambda item: item != 7).prompt(dialogue()).tokens
    assert without.tolist() == with_places[with_places >= 0].tolist()


def test_every_token_knows_its_part() -> None:
    tokenizer = tiny_tokenizer()
    found = DialogueTokeniser(tokenizer, 2).prompt(dialogue(answered=True))
    for kind, said in zip(PARTS, SAID, strict=True):
        text = tokenizer.decode(found.tokens[found.kinds == KINDS.index(kind)].tolist())
        ended = said + "<|im_end|>\n" if kind is SegmentKind.CONFIDENCE else said  # ending the turn is learned, too
        assert text == ended
    prompt = found.kinds <= KINDS.index(SegmentKind.ITEM)
    assert prompt.sum() == len(DialogueTokeniser(tokenizer, 2).prompt(dialogue()))


NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}" + CHATML
PARTED = (
    "{% for m in messages %}{{ m['role'] + '>' }}{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "parts", "system"),
    [(CHATML, False, True), (NO_SYSTEM, False, False), (PARTED, True, True), ("nothing is said", False, True)],
)
def test_templates_of_other_kinds_are_found_by_trying(template: str, parts: bool, system: bool) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    form = chat_form(tokenizer)
    assert (form.parts, form.system) == (parts, system)
    text = tokenizer.decode(DialogueTokeniser(tokenizer).prompt(dialogue()).tokens.tolist())
    assert text.index("You recommend items.") < text.index("This person had") < text.index("Answer with a label.")

"""Text is written as transformers writes it, ends exactly behind a stop, and can be read on from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_cot.backbone.generate import generate
from reasonrec_cot.backbone.kv_cache import Reading
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import Prompt

TEXTS = ["This person had ", "What does the person choose next? Answer with a label.", "x", "Pick the best of these: "]


def texts(backbone: Backbone, said: list[str]) -> Reading:
    rows = [backbone.tokenizer(text, add_special_tokens=False)["input_ids"] for text in said]
    return backbone.read([Prompt(np.array(row, np.int64), np.zeros(len(row), np.uint8)) for row in rows])


def own(backbone: Backbone, text: str, most: int) -> list[int]:
    """Greedy continuation by transformers alone."""
    ids = backbone.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    out = backbone.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False, pad_token_id=0
    )
    found: list[int] = out[0, ids.shape[1] :].tolist()
    return found


def test_a_batch_is_written_as_transformers_writes_each_alone(backbone: Backbone) -> None:
    said = generate(backbone, texts(backbone, TEXTS), 24)
    for text, each in zip(TEXTS, said, strict=True):
        expected = own(backbone, text, 24)
        if backbone.end in expected:
            expected = expected[: expected.index(backbone.end)]
        assert each.tokens == expected
        assert each.text == backbone.tokenizer.decode(expected)
        assert each.stopped == (len(expected) < 24)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3), st.integers(0, 20), st.integers(1, 3))
def test_nothing_stands_behind_a_stop_and_all_that_is_said_has_been_read(
    backbone: Backbone, row: int, start: int, length: int
) -> None:
    free = generate(backbone, texts(backbone, TEXTS), 12)
    stop = free[row].text[start : start + length]
    if not stop.strip() or "\ufffd" in free[row].text:
        return
    reading = texts(backbone, TEXTS)
    said = generate(backbone, reading, 12, [stop])
    for each, before in zip(said, free, strict=True):
        if stop in before.text:
            assert each.stopped
            assert each.text.endswith(stop)
            assert each.text.count(stop) == 1
    for number, (text, each) in enumerate(zip(TEXTS, said, strict=True)):
        tokens = backbone.tokenizer(text, add_special_tokens=False)["input_ids"] + each.tokens
        with torch.no_grad():
            expected = backbone.model.model(torch.tensor([tokens])).last_hidden_state[0, -1]
        torch.testing.assert_close(reading.states[number], expected, rtol=1e-3, atol=1e-3)
    assert reading.usage.written == sum(len(each.tokens) for each in said)


def test_a_long_text_needs_no_more_room_than_there_is(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = texts(backbone, ["This person had "])
    monkeypatch.setattr(backbone, "max_length", int(reading.lengths[0]) + 3)
    assert len(generate(backbone, reading, 50)[0].tokens) <= 3

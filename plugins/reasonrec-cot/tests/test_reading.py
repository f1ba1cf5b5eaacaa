"""What is read with shared beginnings, padding and branches is what is read alone, token by token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_cot.backbone.generate import generate
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import Prompt
from reasonrec_cot.config import BackboneConfig

from reasonrec_core.errors import ConfigError


class Codes:
    """Soft tokens: a fixed vector per code."""

    key = "codes"

    def __init__(self, width: int, seed: int = 0) -> None:
        self.table = torch.randn(64, width, generator=torch.Generator().manual_seed(seed))

    def vectors(self, codes: torch.Tensor) -> torch.Tensor:
        return self.table[codes]


def prompt(tokens: list[int]) -> Prompt:
    return Prompt(np.array(tokens, np.int64), np.zeros(len(tokens), np.uint8))


def plainly(backbone: Backbone, tokens: list[int], soft: Codes | None = None) -> torch.Tensor:
    """[T, d] by transformers alone, in one pass and without a cache."""
    with torch.no_grad():
        words = backbone.model.get_input_embeddings()(torch.tensor(tokens).clamp_min(0))
        for place, token in enumerate(tokens):
            if token < 0:
                assert soft is not None
                words[place] = soft.table[-1 - token]
        return backbone.model.model(inputs_embeds=words[None]).last_hidden_state[0]


TOKENS = st.lists(st.integers(-20, 300), min_size=1, max_size=24)


@settings(max_examples=25, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=5), st.lists(st.integers(0, 300), max_size=20))
def test_prompts_read_together_are_read_as_alone(
    backbone: Backbone, rows: list[list[int]], beginning: list[int]
) -> None:
    soft = Codes(backbone.width)
    rows = [beginning + row for row in rows]
    reading = backbone.read([prompt(row) for row in rows], soft)
    for number, row in enumerate(rows):
        torch.testing.assert_close(reading.states[number], plainly(backbone, row, soft)[-1], rtol=1e-4, atol=1e-4)
    assert reading.lengths.tolist() == [len(row) for row in rows]
    assert reading.usage.read + reading.usage.reused == sum(map(len, rows))


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_reading_on_is_reading_all(backbone: Backbone, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=12), min_size=1, max_size=4))
    reading = backbone.read([prompt(row) for row in rows])
    for _ in range(3):
        more = [data.draw(st.lists(st.integers(0, 300), max_size=5)) for _ in rows]
        backbone.advance(reading, more)
        rows = [row + said for row, said in zip(rows, more, strict=True)]
    for number, row in enumerate(rows):
        torch.testing.assert_close(reading.states[number], plainly(backbone, row)[-1], rtol=1e-4, atol=1e-4)


def test_a_beginning_is_read_once_and_found_by_content(llama: Path) -> None:
    fresh = Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32"))
    random = np.random.default_rng(0)
    system, user = random.integers(0, 300, 40).tolist(), random.integers(0, 300, 30).tolist()
    first = fresh.read([prompt([*system, n]) for n in range(4)])
    assert (first.usage.read, first.usage.reused) == (44, 3 * 40)
    second = fresh.read([prompt(system + user)])
    assert (second.usage.read, second.usage.reused) == (30, 40)
    third = fresh.read([prompt(system + user + [5, 6])])
    assert (third.usage.read, third.usage.reused) == (2, 70)
    torch.testing.assert_close(third.states[0], plainly(fresh, system + user + [5, 6])[-1], rtol=1e-4, atol=1e-4)
    fresh.forget()
    assert fresh.read([prompt(system + user)]).usage.reused == 0


def test_soft_tokens_of_other_features_are_not_confused(llama: Path) -> None:
    fresh = Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32"))
    tokens = [3, -1, -2, *range(30)]
    one, other = Codes(fresh.width, 0), Codes(fresh.width, 1)
    other.key = "others"
    fresh.read([prompt(tokens)], one)
    found = fresh.read([prompt(tokens)], other)
    assert found.usage.reused == 0
    torch.testing.assert_close(found.states[0], plainly(fresh, tokens, other)[-1], rtol=1e-4, atol=1e-4)


def test_little_memory_keeps_little(llama: Path) -> None:
    config = BackboneConfig(model=str(llama), device="cpu", precision="float32", prefix_megabytes=0)
    forgetful = Backbone(config)
    forgetful.read([prompt(list(range(50)))])
    assert forgetful.read([prompt(list(range(50)))]).usage.reused == 0


def test_states_of_many_prompts_come_in_their_order(backbone: Backbone) -> None:
    random = np.random.default_rng(1)
    rows = [random.integers(0, 300, length).tolist() for length in random.integers(1, 400, 30)]
    found = backbone.states([prompt(row) for row in rows])
    for number in (0, 7, 29):
        torch.testing.assert_close(found[number], plainly(backbone, rows[number])[-1], rtol=1e-4, atol=1e-4)


def test_hidden_states_for_training_have_gradients_and_are_the_same(backbone: Backbone) -> None:
    rows = [[1, 2, 3, 4, 5], [9, 8]]
    tokens, seen = backbone.padded([prompt(row) for row in rows])
    states = backbone.hidden(tokens)
    assert states.requires_grad
    assert seen.sum(1).tolist() == [5, 2]
    for number, row in enumerate(rows):
        torch.testing.assert_close(states[number, : len(row)].detach(), plainly(backbone, row), rtol=1e-4, atol=1e-4)


def test_too_long_a_prompt_says_what_to_do(llama: Path) -> None:
    short = Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32", max_length=32))
    with pytest.raises(ConfigError, match="33 tokens, but the model reads only 32"):
        short.read([prompt(list(range(33)))])


def test_the_first_layers_alone(llama: Path) -> None:
    def made(layers: int | None) -> Backbone:
        return Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32", layers=layers))

    tokens = torch.tensor([[5, 6, 7, 8]])
    short, whole = made(1), made(None)
    assert short.layers == 1 < whole.layers
    decoder = whole.decoder
    after = decoder(inputs_embeds=whole.embed(tokens), output_hidden_states=True, use_cache=False).hidden_states[1]
    torch.testing.assert_close(short.hidden(tokens), decoder.norm(after))  # type: ignore[operator]
    torch.testing.assert_close(made(2).hidden(tokens), whole.hidden(tokens))
    with pytest.raises(ConfigError, match="only 2 layers"):
        made(3)


def test_a_request_that_is_timed_again_is_read_again(llama: Path) -> None:
    """Of what others asked before, the common beginning is known; of the request itself nothing is kept."""
    fresh = Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32"))
    rng = np.random.default_rng(3)
    system, own = rng.integers(1, 300, 40).tolist(), rng.integers(1, 300, 30).tolist()
    fresh.read([prompt([*system, 301])])
    fresh.remember_requests(False)
    for _ in range(2):
        reading = fresh.read([prompt([*system, 302, *own])])
        assert (reading.usage.read, reading.usage.reused) == (31, 40)
        (said,) = generate(fresh, reading, 8)
        assert not fresh.memory.follow(said.tokens[:4], 4)
    fresh.remember_requests(True)
    fresh.read([prompt([*system, 302, *own])])
    assert fresh.read([prompt([*system, 302, *own])]).usage.reused == 70

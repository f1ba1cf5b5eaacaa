"""Guesses make writing faster and change nothing that is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_cot.backbone.generate import Generated, generate
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.prompt_lookup import MATCHED, DraftGuesser, DraftMemory, TokenHistory
from reasonrec_cot.backbone.tokenisation import Prompt

TOKENS = st.lists(st.integers(0, 3), max_size=30)


@given(TOKENS, TOKENS)
def test_a_trail_gives_what_followed_last(before: list[int], ending: list[int]) -> None:
    found = TokenHistory(before).follow(ending, 5)
    for length in MATCHED:
        if len(ending) < length:
            continue
        wanted = ending[-length:]
        places = [n for n in range(len(before) - length) if before[n : n + length] == wanted]
        if places:
            at = places[-1] + length
            assert found == before[at : at + 5]
            return
    assert found == []


def test_soft_tokens_are_never_guessed() -> None:
    assert TokenHistory([5, 6, -4, 7, 5, 6, 8, -2]).follow([7, 5], 5) == [6, 8], "what is written is words"
    guesser = DraftGuesser([5, 6, -4, -3, 9], DraftMemory())
    assert guesser.guess(5, 5) == []
    guesser.learn([5], 0, 0)
    assert guesser.guess(6, 5) == []


def test_guesses_grow_while_right_and_shrink_while_wrong() -> None:
    memory = DraftMemory()
    memory.add(list(range(40)))
    guesser = DraftGuesser([7, 8, 9], memory)
    assert guesser.guess(10, 20) == [11, 12, 13]
    guesser.learn([10, 11, 12, 13], 3, 3)
    assert guesser.guess(14, 20) == [15, 16, 17, 18, 19]
    assert guesser.guess(14, 2) == [15, 16]
    guesser.learn([14], 5, 0)
    assert guesser.guess(15, 20) == [16]
    assert guesser.guess(99, 20) == []
    assert guesser.guess(15, 0) == []


def prompts(count: int) -> list[Prompt]:
    random = np.random.default_rng(0)
    return [Prompt(random.integers(10, 300, 6 + 5 * n), np.zeros(6 + 5 * n, np.uint8)) for n in range(count)]


def written(backbone: Backbone, count: int, most: int, stops: tuple[str, ...] = ()) -> tuple[list[Generated], int]:
    """What is written, and in how many passes."""
    passes = 0
    propose = backbone.propose

    def counted(*args: object, **more: object) -> object:
        nonlocal passes
        passes += 1
        return propose(*args, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        reading = backbone.read(prompts(count))
        patch.setattr(backbone, "propose", counted)
        return generate(backbone, reading, most, stops), passes


def test_what_was_written_before_is_written_again_in_few_passes(backbone: Backbone) -> None:
    backbone.memory = DraftMemory()
    first, slow = written(backbone, 3, 40)
    assert any(len(said.tokens) == 40 for said in first)
    again, quick = written(backbone, 3, 40)
    assert [said.tokens for said in again] == [said.tokens for said in first]
    assert [said.logprob for said in again] == pytest.approx([said.logprob for said in first], abs=1e-2)
    assert quick <= slow <= 40
    assert quick <= 0.7 * 40


def test_wrong_guesses_change_nothing(backbone: Backbone) -> None:
    backbone.memory = DraftMemory()
    first, _ = written(backbone, 3, 30)
    random = np.random.default_rng(1)
    backbone.memory = DraftMemory()
    for said in first:  # after every few tokens something else
        misled = [t if n % 4 else int(random.integers(0, 300)) for n, t in enumerate(said.tokens)]
        backbone.memory.add(misled)
    again, _ = written(backbone, 3, 30)
    assert [said.tokens for said in again] == [said.tokens for said in first]


def test_a_stop_within_a_guess_ends_the_text(backbone: Backbone) -> None:
    backbone.memory = DraftMemory()
    first, _ = written(backbone, 2, 40)
    stop = first[1].text[10:13]
    plain, _ = written(backbone, 2, 40, (stop,))
    again, _ = written(backbone, 2, 40, (stop,))
    assert plain[1].text.endswith(stop)
    assert [said.text for said in again] == [said.text for said in plain]
    assert first[1].text.startswith(plain[1].text)

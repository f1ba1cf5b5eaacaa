"""Answers name real items only, and their probabilities are those that the model gives token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_cot.answers.constrained_decoding import ConstrainedDecoder
from reasonrec_cot.answers.likelihood import Likelihood
from reasonrec_cot.answers.tree_attention import TokenTrie
from reasonrec_cot.backbone.kv_cache import Reading
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser, Prompt

from reasonrec_core.ranking import rank
from reasonrec_core.types import History, QueryBatch, Task

NAMES = [
    "Toy Story", "Toy Story 2", "Toy", "The Return of Kings", "The Return", "A New Hope", "Acorn Lamp no. 7",
    "Acorn Lamp no. 8", "Acorn Lamp no. 71", "Ωmega", "Boots (1995)", "Boots",
]  # fmt: skip


def texts(backbone: Backbone, said: list[str]) -> Reading:
    rows = [backbone.tokenizer(text, add_special_tokens=False)["input_ids"] for text in said]
    return backbone.read([Prompt(np.array(row, np.int64), np.zeros(len(row), np.uint8)) for row in rows])


def logprobs(backbone: Backbone, text: str, tokens: list[int]) -> list[float]:
    """By transformers alone: log P of each token after the text and the tokens before it."""
    before = backbone.tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = backbone.model(torch.tensor([before + tokens])).logits[0].log_softmax(-1)
    return [float(logits[len(before) + at - 1, token]) for at, token in enumerate(tokens)]


def asked(rows: int, candidates: list[list[int]] | None = None, history: list[list[int]] | None = None) -> QueryBatch:
    task = Task.SEQUENTIAL if candidates is None else Task.DIRECT
    listed = None if candidates is None else np.array(candidates, np.int32)
    return QueryBatch(task, np.full(rows, -1, np.int32), History.of(history or [[]] * rows), 5, listed)


SEQUENCES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=12)


@given(SEQUENCES, st.data())
def test_a_tree_holds_its_sequences_and_nothing_else(sequences: list[list[int]], data: st.DataObject) -> None:
    trie = TokenTrie.of(sequences)
    for sequence, end in zip(sequences, trie.ends, strict=True):
        node, spelled = int(end), []
        while node:
            spelled.append(int(trie.tokens[node]))
            node = int(trie.parents[node])
        assert spelled[::-1] == sequence
    assert len(trie) == 1 + len({tuple(s[: n + 1]) for s in sequences for n in range(len(s))})
    assert sum(len(trie.children(node)) for node in range(len(trie))) == len(trie) - 1
    may = np.array(data.draw(st.lists(st.booleans(), min_size=len(sequences), max_size=len(sequences))))
    counts = trie.open_to(may)
    assert counts[0] == may.sum()
    for node in range(len(trie)):
        assert counts[node] == sum(may[n] for n, end in enumerate(trie.ends) if _below(trie, int(end), node))


def _below(trie: TokenTrie, node: int, above: int) -> bool:
    while node != above and node:
        node = int(trie.parents[node])
    return node == above


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_likelihoods_are_those_of_one_name_at_a_time(backbone: Backbone, power: float) -> None:
    said = ["This person had ", "What does the person choose next? Answer with a label.", "x"]
    likelihood = Likelihood(backbone, DialogueTokeniser(backbone.tokenizer), power)
    reading = texts(backbone, said)
    places, lengths = reading.places, reading.lengths.tolist()
    names = [NAMES, NAMES[3:8], ["A", "B"]]
    found = likelihood.score(reading, names)
    for text, row, scores in zip(said, names, found, strict=True):
        for tokens, score in zip(likelihood.tokens(row), scores, strict=True):
            expected = sum(logprobs(backbone, text, tokens)) / len(tokens) ** power
            assert score == pytest.approx(expected, abs=2e-3)
    assert (reading.places, reading.lengths.tolist()) == (places, lengths)
    np.testing.assert_allclose(likelihood.score(reading, names)[0], found[0], atol=1e-4)


def test_one_pass_reads_each_name_once_and_no_text_again(backbone: Backbone) -> None:
    likelihood = Likelihood(backbone, DialogueTokeniser(backbone.tokenizer))
    reading = texts(backbone, ["This person had ", "Pick the best of these: "])
    before = reading.usage.read
    likelihood.score(reading, [["A", "B", "C"]] * 2)
    assert reading.usage.read == before, "labels of one token are all told by the text's end"
    likelihood.score(reading, [NAMES, ["A"]])
    trie = TokenTrie.of([[*likelihood.tokeniser.text(name), likelihood.end] for name in NAMES])
    assert reading.usage.read - before == trie.inner[1:].sum()


def test_many_candidates_are_scored_in_pieces_to_the_same_effect(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    likelihood = Likelihood(backbone, DialogueTokeniser(backbone.tokenizer))
    whole = likelihood.score(texts(backbone, ["This person had ", "x"]), [NAMES, NAMES[:3]])
    monkeypatch.setattr("reasonrec_cot.answers.likelihood.TOKENS_AT_ONCE", 20)
    pieces = likelihood.score(texts(backbone, ["This person had ", "x"]), [NAMES, NAMES[:3]])
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


CANDIDATES = st.lists(st.lists(st.integers(-1, len(NAMES) - 1), min_size=6, max_size=6), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(CANDIDATES)
def test_no_answer_lies_outside_the_candidates(backbone: Backbone, candidates: list[list[int]]) -> None:
    tokeniser = DialogueTokeniser(backbone.tokenizer)
    batch = asked(len(candidates), candidates)
    reading = texts(backbone, ["This person had "] * len(candidates))
    names = [[NAMES[item] if item >= 0 else "" for item in row] for row in candidates]
    answers = (
        ConstrainedDecoder(backbone, tokeniser, NAMES, beams=20).answer(reading, batch),
        Likelihood(backbone, tokeniser).answer(reading, batch, names),
    )
    for found in answers:
        ranking = rank(found.scores.copy(), batch)
        for row, listed in enumerate(candidates):
            said = ranking.items[row][ranking.items[row] >= 0].tolist()
            assert len(said) == len(set(said)), "an item is answered twice"
            assert set(said) == set(listed) - {-1} or len(set(listed) - {-1}) > batch.k
            assert set(said) <= set(listed) - {-1}
            assert found.mass[row].sum() == pytest.approx(1.0 if set(listed) - {-1} else 0.0, abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(0, len(NAMES) - 1), max_size=len(NAMES)), min_size=1, max_size=3))
def test_the_history_is_never_written(backbone: Backbone, histories: list[list[int]]) -> None:
    reading = texts(backbone, ["This person had "] * len(histories))
    found = ConstrainedDecoder(backbone, DialogueTokeniser(backbone.tokenizer), NAMES, beams=3).answer(
        reading, asked(len(histories), history=histories)
    )
    for row, history in enumerate(histories):
        answered = set(np.flatnonzero(np.isfinite(found.scores[row])).tolist())
        assert not answered & set(history)
        assert len(answered) == min(3, len(NAMES) - len(set(history)))


def test_a_written_title_has_the_probability_of_its_choices(backbone: Backbone) -> None:
    text = "What does the person choose next? "
    written = ConstrainedDecoder(backbone, DialogueTokeniser(backbone.tokenizer), NAMES, beams=len(NAMES))
    reading = texts(backbone, ["x", text])
    found = written.answer(reading, asked(2))
    trie = written.trie
    assert found.mass.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
    for item, end in enumerate(trie.ends):
        path = [int(end)]
        while path[0]:
            path.insert(0, int(trie.parents[path[0]]))
        tokens = [int(trie.tokens[node]) for node in path[1:]]
        expected = 0.0
        for depth, node in enumerate(path[:-1]):
            ways = trie.tokens[trie.children(node)]
            before = backbone.tokenizer(text, add_special_tokens=False)["input_ids"] + tokens[:depth]
            with torch.no_grad():
                logits = backbone.model(torch.tensor([before])).logits[0, -1]
            chances = logits[torch.from_numpy(ways)].log_softmax(0)
            expected += float(chances[ways.tolist().index(tokens[depth])])
        assert found.scores[1, item] == pytest.approx(expected, abs=2e-3)


def test_few_beams_find_the_best_of_many(backbone: Backbone) -> None:
    written = ConstrainedDecoder(backbone, DialogueTokeniser(backbone.tokenizer), NAMES, beams=len(NAMES))
    everything = written.answer(texts(backbone, ["Pick "]), asked(1)).scores[0]
    written.beams = 4
    few = written.answer(texts(backbone, ["Pick "]), asked(1)).scores[0]
    assert np.isfinite(few).sum() == 4
    at = np.flatnonzero(np.isfinite(few))
    np.testing.assert_allclose(few[at], everything[at], atol=1e-4)
    assert everything.argmax() == few.argmax()


def test_names_that_a_tokenizer_cannot_tell_apart_share_their_probability(backbone: Backbone) -> None:
    written = ConstrainedDecoder(backbone, DialogueTokeniser(backbone.tokenizer), ["Toy", "Boots", "Boots"], beams=3)
    mass = written.answer(texts(backbone, ["Pick "]), asked(1)).mass[0]
    assert mass[1] == pytest.approx(mass[2])
    assert mass.sum() == pytest.approx(1.0, abs=1e-5)

"""Answers by likelihood: how well the name or label of each candidate continues the text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from reasonrec_core.types import Float32, QueryBatch
from reasonrec_cot.answers.answerer import ItemScores, Names, allowed, softmax
from reasonrec_cot.answers.tree_attention import TokenTrie, edge_logprobs
from reasonrec_cot.backbone.kv_cache import Reading
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser
from reasonrec_cot.prompting.output_grammar import closing

TOKENS_AT_ONCE = 1024
"""Of the candidates of one query in one pass."""


class CandidateScorer(ABC):
    """Scores listed candidates by what they are called in an answer.

    Args:
        temperature: of the softmax that gives the mass.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    @abstractmethod
    def score(self, reading: Any, names: Names) -> list[Float32]:
        """Per text float32[names]: normalised log probabilities; ``reading`` is as it was, afterwards."""

    def answer(self, reading: Any, batch: QueryBatch, names: Names) -> ItemScores:
        """Score ``batch.candidates``, which ``names`` names."""
        assert batch.candidates is not None, "likelihood scores listed candidates"
        free = allowed(batch, 0)
        scores = np.full(free.shape, -np.inf, np.float32)
        asked = [[row[at] for at in np.flatnonzero(may).tolist()] for row, may in zip(names, free, strict=True)]
        for row, found in enumerate(self.score(reading, asked)):
            scores[row, free[row]] = found
        return ItemScores(scores, softmax(scores, self.temperature))


class CandidateLikelihood(CandidateScorer):
    """Scores listed candidates: log P(name | text), over name and the tag that ends it.

    Names of one token each, none twice (labels of a list, yes and no), need no ending to be told apart, and are scored
    without: P(label | text) is what the softmax over them is about (Sun et al., 2023; Reddy et al., 2024, FIRST).

    Args:
        tokeniser: the model's tokens; a name is tokenised once.
        length_power: log probabilities are divided by (tokens of the name) ** this: 0 compares sums, which is right
            for names as the model itself would write them; 1 compares means, which is fair to long titles.
        temperature: of the softmax that gives the mass.
    """

    def __init__(self, tokeniser: DialogueTokeniser, length_power: float = 1.0, temperature: float = 1.0) -> None:
        super().__init__(temperature)
        self.tokeniser, self.length_power = tokeniser, length_power
        self.end = tokeniser.text(closing("answer"))[0]

    def tokens(self, names: Sequence[str]) -> list[list[int]]:
        """What is scored of each name."""
        said = [self.tokeniser.text(name) for name in names]
        if all(len(each) == 1 for each in said) and len({each[0] for each in said}) == len(said):
            return said
        return [[*each, self.end] for each in said]


class Likelihood(CandidateLikelihood):
    """By a model that runs here.

    All candidates of all queries are read in one pass that shares each query's text and the names' common beginnings.

    Args:
        backbone: the model.
        tokeniser: its tokens.
        length_power: see `CandidateLikelihood`.
        temperature: likewise.
    """

    def __init__(
        self, backbone: Backbone, tokeniser: DialogueTokeniser, length_power: float = 1.0, temperature: float = 1.0
    ) -> None:
        super().__init__(tokeniser, length_power, temperature)
        self.backbone = backbone

    def score(self, reading: Reading, names: Names) -> list[Float32]:
        """Per text float32[names]: normalised log probabilities; ``reading`` is as it was, afterwards."""
        sequences = [self.tokens(row) for row in names]
        most = max((len(row) for row in sequences), default=0)
        longest = max((len(said) for row in sequences for said in row), default=1)
        step = max(1, TOKENS_AT_ONCE // longest)
        scores = [np.empty(len(row), np.float32) for row in sequences]
        for start in range(0, most, step):
            self._score([row[start : start + step] for row in sequences], reading, [s[start:] for s in scores])
        return scores

    def _score(self, sequences: Sequence[list[list[int]]], reading: Reading, out: Sequence[Float32]) -> None:
        tries = [TokenTrie.of(row) for row in sequences]
        for trie, edges, scores in zip(tries, edge_logprobs(self.backbone, reading, tries), out, strict=True):
            found = trie.down(edges)[trie.ends] / trie.depths[trie.ends] ** self.length_power
            scores[: len(found)] = found
